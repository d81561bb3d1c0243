//! `flows`.

use super::failure::Failure;
use super::logger;
use super::output::Closed;
use super::pairing::Pairing;
use super::watch::{Ended, Watch};
use crate::collector::clock;
use crate::engine::Filter;
use crate::model::KernelTime;
use crate::settings::Settings;
use crate::snapshot::{FlowRecord, Record, SampleRecord, Snapshot};
use crate::view::{FlowLines, flows_ended};
use crate::wire::{FlowBody, SampleBody, StatusBody};
use anyhow::anyhow;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Records that are printed at once.
const BATCH: usize = 256;
/// How long the last records may take to come after the programs are gone.
const LAST_RECORDS: Duration = Duration::from_secs(2);

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
    let ended = stream(&mut watch, &mut printer, watch_for).await;
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

/// Prints until something ends it; then takes the programs off and prints what was counted to the end.
async fn stream(
    watch: &mut Watch,
    printer: &mut Printer,
    watch_for: Option<Duration>,
) -> Result<Ended, Failure> {
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    if printer.begin(watch).await.is_err() {
        return Ok(Ended::Closed);
    }
    let ended = print_records(watch, printer, &mut records, watch_for).await?;
    if ended == Ended::Closed {
        return Ok(ended);
    }
    // What was watched until now; after the end nothing is.
    let before = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    let rest = async {
        let mut batch = Vec::new();
        while records.recv_many(&mut batch, BATCH).await > 0 {
            printer.records(watch, &mut batch).await?;
        }
        Ok::<(), Closed>(())
    };
    let rest = tokio::time::timeout(LAST_RECORDS, rest).await;
    let printed = match rest {
        Ok(Err(closed)) => Err(closed),
        Ok(Ok(())) | Err(_) => printer.end(watch, &before).await,
    };
    Ok(printed.map_or(Ended::Closed, |()| ended))
}

async fn print_records(
    watch: &mut Watch,
    printer: &mut Printer,
    records: &mut Receiver<Record>,
    watch_for: Option<Duration>,
) -> Result<Ended, Failure> {
    let mut over = pin!(async {
        match watch_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    });
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            () = watch.signals.next() => return Ok(Ended::Signal),
            () = watch.output.closed() => return Ok(Ended::Closed),
            () = &mut over => return Ok(Ended::Done),
            count = records.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return Err(watch.session.ended());
                }
                if printer.records(watch, &mut batch).await.is_err() {
                    return Ok(Ended::Closed);
                }
            }
        }
    }
}

fn is_known(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.containers.iter().any(|row| row.container.is_called(name))
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

    async fn begin(&self, watch: &mut Watch) -> Result<(), Closed> {
        if watch.json {
            return Ok(());
        }
        watch.output.line(&self.lines.heading().draw(self.lines.frame())).await?;
        watch.output.flush().await
    }

    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed> {
        for record in records.drain(..) {
            self.record(watch, record).await?;
        }
        watch.output.flush().await
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
