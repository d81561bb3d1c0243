//! How long things took, counted by fixed steps: unlike percentiles these can be added up over hosts and hours.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::time::Duration;

/// The upper ends of the steps: 1, 2, 5, from 100 µs to 10 s.
const ENDS: [Duration; 16] = [
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A set of durations, of which each step's number and the sum are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    within: [u64; ENDS.len()],
    beyond: u64,
    sum: Duration,
}

impl Steps {
    /// Adds one.
    pub fn record(&mut self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Adds so many that took the same.
    pub fn record_many(&mut self, took: Duration, count: u32) {
        let step = ENDS.iter().position(|end| took <= *end).and_then(|step| self.within.get_mut(step));
        *step.unwrap_or(&mut self.beyond) += u64::from(count);
        self.sum = self.sum.saturating_add(took.saturating_mul(count));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.within.iter().sum::<u64>() + self.beyond
    }

    /// What came on top of an earlier state of the same; `None` if that had more.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        let mut more = *self;
        for (step, had) in more.within.iter_mut().zip(before.within) {
            *step = step.checked_sub(had)?;
        }
        more.beyond = more.beyond.checked_sub(before.beyond)?;
        more.sum = more.sum.checked_sub(before.sum)?;
        Some(more)
    }

    /// How long they took together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Each step's upper end, which belongs to it, with how many are in it and in no step before; the last has no end.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let ends = ENDS.into_iter().map(Some).chain([None]);
        ends.zip(self.within.into_iter().chain([self.beyond]))
    }
}

impl AddAssign for Steps {
    fn add_assign(&mut self, other: Self) {
        for (step, more) in self.within.iter_mut().zip(other.within) {
            *step += more;
        }
        self.beyond += other.beyond;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;
    use std::time::Duration;

    #[test]
    fn each_duration_is_in_the_first_step_that_holds_it() {
        let mut steps = Steps::default();
        for micros in [0, 100, 101, 10_000_000, 10_000_001] {
            steps.record(Duration::from_micros(micros));
        }
        let filled: Vec<_> = steps.iter().filter(|(_, count)| *count > 0).collect();
        let end = |micros| Some(Duration::from_micros(micros));
        assert_eq!(filled, [(end(100), 2), (end(200), 1), (end(10_000_000), 1), (None, 1)]);
        assert_eq!((steps.count(), steps.sum()), (5, Duration::from_micros(20_000_202)));
        let before = steps;
        steps.record(Duration::from_micros(150));
        let more = steps.since(&before).unwrap();
        assert_eq!((more.count(), more.sum()), (1, Duration::from_micros(150)));
        let mut sum = before;
        sum += more;
        assert_eq!((sum, before.since(&steps)), (steps, None));
    }
}
