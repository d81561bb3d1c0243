//! The window that rates are about: moments at which all totals were read.

use crate::model::{KernelTime, Traffic};
use std::collections::VecDeque;
use std::time::Duration;

/// Marks a window is divided into at most; readings closer together are not marked.
const MARKS: u32 = 60;

/// The moments that were marked, oldest first.
#[derive(Debug)]
pub(super) struct Marks {
    window: Duration,
    marks: VecDeque<(u64, KernelTime)>,
    next: u64,
    since: Option<KernelTime>,
    latest: KernelTime,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// The mark at its start; absent when the watch is younger than the window.
    pub(super) mark: Option<u64>,
    /// How long it is.
    pub(super) window: Duration,
}

impl Marks {
    pub(super) const fn new(window: Duration) -> Self {
        Self { window, marks: VecDeque::new(), next: 0, since: None, latest: KernelTime(0) }
    }

    /// Since when anything is watched.
    pub(super) fn start(&mut self, at: KernelTime) {
        self.since.get_or_insert(at);
        self.latest = self.latest.max(at);
    }

    /// All totals were read at `at`; the mark's number, if this reading is to be kept.
    pub(super) fn read(&mut self, at: KernelTime) -> Option<u64> {
        self.start(at);
        if self.marks.back().is_some_and(|(_, last)| at.since(*last) < self.window / MARKS) {
            return None;
        }
        let mark = self.next;
        self.next += 1;
        self.marks.push_back((mark, at));
        // One mark older than the window is its base; half a window more tolerates a late reading.
        let oldest = self.latest.minus(self.window * 3 / 2);
        while self.marks.len() > 2 && self.marks.front().is_some_and(|(_, at)| *at < oldest) {
            self.marks.pop_front();
        }
        Some(mark)
    }

    /// The oldest mark that can still be a base.
    pub(super) fn oldest(&self) -> u64 {
        self.marks.front().map_or(self.next, |(mark, _)| *mark)
    }

    /// Where the window that ends with the latest reading begins: at the mark nearest to its nominal start.
    pub(super) fn base(&self) -> Base {
        let whole = self.since.map_or(Duration::ZERO, |since| self.latest.since(since));
        let start = self.latest.minus(self.window);
        let nearest = self.marks.iter().min_by_key(|(_, at)| at.0.abs_diff(start.0));
        match nearest {
            Some((mark, at)) if whole > self.window && *at < self.latest => {
                Base { mark: Some(*mark), window: self.latest.since(*at) }
            }
            _ => Base { mark: None, window: whole },
        }
    }
}

/// An interface's totals at the marks.
#[derive(Debug, Default)]
pub(super) struct AtMarks(VecDeque<(u64, Traffic)>);

impl AtMarks {
    pub(super) fn push(&mut self, mark: u64, totals: Traffic, oldest: u64) {
        self.0.push_back((mark, totals));
        while self.0.front().is_some_and(|(mark, _)| *mark < oldest) && self.0.len() > 1 {
            self.0.pop_front();
        }
    }

    /// Of `latest`, what fell into the window.
    pub(super) fn window(&self, latest: Traffic, base: Base) -> Traffic {
        let at_base = base
            .mark
            .and_then(|base| self.0.iter().rev().find(|(mark, _)| *mark <= base))
            .map(|(_, totals)| *totals);
        let earlier = at_base.unwrap_or_default();
        Traffic {
            sent: latest.sent.since(&earlier.sent).unwrap_or_default(),
            received: latest.received.since(&earlier.received).unwrap_or_default(),
        }
    }

    /// Whether the last reading is older than the window: nothing of it is in there.
    pub(super) fn is_before(&self, base: Base) -> bool {
        base.mark.is_some_and(|base| self.0.back().is_none_or(|(mark, _)| *mark <= base))
    }
}

#[cfg(test)]
mod tests {
    use super::{AtMarks, Marks};
    use crate::model::{Counts, KernelTime, Traffic};
    use std::time::Duration;

    fn traffic(packets: u64) -> Traffic {
        let counts = Counts { packets, bytes: packets * 100, skbs: packets, skb_bytes: packets * 100 };
        Traffic { sent: counts, received: Counts::default() }
    }

    #[test]
    fn a_window_is_the_difference_of_two_readings_and_says_how_long_it_is() {
        let mut marks = Marks::new(Duration::from_secs(10));
        let mut at_marks = AtMarks::default();
        marks.start(KernelTime(0));
        for second in 1..=30_u64 {
            let mark = marks.read(KernelTime(second * 1_000_000_000)).unwrap();
            at_marks.push(mark, traffic(second), marks.oldest());
            let base = marks.base();
            let expected = second.min(10);
            assert_eq!(base.window, Duration::from_secs(expected), "after {second} s");
            assert_eq!(at_marks.window(traffic(second), base), traffic(expected), "after {second} s");
        }
        assert!(at_marks.0.len() <= 16);
    }

    #[test]
    fn fast_readings_keep_few_marks() {
        let mut marks = Marks::new(Duration::from_secs(10));
        let mut at_marks = AtMarks::default();
        marks.start(KernelTime(0));
        for step in 1..=10_000_u64 {
            if let Some(mark) = marks.read(KernelTime(step * 10_000_000)) {
                at_marks.push(mark, traffic(step), marks.oldest());
            }
        }
        assert!(at_marks.0.len() <= 100, "{}", at_marks.0.len());
        let base = marks.base();
        assert!(base.window.abs_diff(Duration::from_secs(10)) < Duration::from_millis(200), "{base:?}");
        let packets = at_marks.window(traffic(10_000), base).sent.packets;
        assert_eq!(u128::from(packets), base.window.as_millis() / 10);
    }
}
