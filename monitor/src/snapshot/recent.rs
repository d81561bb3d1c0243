//! What fell into the last window, for figures that come with the flows of a tick.

use crate::model::KernelTime;
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

/// Parts a window is divided into at most: ticks that are shorter share one.
const PARTS: u32 = 10;

/// Sums of the last ticks, by the time at which each ended.
#[derive(Debug)]
pub(super) struct Recent<T>(VecDeque<(KernelTime, T)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Copy + Default + AddAssign> Recent<T> {
    /// Adds what was counted in a tick; what comes late is in the latest part.
    pub(super) fn add(&mut self, tick_end: KernelTime, window: Duration, more: T) {
        // Ticks are not exact: a part is as good as over a little earlier.
        let part = window / PARTS * 9 / 10;
        match self.0.back_mut() {
            Some((from, sum)) if tick_end.since(*from) < part || tick_end == *from => *sum += more,
            _ => self.0.push_back((tick_end, more)),
        }
        while self.0.len() > PARTS as usize + 2 {
            self.0.pop_front();
        }
    }

    /// The sum of the parts after a moment.
    pub(super) fn after(&self, moment: KernelTime) -> T {
        let mut sum = T::default();
        self.0.iter().filter(|(from, _)| *from > moment).for_each(|(_, counted)| sum += *counted);
        sum
    }
}

/// The moment after which ticks have to end to be in a window of that length that ends with a tick. Half a part earlier
/// or later is the same tick.
pub(super) fn start(tick_end: KernelTime, length: Duration, window: Duration) -> KernelTime {
    tick_end.minus(length).plus(window / (2 * PARTS))
}

#[cfg(test)]
mod tests {
    use super::{Recent, start};
    use crate::model::{Counts, KernelTime};
    use std::time::Duration;

    const WINDOW: Duration = Duration::from_secs(1);

    fn packets(packets: u64) -> Counts {
        Counts { packets, ..Counts::default() }
    }

    #[track_caller]
    fn check(tick_millis: u64, jitter_micros: u64, expected: u64) {
        let mut recent = Recent::default();
        let end = |tick: u64| {
            let jitter = if tick.is_multiple_of(3) { jitter_micros * 1_000 } else { 0 };
            KernelTime(tick * tick_millis * 1_000_000 + jitter)
        };
        for tick in 1..=100 {
            recent.add(end(tick), WINDOW, packets(1));
            assert!(recent.0.len() <= 12);
        }
        for tick in [98, 99, 100_u64] {
            let mut until = Recent::default();
            (1..=tick).for_each(|tick| until.add(end(tick), WINDOW, packets(1)));
            let found = until.after(start(end(tick), WINDOW, WINDOW)).packets;
            assert_eq!(found, expected, "tick {tick} of {tick_millis} ms");
        }
    }

    #[test]
    fn a_window_has_the_ticks_that_ended_in_it_however_late_each_was() {
        check(1_000, 0, 1);
        check(1_000, 20_000, 1);
        check(500, 20_000, 2);
        check(250, 10_000, 4);
        check(100, 1_000, 10);
        check(5_000, 20_000, 1);
    }

    #[test]
    fn what_comes_late_is_in_the_latest_part() {
        let mut recent = Recent::default();
        let [early, late] = [1, 9].map(|second| KernelTime(second * 1_000_000_000));
        recent.add(late, WINDOW, packets(2));
        recent.add(early, WINDOW, packets(1));
        assert_eq!(recent.after(start(late, WINDOW, WINDOW)), packets(3));
        assert_eq!(recent.0.len(), 1);
    }
}
