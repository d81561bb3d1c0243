//! `violations`.

use super::failure::Failure;
use super::logger;
use super::output::Closed;
use super::streaming::{Print, stream};
use super::watch::{Ended, Watch};
use crate::engine::{Filter, Topic};
use crate::settings::{Kinds, Settings};
use crate::snapshot::{Finding, Record, Standing};
use crate::view;
use crate::wire::{FindingBody, StandingBody};
use std::time::Duration;

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

/// Prints findings of some kinds, and counts them.
struct Printer<'a> {
    kinds: &'a Kinds,
    told: u64,
    lost: u64,
}

impl Print for Printer<'_> {
    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed> {
        for record in records.drain(..) {
            match record {
                Record::Finding(finding) => self.finding(watch, &finding).await?,
                Record::Standing(standing) => self.standing(watch, &standing).await?,
                Record::Lost(lost) => self.lost = lost,
                Record::Flow(_) | Record::Sample(_) | Record::Name(_) => {}
            }
        }
        watch.output.flush().await
    }
}

impl Printer<'_> {
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
}
