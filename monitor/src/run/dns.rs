//! `dns`.

use super::failure::Failure;
use super::logger;
use super::output::Closed;
use super::streaming::{Print, stream};
use super::watch::{Ended, Watch};
use crate::engine::{Filter, Topic};
use crate::settings::Settings;
use crate::snapshot::{NameRecord, Record};
use crate::view::NameLines;
use crate::wire::NameBody;
use std::time::Duration;

/// Streams names that are asked for until the time is over or a signal comes.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    container: Option<String>,
) -> Result<(), Failure> {
    let filter = Filter { topic: Topic::Names, container, ..Filter::default() };
    let mut watch = Watch::start(settings, Some(filter)).await?;
    let lines = NameLines::new(watch.frame(false));
    let mut printer = Printer { lines, told: 0, lost: 0 };
    let ended = stream(&mut watch, watch_for, &mut printer).await;
    let Printer { told, lost, .. } = printer;
    let json = watch.json;
    watch.finish(ended.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    if !json && told == 0 {
        logger::tell("no name was asked for");
    }
    if lost > 0 {
        logger::tell(&format!("{lost} records were lost, because they were not read fast enough"));
    }
    ended.map(|_| ())
}

/// Prints names that were asked for, and counts them.
struct Printer {
    lines: NameLines,
    told: u64,
    lost: u64,
}

impl Print for Printer {
    fn heading(&self) -> Option<String> {
        Some(self.lines.heading().draw(self.lines.frame()))
    }

    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed> {
        for record in records.drain(..) {
            match record {
                Record::Name(name) => self.name(watch, &name).await?,
                Record::Lost(lost) => self.lost = lost,
                Record::Flow(_) | Record::Finding(_) | Record::Standing(_) | Record::Sample(_) => {}
            }
        }
        watch.output.flush().await
    }
}

impl Printer {
    async fn name(&mut self, watch: &mut Watch, name: &NameRecord) -> Result<(), Closed> {
        self.told += 1;
        if watch.json {
            let clock = watch.clock();
            return watch.record(NameBody::new(name, &clock)).await;
        }
        watch.output.line(&self.lines.name(name).draw(self.lines.frame())).await
    }
}
