//! The file: its section, each interface before its first packet, packets, and what was lost.

use super::desk::{Taken, Tally};
use super::pcapng::{self, InterfaceHeader, PacketHeader, SectionHeader, Statistics, Way};
use super::places::Place;
use crate::model::{CaptureCounts, Direction, InterfaceNumber, KernelTime};
use crate::wire::Clock;
use std::collections::BTreeMap;

/// What is said of the whole capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The machine.
    pub hardware: String,
    /// The host and its kernel.
    pub system: String,
    /// What packets are chosen by; empty where all are taken.
    pub filter: String,
    /// The most bytes of a packet that are kept.
    pub snap_length: u32,
    /// When it began.
    pub started: KernelTime,
}

/// What was told of an interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    id: u32,
    told: Option<Statistics>,
}

/// A file that is being made.
#[derive(Debug)]
pub struct Document {
    section: Section,
    clock: Clock,
    bytes: Vec<u8>,
    interfaces: BTreeMap<InterfaceNumber, Interface>,
}

/// What a reader has to know of the directions.
const DIRECTIONS: &str = "Directions are those of the container: outbound is what it sent.";

impl Document {
    /// Begins one.
    #[must_use]
    pub fn new(section: Section, clock: Clock) -> Self {
        let mut bytes = Vec::new();
        let header = SectionHeader {
            hardware: &section.hardware,
            system: &section.system,
            application: concat!("vethwatch ", env!("CARGO_PKG_VERSION")),
            comment: DIRECTIONS,
        };
        pcapng::section(&mut bytes, &header);
        Self { section, clock, bytes, interfaces: BTreeMap::new() }
    }

    /// What was appended since this was asked last: whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Bytes that were.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// By which clock times are written from now on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Interfaces that were described.
    #[must_use]
    pub fn interfaces(&self) -> usize {
        self.interfaces.len()
    }

    /// Whether an interface was.
    #[must_use]
    pub fn has(&self, number: InterfaceNumber) -> bool {
        self.interfaces.contains_key(&number)
    }

    /// Describes an interface, unless that was done already.
    pub fn describe(&mut self, number: InterfaceNumber, place: &Place) {
        self.id(number, place);
    }

    /// Appends a packet.
    pub fn packet(&mut self, taken: &Taken) {
        let packet = &taken.captured.packet;
        let interface = self.id(packet.interface, &taken.place);
        let header = PacketHeader {
            interface,
            time: self.nanoseconds(packet.at),
            length: packet.length,
            way: match packet.direction {
                Direction::Sent => Way::Outbound,
                Direction::Received => Way::Inbound,
            },
            comment: &taken.comment,
        };
        let kept = packet.bytes.len().min(self.section.snap_length as usize);
        pcapng::packet(&mut self.bytes, &header, &packet.bytes[..kept]);
    }

    /// Appends what was captured at an interface that is described: at the end (`last`), and when more was lost.
    pub fn count(&mut self, counts: CaptureCounts, tally: Tally, now: KernelTime, last: bool) {
        let (started, now) = (self.nanoseconds(self.section.started), self.nanoseconds(now));
        let Some(interface) = self.interfaces.get_mut(&counts.number) else { return };
        let statistics = Statistics {
            interface: interface.id,
            started,
            now,
            received: counts.seen,
            dropped: counts.dropped + tally.undecided,
            delivered: tally.taken,
        };
        let dropped_before = interface.told.map_or(0, |told| told.dropped);
        if last || statistics.dropped > dropped_before {
            interface.told = Some(statistics);
            let comment = last.then(|| parts(counts, tally));
            pcapng::statistics(&mut self.bytes, &statistics, comment.as_deref());
        }
    }

    fn id(&mut self, number: InterfaceNumber, place: &Place) -> u32 {
        if let Some(interface) = self.interfaces.get(&number) {
            return interface.id;
        }
        let id = u32::try_from(self.interfaces.len()).expect("there are fewer than their numbers");
        let (name, description) = (place.name(), place.description());
        let header = InterfaceHeader {
            name: &name,
            description: &description,
            filter: Some(self.section.filter.as_str()).filter(|filter| !filter.is_empty()),
            snap_length: self.section.snap_length,
        };
        pcapng::interface(&mut self.bytes, &header);
        self.interfaces.insert(number, Interface { id, told: None });
        id
    }

    fn nanoseconds(&self, at: KernelTime) -> u64 {
        u64::try_from(self.clock.wall(at).0).unwrap_or_default()
    }
}

/// Where all packets of an interface are.
fn parts(counts: CaptureCounts, tally: Tally) -> String {
    let Tally { taken, refused, undecided, after } = tally;
    format!(
        "{taken} in this file, {refused} refused by the filter, {} lost because they came too fast, {undecided} not judged \
         in time, {after} after as many as were asked for",
        counts.dropped
    )
}
