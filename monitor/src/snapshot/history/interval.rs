//! One span of time, and sums over several.

use super::spans::{ContainerSpan, LatencySpan, NameSpan, Others, PairEnds, PairSpan};
use crate::flows::Spread;
use crate::model::{ContainerId, KernelTime, SafeText, WallTime};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::pairs::Key;
use crate::snapshot::{ContainerRef, Finding};
use serde::{Deserialize, Serialize};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Pairs that have a row of their own in one interval.
const PAIRS: usize = 512;
/// Names that have one.
const NAMES: usize = 256;
/// Findings that are kept of one.
const FINDINGS: usize = 64;
/// Findings without room whose ids are known, so that none is counted twice.
const FINDINGS_LEFT: usize = 1_024;
/// How many times as many rows a sum of intervals has room for.
const OF_SUM: usize = 8;
/// Services between which latency is kept in a sum; there are at most 128 at a time.
const LATENCIES: usize = 512;
/// Rows that a sum keeps room for when it begins anew.
const ROWS: usize = 64;
/// What a finding is taken to need, in bytes: its texts are of bounded length.
const FINDING: usize = 2_048;

/// A moment on both clocks, as they were then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// On the kernel's, which is never set.
    pub kernel: KernelTime,
    /// On the wall clock.
    pub wall: WallTime,
}

/// What was counted between two moments. Intervals follow each other without a gap.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// From when.
    pub start: Moment,
    /// Until when.
    pub end: Moment,
    /// Containers of which something was counted.
    pub containers: Vec<ContainerSpan>,
    /// Pairs of which something was; at most 512.
    pub pairs: Vec<PairSpan>,
    /// Services between which latency was measured.
    pub latencies: Vec<LatencySpan>,
    /// Names that were asked for; at most 256.
    pub names: Vec<NameSpan>,
    /// Findings that were told, each as it was told last; at most 64, the worst.
    pub findings: Vec<Arc<Finding>>,
    /// Ids of those that found no room; at most 1,024.
    pub findings_left: Vec<u64>,
    /// What found no room in these.
    pub others: Others,
}

impl Interval {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.end.kernel.since(self.start.kernel)
    }

    /// When it began, on the wall clock; where that was set back meanwhile, as far before its end as it is long.
    #[must_use]
    pub fn from(&self) -> WallTime {
        let length = i64::try_from(self.length().as_nanos()).unwrap_or(i64::MAX);
        if self.start.wall <= self.end.wall {
            self.start.wall
        } else {
            WallTime(self.end.wall.0.saturating_sub(length))
        }
    }

    /// Memory it takes, in bytes; what it shares with others counts as its own.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.containers.capacity() * size_of::<ContainerSpan>()
            + self.pairs.capacity() * (size_of::<PairSpan>() + size_of::<PairEnds>())
            + self.latencies.capacity() * (size_of::<LatencySpan>() + size_of::<ServicePair>())
            + self.names.capacity() * size_of::<NameSpan>()
            + self.findings.capacity() * FINDING
            + self.findings_left.capacity() * size_of::<u64>()
            + beside(self.containers.iter(), self.pairs.iter(), self.latencies.iter(), self.names.iter())
    }
}

/// Memory that rows take beside themselves, in bytes.
fn beside<'a>(
    containers: impl Iterator<Item = &'a ContainerSpan>,
    pairs: impl Iterator<Item = &'a PairSpan>,
    latencies: impl Iterator<Item = &'a LatencySpan>,
    names: impl Iterator<Item = &'a NameSpan>,
) -> usize {
    let spreads = pairs.map(PairSpan::bytes);
    let spreads = spreads.chain(containers.map(|row| row.names_took.bytes()));
    let spreads = spreads.chain(latencies.flat_map(|row| &row.seen).map(Spread::bytes));
    let names = names.map(|row| row.took.bytes() + row.name.as_str().len());
    spreads.chain(names).sum()
}

type NameKey = (ContainerId, SafeText, SafeText, bool);

/// Intervals that are added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    start: Moment,
    end: Moment,
    containers: HashMap<ContainerId, ContainerSpan>,
    pairs: HashMap<Key, PairSpan>,
    latencies: HashMap<Arc<ServicePair>, LatencySpan>,
    names: HashMap<NameKey, NameSpan>,
    findings: HashMap<u64, Arc<Finding>>,
    findings_left: HashSet<u64>,
    others: Others,
}

impl Sum {
    /// Nothing yet, from a moment on.
    pub(super) fn starting(start: Moment) -> Self {
        Self { start, end: start, ..Self::default() }
    }

    /// From when.
    pub(super) const fn start(&self) -> Moment {
        self.start
    }

    /// Until when.
    pub(super) const fn end(&self) -> Moment {
        self.end
    }

    /// How long it is.
    pub(super) fn length(&self) -> Duration {
        self.end.kernel.since(self.start.kernel)
    }

    /// A container's share.
    pub(super) fn container(&mut self, container: &Arc<ContainerRef>) -> &mut ContainerSpan {
        if !self.containers.contains_key(&container.id) {
            let nothing = ContainerSpan::nothing(Arc::clone(container));
            self.containers.insert(container.id.clone(), nothing);
        }
        let span = self.containers.get_mut(&container.id).expect("it was put there");
        if !Arc::ptr_eq(&span.container, container) {
            span.container = Arc::clone(container);
        }
        span
    }

    /// A finding was told. Where there is no room, the least makes some.
    pub(super) fn finding(&mut self, finding: &Arc<Finding>) {
        if self.findings.len() >= FINDINGS && !self.findings.contains_key(&finding.id) {
            let least = self.findings.values().min_by_key(|kept| (kept.severity, kept.last_seen, kept.id));
            match least.map(|least| (least.severity, least.id)) {
                Some((severity, id)) if severity < finding.severity => {
                    self.findings.remove(&id);
                    self.finding_left(id);
                }
                _ => return self.finding_left(finding.id),
            }
        }
        self.findings_left.remove(&finding.id);
        self.findings.insert(finding.id, Arc::clone(finding));
    }

    /// A finding has no room; it is counted once, however often it is told.
    fn finding_left(&mut self, id: u64) {
        if self.findings_left.len() < FINDINGS_LEFT {
            self.findings_left.insert(id);
        } else if !self.findings_left.contains(&id) {
            self.others.findings += 1;
        }
    }

    /// Adds an interval that follows.
    pub(super) fn add(&mut self, later: &Interval) {
        self.end = later.end;
        for span in &later.containers {
            self.container(&span.container).add(span);
        }
        later.pairs.iter().for_each(|span| self.pair(span.clone()));
        later.latencies.iter().for_each(|span| self.latency(span.clone()));
        later.names.iter().for_each(|span| self.name(span.clone()));
        later.findings.iter().for_each(|finding| self.finding(finding));
        for id in &later.findings_left {
            if !self.findings.contains_key(id) {
                self.finding_left(*id);
            }
        }
        self.others += later.others;
    }

    pub(super) fn pair(&mut self, span: PairSpan) {
        let is_full = self.pairs.len() >= PAIRS * OF_SUM;
        match self.pairs.entry(span.key()) {
            Entry::Occupied(mut sum) => sum.get_mut().add(&span),
            Entry::Vacant(_) if is_full => self.others.pair(span.counts),
            Entry::Vacant(room) => drop(room.insert(span)),
        }
    }

    pub(super) fn latency(&mut self, span: LatencySpan) {
        let is_full = self.latencies.len() >= LATENCIES;
        match self.latencies.entry(Arc::clone(&span.services)) {
            Entry::Occupied(mut sum) => {
                let all = sum.get_mut().seen.iter_mut().zip(&span.seen);
                all.for_each(|(sum, more)| sum.merge(more));
            }
            Entry::Vacant(_) if is_full => self.others.latency(span.handshakes()),
            Entry::Vacant(room) => drop(room.insert(span)),
        }
    }

    pub(super) fn name(&mut self, span: NameSpan) {
        let NameSpan { container, name, record_type, forwarded, .. } = &span;
        let is_full = self.names.len() >= NAMES * OF_SUM;
        match self.names.entry((container.id.clone(), name.clone(), record_type.clone(), *forwarded)) {
            Entry::Occupied(mut sum) => sum.get_mut().add(&span),
            Entry::Vacant(_) if is_full => self.others.name(span.outcomes),
            Entry::Vacant(room) => drop(room.insert(span)),
        }
    }

    /// Adds what found no room before it came here.
    pub(super) fn others(&mut self, others: Others) {
        self.others += others;
    }

    /// What it is until `end`; it begins anew from there.
    pub(super) fn take(&mut self, end: Moment) -> Interval {
        let Self { containers, pairs, latencies, names, findings, findings_left, .. } = self;
        let interval = Interval {
            start: self.start,
            end,
            containers: containers.drain().map(|(_, span)| span).collect(),
            pairs: pairs.drain().map(|(_, span)| span).collect(),
            latencies: latencies.drain().map(|(_, span)| span).collect(),
            names: names.drain().map(|(_, span)| span).collect(),
            findings: findings.drain().map(|(_, finding)| finding).collect(),
            findings_left: findings_left.drain().collect(),
            others: std::mem::take(&mut self.others),
        };
        // What was large once is not kept so.
        self.containers.shrink_to(ROWS);
        self.pairs.shrink_to(ROWS);
        self.latencies.shrink_to(ROWS);
        self.names.shrink_to(ROWS);
        self.findings.shrink_to(ROWS);
        self.findings_left.shrink_to(ROWS);
        (self.start, self.end) = (end, end);
        interval
    }

    /// Memory it takes, in bytes; what it shares with others counts as its own.
    pub(super) fn bytes(&self) -> usize {
        let Self { containers, pairs, latencies, names, findings, findings_left, .. } = self;
        size_of::<Self>()
            + containers.capacity() * size_of::<(ContainerId, ContainerSpan)>()
            + pairs.capacity() * size_of::<(Key, PairSpan)>()
            + pairs.len() * size_of::<PairEnds>()
            + latencies.capacity() * size_of::<(Arc<ServicePair>, LatencySpan)>()
            + latencies.len() * size_of::<ServicePair>()
            + names.capacity() * size_of::<(NameKey, NameSpan)>()
            + findings.len() * FINDING
            + (findings.capacity() + findings_left.capacity()) * size_of::<(u64, u64)>()
            + beside(containers.values(), pairs.values(), latencies.values(), names.values())
    }

    /// Takes no more than so much memory: else only as many pairs and names stay as an interval has, the rest is among
    /// the others.
    pub(super) fn keep_within(&mut self, bytes: usize) {
        if self.bytes() <= bytes {
            return;
        }
        let Self { pairs, names, others, .. } = self;
        let mut rows = std::mem::take(pairs).into_values().collect();
        keep_most(&mut rows, PAIRS, PairSpan::weight, |pair| others.pair(pair.counts));
        rows.iter_mut().for_each(PairSpan::shrink);
        pairs.extend(rows.into_iter().map(|row| (row.key(), row)));
        let mut rows = std::mem::take(names).into_iter().collect();
        keep_most(&mut rows, NAMES, |(_, name)| name.weight(), |(_, name)| others.name(name.outcomes));
        names.extend(rows);
    }

    /// What it is now.
    pub(super) fn whole(&self) -> Interval {
        self.clone().take(self.end)
    }
}

impl Interval {
    /// As it is kept: what has no room is among the others, and memory is given back.
    pub(super) fn fitted(mut self) -> Self {
        let Self { pairs, names, others, .. } = &mut self;
        keep_most(pairs, PAIRS, PairSpan::weight, |pair| others.pair(pair.counts));
        keep_most(names, NAMES, NameSpan::weight, |name| others.name(name.outcomes));
        pairs.iter_mut().for_each(PairSpan::shrink);
        names.iter_mut().for_each(|name| name.took.shrink());
        self.containers.iter_mut().for_each(|row| row.names_took.shrink());
        self.latencies.iter_mut().flat_map(|row| &mut row.seen).for_each(Spread::shrink);
        self
    }
}

/// Keeps so many with the most weight.
fn keep_most<T, W: Ord>(rows: &mut Vec<T>, most: usize, weight: impl Fn(&T) -> W, leave: impl FnMut(T)) {
    if rows.len() > most {
        rows.select_nth_unstable_by(most, |one, other| weight(other).cmp(&weight(one)));
        rows.drain(most..).for_each(leave);
        rows.shrink_to_fit();
    }
}
