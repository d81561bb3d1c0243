//! `flows`.

use super::failure::Failure;
use super::logger;
use super::output::Closed;
use super::pairing::Pairing;
use super::pairs::is_known;
use super::streaming::{Print, stream};
use super::watch::{Ended, Watch};
use crate::collector::clock;
use crate::engine::Filter;
use crate::model::KernelTime;
use crate::settings::Settings;
use crate::snapshot::{FlowRecord, Record, SampleRecord, Snapshot};
use crate::view::{FlowLines, flows_ended};
use crate::wire::{FlowBody, SampleBody, StatusBody};
use std::time::Duration;

/// Streams flows until the time is over or a signal comes.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    container: Option<String>,
    bridges: bool,
) -> Result<(), Failure> {
    let samples = settings.collector.sample_every > 0;
    let filter =
        Filter { container: container.clone(), include_bridges: bridges, samples, ..Filter::default() };
    let mut watch = Watch::start(settings, Some(filter)).await?;
    let mut printer = Printer::new(&mut watch, settings.collector.tick);
    let ended = stream(&mut watch, watch_for, &mut printer).await;
    let (flows, samples, lost) = (printer.flows, printer.samples, printer.lost);
    let json = watch.json;
    let frame = watch.frame(false);
    let last = watch.finish(ended.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    if !json {
        logger::tell(&flows_ended(flows, samples, &last, lost).draw(&frame));
    }
    if let Some(name) = container.filter(|name| flows == 0 && !is_known(&last, name)) {
        logger::tell(&format!("there was no container {name}"));
    }
    ended.map(|_| ())
}

/// Prints records as lines, samples after their flows, and counts them.
struct Printer {
    lines: FlowLines,
    pairing: Pairing,
    tick_end: KernelTime,
    flows: u64,
    samples: u64,
    lost: u64,
}

impl Print for Printer {
    fn heading(&self) -> Option<String> {
        Some(self.lines.heading().draw(self.lines.frame()))
    }

    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed> {
        for record in records.drain(..) {
            self.record(watch, record).await?;
        }
        watch.output.flush().await
    }

    /// Prints what still waits, and in JSON the status before the end, with the losses to the end.
    async fn end(&mut self, watch: &mut Watch, before: &Snapshot) -> Result<(), Closed> {
        for sample in self.pairing.rest() {
            self.sample(watch, &sample).await?;
        }
        if watch.json {
            let Snapshot { losses, resources, .. } = (*watch.session.snapshot()).clone();
            let snapshot = Snapshot { losses, resources, ..before.clone() };
            let clock = watch.clock();
            watch.record(StatusBody::new(&snapshot, &clock)).await?;
        }
        Ok(())
    }
}

impl Printer {
    fn new(watch: &mut Watch, tick: Duration) -> Self {
        Self {
            lines: FlowLines::new(watch.frame(false)),
            pairing: Pairing::new(tick),
            tick_end: KernelTime(0),
            flows: 0,
            samples: 0,
            lost: 0,
        }
    }

    async fn record(&mut self, watch: &mut Watch, record: Record) -> Result<(), Closed> {
        match record {
            Record::Flow(flow) => self.flow(watch, &flow).await,
            Record::Sample(sample) => match self.pairing.sample(sample) {
                Some(alone) => self.sample(watch, &alone).await,
                None => Ok(()),
            },
            Record::Finding(_) | Record::Standing(_) | Record::Name(_) => Ok(()),
            Record::Lost(lost) => {
                self.lost = lost;
                Ok(())
            }
        }
    }

    async fn flow(&mut self, watch: &mut Watch, flow: &FlowRecord) -> Result<(), Closed> {
        if flow.tick_end > self.tick_end {
            self.tick_end = flow.tick_end;
            for sample in self.pairing.overdue(clock::kernel_now()) {
                self.sample(watch, &sample).await?;
            }
        }
        if watch.json {
            let clock = watch.clock();
            watch.record(FlowBody::new(flow, &clock)).await?;
            self.flows += 1;
        } else if let Some(line) = self.lines.flow(flow) {
            self.flows += 1;
            watch.output.line(&line.draw(self.lines.frame())).await?;
        }
        for sample in self.pairing.follow(flow.flow_id, flow.tick_end) {
            self.sample(watch, &sample).await?;
        }
        Ok(())
    }

    async fn sample(&mut self, watch: &mut Watch, sample: &SampleRecord) -> Result<(), Closed> {
        self.samples += 1;
        if watch.json {
            let clock = watch.clock();
            watch.record(SampleBody::new(sample, &clock)).await
        } else {
            watch.output.line(&self.lines.sample(sample).draw(self.lines.frame())).await
        }
    }
}
