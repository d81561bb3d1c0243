//! `replay`: what a recording's engine found.

use super::failure::Failure;
use super::output::Output;
use super::policy;
use super::{logger, terminal};
use crate::model::{KernelTime, SafeText};
use crate::policy::file::Policy;
use crate::recording::{Header, Recording, Replay};
use crate::settings::{Kinds, Settings};
use crate::snapshot::Record;
use crate::view;
use crate::wire::{Clock, FindingBody, StandingBody, Stream};
use anyhow::{Context as _, anyhow};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

/// How long a reader that stands still may delay the end: as good as for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Prints the findings that a recording gives. The policy is that of the recording, unless another is named.
pub(super) async fn run(settings: &Settings, file: &Path, kinds: &Kinds) -> Result<(), Failure> {
    let name = SafeText::new(&file.to_string_lossy());
    let wrong = |error: anyhow::Error| Failure::wrong(error.context(format!("read {name}")));
    let source = File::open(file).map_err(|error| wrong(error.into()))?;
    let mut recording = Recording::open(BufReader::new(source)).map_err(|error| wrong(error.into()))?;
    let header = recording.header().clone();
    let policy = match settings.policy.clone() {
        Some(file) => policy::read(settings, file).await?,
        None => recorded_policy(&header).map_err(wrong)?,
    };
    let mut replay = Replay::new(&header, policy);
    let mut printer = Printer::new(&header, settings.json);
    let mut told = 0_usize;
    for step in recording.by_ref() {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                printer.output.finish(PATIENCE).await?;
                return Err(wrong(error.into()));
            }
        };
        for record in replay.take(step).iter().filter(|record| is_wanted(record, kinds)) {
            told += 1;
            if !printer.print(record).await {
                return printer.output.finish(PATIENCE).await;
            }
        }
    }
    printer.output.finish(PATIENCE).await?;
    if told == 0 && !settings.json {
        logger::tell("nothing was found");
    }
    if !recording.is_complete() {
        logger::tell(&format!("{name} is not complete: what came later was not recorded"));
    }
    Ok(())
}

/// The policy of a recording; its mistakes were told when it was recorded, so there is none.
fn recorded_policy(header: &Header) -> anyhow::Result<Policy> {
    let content = header.policy.as_deref().unwrap_or_default();
    Policy::read(content.as_bytes())
        .map_err(|mistakes| anyhow!("{} mistakes", mistakes.len()))
        .context("the policy in it")
}

/// Whether a record is a finding of these kinds.
fn is_wanted(record: &Record, kinds: &Kinds) -> bool {
    match record {
        Record::Finding(finding) => kinds.of_traffic.contains(&finding.kind),
        Record::Standing(_) => kinds.posture,
        Record::Flow(_) | Record::Sample(_) | Record::Name(_) | Record::Lost(_) => false,
    }
}

struct Printer {
    output: Output,
    stream: Option<Stream>,
    clock: Clock,
}

impl Printer {
    fn new(header: &Header, json: bool) -> Self {
        Self {
            output: Output::to(std::io::stdout()),
            stream: json.then(|| Stream::new(header.host())),
            clock: Clock::new(KernelTime::default(), header.booted),
        }
    }

    /// Prints a finding, of traffic or standing; whether anybody takes it.
    async fn print(&mut self, record: &Record) -> bool {
        let clock = &self.clock;
        let frame = terminal::frame(self.clock, false);
        let (json, lines) = match (record, &mut self.stream) {
            (Record::Finding(finding), Some(stream)) => {
                (Some(stream.line(FindingBody::new(finding, clock))), Vec::new())
            }
            (Record::Standing(standing), Some(stream)) => {
                (Some(stream.line(StandingBody::new(standing, clock))), Vec::new())
            }
            (Record::Finding(finding), None) => (None, view::finding(finding, &frame)),
            (Record::Standing(standing), None) => (None, view::standing(standing, &frame)),
            (Record::Flow(_) | Record::Sample(_) | Record::Name(_) | Record::Lost(_), _) => return true,
        };
        if let Some(line) = json {
            return self.output.line(&line).await.is_ok();
        }
        for line in lines {
            if self.output.line(&line.draw(&frame)).await.is_err() {
                return false;
            }
        }
        true
    }
}
