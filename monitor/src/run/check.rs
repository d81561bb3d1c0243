//! `check`.

use super::failure::Failure;
use super::output::Closed;
use super::watch::{Ended, Watch};
use crate::engine::Filter;
use crate::model::{ContainerState, DockerState, NetworkDriver};
use crate::settings::Settings;
use crate::snapshot::{Finding, Kind, Outcome, Record, Severity, Snapshot};
use crate::wire::{CheckBody, FindingBody, StatusBody};
use anyhow::anyhow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Losses after which nobody can say that everything was seen.
pub(super) const BLINDING: [&str; 11] = [
    "flow_map_full",
    "drain_failed",
    "grace_period_failed",
    "unknown_interface",
    "drop_map_full",
    "drops_missed",
    "flows_forgotten",
    "flows_not_paired",
    "conversations_not_judged",
    "findings_refused",
    "records_lost_by_slow_readers",
];

/// What a check found.
#[derive(Debug)]
pub(super) struct Report {
    findings: Vec<Arc<Finding>>,
    blind: Vec<String>,
    watched_for: Duration,
    fail_on: Severity,
}

/// Watches for a while, prints a summary, and fails if isolation did not hold.
pub(super) async fn run(settings: &Settings, watch_for: Duration, fail_on: Severity) -> Result<(), Failure> {
    let filter = Filter { findings: true, ..Filter::default() };
    let mut watch = Watch::start(settings, Some(filter)).await?;
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let mut latest: BTreeMap<u64, Arc<Finding>> = BTreeMap::new();
    let mut lost = 0;
    let mut over = std::pin::pin!(tokio::time::sleep(watch_for));
    let ended = loop {
        tokio::select! {
            () = watch.signals.next() => break Ended::Signal,
            () = watch.output.closed() => break Ended::Closed,
            () = &mut over => break Ended::Done,
            record = records.recv() => match record {
                Some(Record::Finding(finding)) => drop(latest.insert(finding.id, finding)),
                Some(Record::Lost(count)) => lost = count,
                Some(Record::Flow(_) | Record::Sample(_)) => {}
                None => return Err(anyhow!("the engine ended unexpectedly").into()),
            },
        }
    };
    // What is watched is asked before the programs go.
    let snapshot = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    while let Some(record) = records.recv().await {
        if let Record::Finding(finding) = record {
            latest.insert(finding.id, finding);
        }
    }
    let mut blind = what_was_not_seen(&snapshot);
    if lost > 0 {
        blind.push(format!("{lost} findings were lost"));
    }
    if ended != Ended::Done {
        blind.push("it was ended early".to_owned());
    }
    let mut findings: Vec<_> = latest
        .into_values()
        .filter(|finding| matches!(finding.kind, Kind::Violation | Kind::Broken))
        .collect();
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.first_seen));
    let undecided = findings.iter().filter(|finding| finding.outcome == Outcome::Unknown).count();
    if undecided > 0 {
        blind.push(format!("of {undecided} findings it cannot be told what became of them"));
    }
    let report = Report { findings, blind, watched_for: watch_for, fail_on };
    // Nobody reading it is no reason for another exit code.
    let printed = report.print(&mut watch, &snapshot).await;
    watch.finish(printed.map_or(Ended::Closed, |()| ended)).await?;
    report.verdict()
}

/// Why a check may have missed something.
fn what_was_not_seen(snapshot: &Snapshot) -> Vec<String> {
    let mut blind = Vec::new();
    if !matches!(snapshot.docker, DockerState::Up { .. }) {
        blind.push("Docker did not answer".to_owned());
    }
    for (name, count) in snapshot.losses.iter().filter(|(name, _)| BLINDING.contains(name)) {
        blind.push(format!("{name}: {count}"));
    }
    for row in &snapshot.containers {
        let bridged = row.memberships.iter().any(|it| it.network.driver == NetworkDriver::Bridge);
        if bridged && !row.watched && row.state == ContainerState::Running {
            let why = row.unwatched_reason.as_deref().unwrap_or("no interface of it was found");
            blind.push(format!("container {} was not watched: {why}", row.container.name));
        }
    }
    for device in &snapshot.not_watched {
        blind.push(format!("interface {} was not watched: {}", device.name, device.reason));
    }
    blind
}

impl Report {
    fn failing(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity >= self.fail_on).count()
    }

    async fn print(&self, watch: &mut Watch, snapshot: &Snapshot) -> Result<(), Closed> {
        if watch.json {
            let clock = watch.clock();
            for finding in &self.findings {
                watch.record(FindingBody::new(finding, &clock)).await?;
            }
            watch.record(StatusBody::new(snapshot, &clock)).await?;
            let body = CheckBody::new(self.result(), self.findings.len(), self.failing(), &self.blind);
            return watch.record(body).await;
        }
        watch.output.print(&self.markdown()).await
    }

    const fn result_of(failing: usize, blind: bool) -> &'static str {
        match (failing, blind) {
            (0, false) => "held",
            (0, true) => "blind",
            _ => "findings",
        }
    }

    fn result(&self) -> &'static str {
        Self::result_of(self.failing(), !self.blind.is_empty())
    }

    fn markdown(&self) -> String {
        let mut text = String::from("# Isolation check\n\n");
        let seconds = self.watched_for.as_secs_f64();
        text += &match self.result() {
            "held" => format!("It held: nothing was found in {seconds} s.\n"),
            "blind" => {
                format!("It cannot be told: nothing was found in {seconds} s, but not everything was seen.\n")
            }
            _ => format!("{} findings in {seconds} s.\n", self.findings.len()),
        };
        if !self.findings.is_empty() {
            text += "\n| severity | kind | rule | outcome | what |\n| --- | --- | --- | --- | --- |\n";
            for finding in &self.findings {
                text += &format!(
                    "| {} | {} | {} | {} | {} |\n",
                    finding.severity.name(),
                    finding.kind.name(),
                    finding.rule.as_str(),
                    finding.outcome.name(),
                    finding.explanation.replace('|', "\\|"),
                );
            }
        }
        if !self.blind.is_empty() {
            text += "\nNot seen:\n\n";
            for what in &self.blind {
                text += &format!("- {what}\n");
            }
        }
        text
    }

    fn verdict(&self) -> Result<(), Failure> {
        match self.result() {
            "held" => Ok(()),
            "blind" => Err(Failure::blind("not everything was seen".to_owned())),
            _ => Err(Failure::found(format!("{} findings fail the check", self.failing()))),
        }
    }
}
