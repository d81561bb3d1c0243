//! What a capture is put down on: a file, or lines.

use crate::capture::{Desk, Document, Section, Taken};
use crate::collector::clock;
use crate::model::InterfaceKind;
use crate::model::{CaptureCounts, SafeText};
use crate::run::output::Closed;
use crate::run::watch::Watch;
use crate::settings::Capture;
use crate::snapshot::{ObservedAt, SampleRecord};
use crate::view::FlowLines;
use crate::wire::{Clock, SampleBody};

/// Bytes of a document that are handed over, and written, at once: more is not lost at the end of a disk.
const LARGE: usize = 64 << 10;

/// What it is put down on.
pub(super) enum Paper {
    File(Box<Document>),
    Lines(Box<FlowLines>),
    Json,
}

impl Paper {
    pub(super) fn new(watch: &mut Watch, capture: &Capture) -> Self {
        if capture.write.is_some() {
            let system = rustix::system::uname();
            let [release, machine] =
                [system.release(), system.machine()].map(|text| text.to_string_lossy().into_owned());
            let section = Section {
                hardware: machine,
                system: format!("{}, Linux {release}", watch.session.host().name),
                filter: SafeText::new(capture.filter.as_str()).to_string(),
                snap_length: capture.snap_length,
                started: clock::kernel_now(),
            };
            return Self::File(Box::new(Document::new(section, watch.clock())));
        }
        if watch.json { Self::Json } else { Self::Lines(Box::new(FlowLines::new(watch.frame(false)))) }
    }

    pub(super) fn set_clock(&mut self, clock: Clock) {
        if let Self::File(document) = self {
            document.set_clock(clock);
        }
    }

    /// Puts down a packet.
    pub(super) async fn packet(&mut self, watch: &mut Watch, taken: &Taken) -> Result<(), Closed> {
        let packet = &taken.captured.packet;
        match self {
            Self::File(document) => {
                document.packet(taken);
                if document.length() >= LARGE { self.hand_over(watch).await } else { Ok(()) }
            }
            Self::Lines(lines) => {
                let line = lines.captured(packet.at, packet.length, &taken.comment);
                watch.output.line(&line.draw(lines.frame())).await
            }
            Self::Json => {
                let clock = watch.clock();
                watch.record(SampleBody::new(&sample(taken), &clock)).await
            }
        }
    }

    /// Puts down what was captured; in a file alone there is a place for that.
    pub(super) fn counts(&mut self, desk: &Desk, counts: &[CaptureCounts], last: bool) {
        let Self::File(document) = self else { return };
        for counts in counts {
            if let Some(place) = desk.place(counts.ifindex) {
                document.describe(counts.number, place);
            }
            document.count(*counts, desk.tally(counts.number), clock::kernel_now(), last);
        }
    }

    /// Has everything written that was put down.
    pub(super) async fn flush(&mut self, watch: &mut Watch) -> Result<(), Closed> {
        self.hand_over(watch).await?;
        watch.output.flush().await
    }

    /// How many interfaces it tells of.
    pub(super) fn interfaces(&self) -> Option<usize> {
        match self {
            Self::File(document) => Some(document.interfaces()),
            Self::Lines(_) | Self::Json => None,
        }
    }

    /// Whether it tells of this interface.
    pub(super) fn tells_of(&self, counts: &CaptureCounts) -> bool {
        match self {
            Self::File(document) => document.has(counts.number),
            Self::Lines(_) | Self::Json => true,
        }
    }

    async fn hand_over(&mut self, watch: &mut Watch) -> Result<(), Closed> {
        match self {
            Self::File(document) => watch.output.bytes(&document.take()).await,
            Self::Lines(_) | Self::Json => Ok(()),
        }
    }
}

fn sample(taken: &Taken) -> SampleRecord {
    let packet = taken.captured.packet.clone();
    SampleRecord {
        at: packet.at,
        flow_id: packet.flow_id,
        observed_at: ObservedAt {
            kind: InterfaceKind::Veth,
            number: packet.interface,
            interface: taken.place.device.clone().unwrap_or_else(|| SafeText::new(&taken.place.name())),
            ifindex: taken.captured.ifindex,
        },
        direction: packet.direction,
        container: taken.place.container.as_ref().map(|container| container.name.clone()),
        length: packet.length,
        bytes: packet.bytes,
    }
}
