//! `violations`.

use super::failure::Failure;
use super::logger;
use super::output::Closed;
use super::watch::{Ended, Watch};
use crate::engine::{Filter, Topic};
use crate::settings::{Kinds, Settings};
use crate::snapshot::{Finding, Record, Standing};
use crate::view;
use crate::wire::{FindingBody, StandingBody, StatusBody};
use anyhow::anyhow;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Findings that are printed at once.
const BATCH: usize = 64;
/// How long the last findings may take to come after the programs are gone.
const LAST_FINDINGS: Duration = Duration::from_secs(2);

/// Streams findings until the time is over or a signal comes.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    kinds: &Kinds,
) -> Result<(), Failure> {
    let filter = Filter { topic: Topic::Findings, ..Filter::default() };
    let mut watch = Watch::start(settings, Some(filter)).await?;
    let mut printer = Printer { kinds, told: 0, lost: 0 };
    let ended = stream(&mut watch, watch_for, &mut printer).await;
    let (told, lost, json) = (printer.told, printer.lost, watch.json);
    watch.finish(ended.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    if !json && told == 0 {
        logger::tell("nothing was found");
    }
    if lost > 0 {
        logger::tell(&format!("{lost} findings were lost, because they were not read fast enough"));
    }
    ended.map(|_| ())
}

async fn stream(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut Printer<'_>,
) -> Result<Ended, Failure> {
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let ended = until_over(watch, watch_for, printer, &mut records).await?;
    if ended == Ended::Closed {
        return Ok(ended);
    }
    watch.session.stop_collecting().await?;
    let rest = async {
        let mut batch = Vec::new();
        while records.recv_many(&mut batch, BATCH).await > 0 {
            printer.records(watch, &mut batch).await?;
        }
        Ok::<(), Closed>(())
    };
    if let Ok(Err(closed)) = tokio::time::timeout(LAST_FINDINGS, rest).await {
        return Ok(closed.into());
    }
    let printed = printer.end(watch).await;
    Ok(printed.map_or(Ended::Closed, |()| ended))
}

async fn until_over(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut Printer<'_>,
    records: &mut Receiver<Record>,
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

/// Prints findings of some kinds, and counts them.
struct Printer<'a> {
    kinds: &'a Kinds,
    told: u64,
    lost: u64,
}

impl Printer<'_> {
    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed> {
        for record in records.drain(..) {
            match record {
                Record::Finding(finding) => self.finding(watch, &finding).await?,
                Record::Standing(standing) => self.standing(watch, &standing).await?,
                Record::Lost(lost) => self.lost = lost,
                Record::Flow(_) | Record::Sample(_) => {}
            }
        }
        watch.output.flush().await
    }

    async fn finding(&mut self, watch: &mut Watch, finding: &Finding) -> Result<(), Closed> {
        if !self.kinds.of_traffic.contains(&finding.kind) {
            return Ok(());
        }
        self.told += 1;
        if watch.json {
            let clock = watch.clock();
            return watch.record(FindingBody::new(finding, &clock)).await;
        }
        let frame = watch.frame(false);
        watch.print(&view::finding(finding, &frame), &frame).await
    }

    async fn standing(&mut self, watch: &mut Watch, standing: &Standing) -> Result<(), Closed> {
        if !self.kinds.posture {
            return Ok(());
        }
        self.told += 1;
        if watch.json {
            let clock = watch.clock();
            return watch.record(StandingBody::new(standing, &clock)).await;
        }
        let frame = watch.frame(false);
        watch.print(&view::standing(standing, &frame), &frame).await
    }

    /// In JSON, the status with the losses to the end.
    async fn end(&self, watch: &mut Watch) -> Result<(), Closed> {
        if watch.json {
            let (snapshot, clock) = (watch.session.snapshot(), watch.clock());
            watch.record(StatusBody::new(&snapshot, &clock)).await?;
        }
        Ok(())
    }
}
