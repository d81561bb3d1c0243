//! One span of time.

use super::spans::{ContainerSpan, LatencySpan, NameSpan, NetworkSpan, Others, PairEnds, PairSpan, Weight};
use crate::flows::Spread;
use crate::model::{KernelTime, WallTime};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::{Finding, Standing};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Pairs that have a row of their own in one interval.
pub(super) const PAIRS: usize = 512;
/// Names that have one.
pub(super) const NAMES: usize = 256;
/// Networks that have one.
pub(super) const NETWORKS: usize = 256;
/// Standing findings that are kept of one.
const STANDING: usize = 64;
/// What a finding is taken to need, in bytes: its texts are of bounded length.
pub(super) const FINDING: usize = 2_048;

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
    /// Networks on which something was counted; at most 256.
    pub networks: Vec<NetworkSpan>,
    /// Findings that were told, each as it was told last; at most 64, the worst.
    pub findings: Vec<Arc<Finding>>,
    /// Ids of those that found no room; at most 1,024.
    pub findings_left: Vec<u64>,
    /// Standing findings that were over; at most 64.
    pub standing: Vec<Arc<Standing>>,
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
            + self.networks.capacity() * size_of::<NetworkSpan>()
            + self.networks.iter().map(NetworkSpan::bytes).sum::<usize>()
            + (self.findings.capacity() + self.standing.capacity()) * FINDING
            + self.findings_left.capacity() * size_of::<u64>()
            + beside(self.containers.iter(), self.pairs.iter(), self.latencies.iter(), self.names.iter())
    }
}

/// Memory that rows take beside themselves, in bytes.
pub(super) fn beside<'a>(
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

impl Interval {
    /// As it is kept: what has no room is among the others, and memory is given back.
    pub(super) fn fitted(mut self) -> Self {
        let Self { pairs, names, networks, standing, others, .. } = &mut self;
        keep_most(pairs, PAIRS, PairSpan::weight, |pair| others.pair(pair.counts));
        keep_most(names, NAMES, NameSpan::weight, |name| others.name(name.outcomes));
        keep_most(networks, NETWORKS, NetworkSpan::weight, |network| others.network(network.reach));
        others.standing += standing.len().saturating_sub(STANDING) as u64;
        standing.truncate(STANDING);
        pairs.iter_mut().for_each(PairSpan::shrink);
        names.iter_mut().for_each(|name| name.took.shrink());
        self.containers.iter_mut().for_each(|row| row.names_took.shrink());
        self.latencies.iter_mut().flat_map(|row| &mut row.seen).for_each(Spread::shrink);
        self
    }
}

/// Keeps so many with the most weight.
pub(super) fn keep_most<T>(
    rows: &mut Vec<T>,
    most: usize,
    weight: impl Fn(&T) -> Weight,
    leave: impl FnMut(T),
) {
    if rows.len() > most {
        rows.select_nth_unstable_by(most, |one, other| weight(other).rank().cmp(&weight(one).rank()));
        rows.drain(most..).for_each(leave);
        rows.shrink_to_fit();
    }
}
