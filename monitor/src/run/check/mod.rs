//! `check`.

mod report;

use super::failure::Failure;
use super::picture::{self, READY_PATIENCE};
use super::watch::{Ended, Watch};
use crate::engine::{Filter, Topic};
use crate::model::{ContainerState, DockerState, Losses, NetworkDriver};
use crate::settings::{Kinds, Settings};
use crate::snapshot::{Finding, Outcome, Record, Severity, Snapshot, Standing};
use crate::wire::losses::BLINDING;
use anyhow::anyhow;
use report::Report;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What was found, each in its last revision.
#[derive(Default)]
struct Latest {
    findings: BTreeMap<u64, Arc<Finding>>,
    standing: BTreeMap<u64, Arc<Standing>>,
    lost: u64,
}

impl Latest {
    fn take(&mut self, record: Record) {
        match record {
            Record::Finding(finding) => drop(self.findings.insert(finding.id, finding)),
            Record::Standing(standing) => drop(self.standing.insert(standing.id, standing)),
            Record::Lost(count) => self.lost = count,
            Record::Flow(_) | Record::Sample(_) | Record::Name(_) => {}
        }
    }
}

/// Watches for a while, prints a summary, and fails if isolation did not hold.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Duration,
    kinds: &Kinds,
    fail_on: Severity,
) -> Result<(), Failure> {
    let filter = Filter { topic: Topic::Findings, ..Filter::default() };
    let mut watch = Watch::start(settings, Some(filter)).await?;
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let mut latest = Latest::default();
    let (since, lost_before) = watch.session.since();
    let mut over = std::pin::pin!(tokio::time::sleep(READY_PATIENCE + watch_for));
    let mut is_ready = false;
    let ended = loop {
        if !is_ready && picture::is_ready(&watch.session.snapshot(), &watch) {
            is_ready = true;
            over.as_mut().reset(Instant::now() + watch_for);
        }
        tokio::select! {
            () = watch.signals.next() => break Ended::Signal,
            () = watch.output.closed() => break Ended::Closed,
            () = &mut over => break Ended::Done,
            changed = watch.session.changed(), if !is_ready => changed?,
            record = records.recv() => match record {
                Some(record) => latest.take(record),
                None => return Err(watch.session.ended()),
            },
        }
    };
    // What is watched is asked before the programs go, what was lost when all that they counted is told.
    let snapshot = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    while let Some(record) = records.recv().await {
        latest.take(record);
    }
    let lost = watch.session.snapshot().losses.since(&lost_before);
    let mut blind = what_was_not_seen(&snapshot, &lost);
    if kinds.posture {
        blind.extend(what_may_stand(&snapshot, &lost));
    }
    if latest.lost > 0 {
        blind.push(format!("{} findings were lost", latest.lost));
    }
    if ended != Ended::Done {
        blind.push("it was ended early".to_owned());
    }
    // An agent tells what was open before, and what had its last packet before does not count.
    let counts = |it: &Arc<Finding>| kinds.of_traffic.contains(&it.kind) && it.last_seen >= since;
    let mut findings: Vec<_> = latest.findings.into_values().filter(counts).collect();
    findings.sort_by_key(|finding| (Reverse(finding.severity), finding.first_seen));
    let mut standing: Vec<_> = latest.standing.into_values().collect();
    standing.sort_by_key(|one| (Reverse(one.severity), one.rule, one.subject.name().clone(), one.id));
    let undecided = findings.iter().filter(|finding| finding.outcome == Outcome::Unknown).count();
    if undecided > 0 {
        blind.push(format!("of {undecided} findings it cannot be told what became of them"));
    }
    let posture_counts = kinds.posture;
    let report = Report { findings, standing, posture_counts, blind, watched_for: watch_for, fail_on };
    // Nobody reading it is no reason for another exit code.
    let printed = report.print(&mut watch, &snapshot).await;
    watch.finish(printed.map_or(Ended::Closed, |()| ended)).await?;
    report.verdict()
}

/// Why a check may have missed something that stands.
fn what_may_stand(snapshot: &Snapshot, lost: &Losses) -> impl Iterator<Item = String> {
    let unknown = (snapshot.rights_unknown as u64, "containers whose rights and mounts Docker did not tell");
    let refused = (lost.get("standing_findings_refused"), "standing findings without room");
    let some = [unknown, refused].into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}"))
}

/// Why a check may have missed something.
fn what_was_not_seen(snapshot: &Snapshot, lost: &Losses) -> Vec<String> {
    let mut blind = Vec::new();
    if !matches!(snapshot.docker, DockerState::Up { .. }) {
        blind.push("Docker did not answer".to_owned());
    }
    for (name, count) in lost.iter().filter(|(name, _)| BLINDING.contains(name)) {
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
