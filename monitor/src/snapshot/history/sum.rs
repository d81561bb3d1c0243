//! Sums over several spans of time.

use super::choice::Chosen;
use super::interval::{FINDING, Interval, Moment, NAMES, NETWORKS, PAIRS, beside, keep_most};
use super::spans::{ContainerSpan, LatencySpan, NameKey, NameSpan, NetworkSpan, Others, PairEnds, PairSpan};
use crate::model::{ContainerId, NetworkId};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::pairs::Key;
use crate::snapshot::{ContainerRef, Finding, Standing};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Pairs that have a row of their own in a sum.
pub(super) const MOST_PAIRS: usize = 4_096;
/// Names that have one.
pub(super) const MOST_NAMES: usize = 2_048;
/// Services between which latency is kept; there are at most 128 at a time.
pub(super) const MOST_LATENCIES: usize = 512;
/// The same of services and names that several containers share.
pub(super) const MOST_LATENCIES_OF_NAMES: usize = 128;
/// Networks that have one; there are at most 2,000 at a time.
const MOST_NETWORKS: usize = 2_048;
/// Findings that are kept.
const FINDINGS: usize = 64;
/// Findings without room whose ids are known, so that none is counted twice.
const FINDINGS_LEFT: usize = 1_024;
/// Standing findings that are kept.
const MOST_STANDING: usize = 512;
/// Rows that a sum keeps room for when it begins anew.
const ROWS: usize = 64;

/// Intervals that are added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    start: Moment,
    end: Moment,
    containers: HashMap<ContainerId, ContainerSpan>,
    pairs: HashMap<Key, PairSpan>,
    latencies: HashMap<Arc<ServicePair>, LatencySpan>,
    names: HashMap<NameKey, NameSpan>,
    networks: HashMap<NetworkId, NetworkSpan>,
    findings: HashMap<u64, Arc<Finding>>,
    findings_left: HashSet<u64>,
    standing: Vec<Arc<Standing>>,
    others: Others,
    /// What has a row of its own, where not all can have one.
    chosen: Chosen,
}

impl Sum {
    /// Nothing yet, from a moment on.
    pub(super) fn starting(start: Moment) -> Self {
        Self { start, end: start, ..Self::default() }
    }

    /// All of these intervals. Where not all rows find room, those do that are worth most over all of them.
    pub(super) fn of(intervals: &[&Arc<Interval>]) -> Self {
        let start = intervals.first().map_or_else(Moment::default, |first| first.start);
        let (chosen, others) = Chosen::of(intervals);
        let mut sum = Self { chosen, others, ..Self::starting(start) };
        intervals.iter().for_each(|interval| sum.add(interval));
        sum
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
        later.networks.iter().for_each(|span| self.network(span.clone()));
        later.standing.iter().for_each(|standing| self.over(standing));
        self.others += later.others;
    }

    pub(super) fn pair(&mut self, span: PairSpan) {
        let key = span.key();
        if let Some(sum) = self.pairs.get_mut(&key) {
            return sum.add(&span);
        }
        if self.chosen.pairs.as_ref().is_some_and(|chosen| !chosen.contains(&key)) {
            self.others.counts += span.counts;
            return;
        }
        if self.pairs.len() >= MOST_PAIRS {
            self.keep_pairs(MOST_PAIRS / 2);
        }
        self.pairs.insert(key, span);
    }

    pub(super) fn latency(&mut self, span: LatencySpan) {
        if let Some(sum) = self.latencies.get_mut(&span.services) {
            let all = sum.seen.iter_mut().zip(&span.seen);
            return all.for_each(|(sum, more)| sum.merge(more));
        }
        let is_of_name = span.is_of_name();
        let (most, chosen) = if is_of_name {
            (MOST_LATENCIES_OF_NAMES, &self.chosen.latencies_of_names)
        } else {
            (MOST_LATENCIES, &self.chosen.latencies)
        };
        let is_left = chosen.as_ref().is_some_and(|chosen| !chosen.contains(&span.services));
        let kept = || self.latencies.values().filter(|kept| kept.is_of_name() == is_of_name).count();
        let is_full = !is_left && kept() >= most;
        match (is_left || is_full, is_of_name) {
            (false, _) => drop(self.latencies.insert(Arc::clone(&span.services), span)),
            // Its connections are in the rows of the containers behind the name.
            (true, true) => {}
            (true, false) if is_full => self.others.latency(span.handshakes()),
            (true, false) => self.others.handshakes += span.handshakes(),
        }
    }

    pub(super) fn name(&mut self, span: NameSpan) {
        let key = span.key();
        if let Some(sum) = self.names.get_mut(&key) {
            return sum.add(&span);
        }
        if self.chosen.names.as_ref().is_some_and(|chosen| !chosen.contains(&key)) {
            self.others.outcomes += span.outcomes;
            return;
        }
        if self.names.len() >= MOST_NAMES {
            self.keep_names(MOST_NAMES / 2);
        }
        self.names.insert(key, span);
    }

    pub(super) fn network(&mut self, span: NetworkSpan) {
        let is_full = self.networks.len() >= MOST_NETWORKS;
        match self.networks.entry(span.network.id.clone()) {
            Entry::Occupied(mut sum) => sum.get_mut().add(span),
            Entry::Vacant(_) if is_full => self.others.network(span.reach),
            Entry::Vacant(room) => drop(room.insert(span)),
        }
    }

    /// A standing finding is over.
    pub(super) fn over(&mut self, standing: &Arc<Standing>) {
        if self.standing.len() < MOST_STANDING {
            self.standing.push(Arc::clone(standing));
        } else {
            self.others.standing += 1;
        }
    }

    /// Adds what found no room before it came here.
    pub(super) fn others(&mut self, others: Others) {
        self.others += others;
    }

    /// What it is until `end`; it begins anew from there.
    pub(super) fn take(&mut self, end: Moment) -> Interval {
        let Self { containers, pairs, latencies, names, networks, findings, findings_left, .. } = self;
        let interval = Interval {
            start: self.start,
            end,
            containers: containers.drain().map(|(_, span)| span).collect(),
            pairs: pairs.drain().map(|(_, span)| span).collect(),
            latencies: latencies.drain().map(|(_, span)| span).collect(),
            names: names.drain().map(|(_, span)| span).collect(),
            networks: networks.drain().map(|(_, span)| span).collect(),
            standing: std::mem::take(&mut self.standing),
            findings: findings.drain().map(|(_, finding)| finding).collect(),
            findings_left: findings_left.drain().collect(),
            others: std::mem::take(&mut self.others),
        };
        // What was large once is not kept so.
        self.containers.shrink_to(ROWS);
        self.pairs.shrink_to(ROWS);
        self.latencies.shrink_to(ROWS);
        self.names.shrink_to(ROWS);
        self.networks.shrink_to(ROWS);
        self.findings.shrink_to(ROWS);
        self.findings_left.shrink_to(ROWS);
        (self.start, self.end) = (end, end);
        interval
    }

    /// Memory it takes, in bytes; what it shares with others counts as its own.
    pub(super) fn bytes(&self) -> usize {
        let Self { containers, pairs, latencies, names, networks, findings, findings_left, .. } = self;
        size_of::<Self>()
            + containers.capacity() * size_of::<(ContainerId, ContainerSpan)>()
            + pairs.capacity() * size_of::<(Key, PairSpan)>()
            + pairs.len() * size_of::<PairEnds>()
            + latencies.capacity() * size_of::<(Arc<ServicePair>, LatencySpan)>()
            + latencies.len() * size_of::<ServicePair>()
            + names.capacity() * size_of::<(NameKey, NameSpan)>()
            + networks.capacity() * size_of::<(NetworkId, NetworkSpan)>()
            + networks.values().map(NetworkSpan::bytes).sum::<usize>()
            + (findings.len() + self.standing.len()) * FINDING
            + (findings.capacity() + findings_left.capacity()) * size_of::<(u64, u64)>()
            + beside(containers.values(), pairs.values(), latencies.values(), names.values())
    }

    /// Takes no more than so much memory: else only as many pairs, names and networks stay as an interval has, the rest is
    /// among the others.
    pub(super) fn keep_within(&mut self, bytes: usize) {
        if self.bytes() <= bytes {
            return;
        }
        self.keep_pairs(PAIRS);
        self.keep_names(NAMES);
        self.keep_networks(NETWORKS);
    }

    /// Keeps so many pairs, those that are worth most; the rest is among the others.
    fn keep_pairs(&mut self, most: usize) {
        let Self { pairs, others, .. } = self;
        let mut rows = std::mem::take(pairs).into_values().collect();
        keep_most(&mut rows, most, PairSpan::weight, |pair| others.pair(pair.counts));
        rows.iter_mut().for_each(PairSpan::shrink);
        pairs.extend(rows.into_iter().map(|row| (row.key(), row)));
    }

    /// Keeps so many names, those that are worth most; the rest is among the others.
    fn keep_names(&mut self, most: usize) {
        let Self { names, others, .. } = self;
        let mut rows = std::mem::take(names).into_values().collect();
        keep_most(&mut rows, most, NameSpan::weight, |name| others.name(name.outcomes));
        names.extend(rows.into_iter().map(|row| (row.key(), row)));
    }

    /// Keeps so many networks, those that are worth most; the rest is among the others.
    fn keep_networks(&mut self, most: usize) {
        let Self { networks, others, .. } = self;
        let mut rows = std::mem::take(networks).into_values().collect();
        keep_most(&mut rows, most, NetworkSpan::weight, |network| others.network(network.reach));
        networks.extend(rows.into_iter().map(|row| (row.network.id.clone(), row)));
    }

    /// What it is now.
    pub(super) fn whole(&self) -> Interval {
        self.clone().take(self.end)
    }
}
