//! What was counted in the last hour: by the second for five minutes, by the minute before that.
//!
//! Intervals follow each other without a gap, and what leaves the seconds is added to the minute that is being made. So
//! nothing is in two of them, and the sum of all is what the totals grew by. Where there is so much that memory would
//! not do, seconds become minutes earlier and minutes are forgotten earlier: what is kept stays exact, and says how fine it is.

mod choice;
mod interval;
mod past;
mod spans;
mod sum;
mod traced;

pub use interval::{Interval, Moment};
pub use past::{Asked as AskedPast, NotKept, Past, Point, Told, look_back};
pub use spans::{
    Connections, ContainerSpan, LatencySpan, NameSpan, NetworkSpan, Others, PairCounts, PairEnds, PairSpan,
};
pub use traced::Traced;

use crate::model::{KernelTime, WallTime};
use crate::snapshot::{ContainerRef, Finding, Standing};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use sum::Sum;

/// The shortest interval; ticks are not exact.
const SECOND: Duration = Duration::from_millis(900);
/// How long intervals stay as they are.
const BY_SECOND: Duration = Duration::from_secs(5 * 60);
/// The shortest minute.
const MINUTE: Duration = Duration::from_millis(59_500);
/// How long minutes are kept.
const BY_MINUTE: Duration = Duration::from_secs(60 * 60);
/// The most memory that seconds take, and that minutes take, in bytes.
const ROOM: [usize; 2] = [16 << 20, 8 << 20];
/// The most that the minute takes that is being made; where it would be more, only the pairs, names and networks stay that weigh most.
const MAKING: usize = 4 << 20;
/// A difference between both clocks' offsets that is no inexact reading.
const STEP: i64 = 20_000_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// From when on.
    pub since: Moment,
    /// Intervals of a second or a tick.
    pub seconds: usize,
    /// Intervals of a minute.
    pub minutes: usize,
    /// Memory they take, in bytes, with what is being made.
    pub bytes: usize,
}

/// What comes at the end of an interval from counters that go on.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) pairs: Vec<PairSpan>,
    pub(super) latencies: Vec<LatencySpan>,
    pub(super) names: Vec<NameSpan>,
    pub(super) networks: Vec<NetworkSpan>,
    pub(super) others: Others,
}

/// The last hour.
#[derive(Debug)]
pub struct History {
    /// The wall clock when the kernel's began.
    booted: WallTime,
    started: KernelTime,
    open: Sum,
    seconds: VecDeque<Arc<Interval>>,
    /// The minute that is being made.
    minute: Sum,
    minutes: VecDeque<Arc<Interval>>,
    /// Memory of seconds and of minutes.
    bytes: [usize; 2],
}

impl History {
    pub(super) fn new(started: KernelTime, booted: WallTime) -> Self {
        let start = moment(started, booted);
        Self {
            booted,
            started,
            open: Sum::starting(start),
            seconds: VecDeque::new(),
            minute: Sum::starting(start),
            minutes: VecDeque::new(),
            bytes: [0, 0],
        }
    }

    /// When it began.
    pub(super) const fn started(&self) -> KernelTime {
        self.started
    }

    /// The wall clock when the kernel's began, as both say now.
    pub(super) fn clock_is(&mut self, booted: WallTime) {
        if booted.0.abs_diff(self.booted.0) > STEP.unsigned_abs() {
            self.booted = booted;
        }
    }

    /// A container's share of now.
    pub(super) fn container(&mut self, container: &Arc<ContainerRef>) -> &mut ContainerSpan {
        self.open.container(container)
    }

    /// A finding was told.
    pub(super) fn finding(&mut self, finding: &Arc<Finding>) {
        self.open.finding(finding);
    }

    /// A standing finding is over.
    pub(super) fn over(&mut self, standing: &Arc<Standing>) {
        self.open.over(standing);
    }

    /// Whether a tick that ends now ends an interval.
    pub(super) fn is_due(&self, tick_end: KernelTime) -> bool {
        tick_end.since(self.open_since()) >= SECOND
    }

    fn open_since(&self) -> KernelTime {
        self.seconds.back().map_or(self.started, |last| last.end.kernel)
    }

    /// Ends an interval, with what comes from counters that go on.
    pub(super) fn seal(&mut self, tick_end: KernelTime, counted: Counted) {
        let Counted { pairs, latencies, names, networks, others } = counted;
        pairs.into_iter().for_each(|span| self.open.pair(span));
        latencies.into_iter().for_each(|span| self.open.latency(span));
        names.into_iter().for_each(|span| self.open.name(span));
        networks.into_iter().for_each(|span| self.open.network(span));
        self.open.others(others);
        let second = self.open.take(moment(tick_end, self.booted)).fitted();
        self.bytes[0] += second.bytes();
        self.seconds.push_back(Arc::new(second));
        self.grow_old(tick_end);
    }

    /// Makes minutes of old seconds, and forgets old minutes.
    fn grow_old(&mut self, now: KernelTime) {
        while let Some(first) = self.seconds.front() {
            let is_old = now.since(first.end.kernel) >= BY_SECOND;
            // The latest one stays: the next begins where it ends.
            if self.seconds.len() < 2 || !(is_old || self.bytes[0] > ROOM[0]) {
                break;
            }
            self.bytes[0] -= first.bytes();
            self.minute.add(first);
            self.minute.keep_within(MAKING);
            self.seconds.pop_front();
            if self.minute.length() >= MINUTE {
                let end = self.minute.end();
                let minute = self.minute.take(end).fitted();
                self.bytes[1] += minute.bytes();
                self.minutes.push_back(Arc::new(minute));
            }
        }
        while let Some(first) = self.minutes.front() {
            if now.since(first.end.kernel) < BY_MINUTE && self.bytes[1] <= ROOM[1] {
                break;
            }
            self.bytes[1] -= first.bytes();
            self.minutes.pop_front();
        }
    }

    /// All intervals, the oldest first.
    #[must_use]
    pub fn intervals(&self) -> Vec<Arc<Interval>> {
        let minute = (!self.minute.length().is_zero()).then(|| Arc::new(self.minute.whole()));
        self.minutes.iter().cloned().chain(minute).chain(self.seconds.iter().cloned()).collect()
    }

    /// How much is kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let first = self.minutes.front().map(|minute| minute.start);
        Kept {
            since: first.unwrap_or_else(|| self.minute.start()),
            seconds: self.seconds.len(),
            minutes: self.minutes.len() + usize::from(!self.minute.length().is_zero()),
            bytes: self.bytes.iter().sum::<usize>() + self.minute.bytes() + self.open.bytes(),
        }
    }
}

fn moment(kernel: KernelTime, booted: WallTime) -> Moment {
    Moment { kernel, wall: WallTime(booted.0.saturating_add_unsigned(kernel.0)) }
}

#[cfg(test)]
mod tests;
