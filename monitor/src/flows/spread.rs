//! How long things took, in little memory: for many spans of time, each with few of them.

use super::{Percentiles, Steps};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest time that is told apart, in microseconds: one minute.
const LONGEST_US: u32 = 60_000_000;
/// Parts that each doubling is divided into, as a power of two: 32.
const PARTS: u32 = 5;

/// A set of durations, each within 3 %; the longest is exact to the microsecond. It takes 8 bytes for each length that
/// was seen, of 705 that are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Lengths and how often each was seen, the shortest first.
    seen: Vec<(u16, u32)>,
    longest: u32,
}

impl Spread {
    /// Adds one; what took longer than a minute counts as a minute.
    pub fn record(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).min(LONGEST_US);
        self.longest = self.longest.max(micros);
        self.add(length(micros), 1);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        self.longest = self.longest.max(other.longest);
        other.seen.iter().for_each(|(length, count)| self.add(*length, *count));
    }

    fn add(&mut self, length: u16, count: u32) {
        match self.seen.binary_search_by_key(&length, |(length, _)| *length) {
            Ok(at) => self.seen[at].1 = self.seen[at].1.saturating_add(count),
            Err(at) => self.seen.insert(at, (length, count)),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.seen.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Memory it takes beside itself, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.seen.capacity() * size_of::<(u16, u32)>()
    }

    /// Gives back memory that it does not need.
    pub fn shrink(&mut self) {
        self.seen.shrink_to_fit();
    }

    /// The same by fixed steps; one that is within 3 % of a step's end may be in the next.
    #[must_use]
    pub fn steps(&self) -> Steps {
        let mut steps = Steps::default();
        for (length, count) in &self.seen {
            let took = Duration::from_micros(upper(*length).min(self.longest.into()));
            steps.record_many(took, *count);
        }
        steps
    }

    /// The percentiles; `None` if there are none.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        let count = self.count();
        let longest = Duration::from_micros(self.longest.into());
        let at = |thousandths: u64| {
            // The first length by which so many are seen.
            let wanted = count.saturating_mul(thousandths).div_ceil(1_000);
            let mut seen = 0;
            let found = self.seen.iter().find(|(_, count)| {
                seen += u64::from(*count);
                seen >= wanted
            });
            found.map_or(longest, |(length, _)| Duration::from_micros(upper(*length)).min(longest))
        };
        (count > 0).then(|| Percentiles {
            count,
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p999: at(999),
            max: longest,
        })
    }
}

/// The number of the length that a time is.
fn length(micros: u32) -> u16 {
    let exponent = micros.checked_ilog2().unwrap_or(0);
    let number = match exponent.checked_sub(PARTS) {
        None => micros,
        Some(doublings) => ((doublings + 1) << PARTS) + ((micros >> doublings) & ((1 << PARTS) - 1)),
    };
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The longest time that is of a length, in microseconds.
fn upper(length: u16) -> u64 {
    let (doublings, part) = (u64::from(length) >> PARTS, u64::from(length) & ((1 << PARTS) - 1));
    match doublings.checked_sub(1) {
        None => part,
        Some(doublings) => (((1 << PARTS) + part + 1) << doublings.min(32)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_US, Spread, length, upper};
    use crate::flows::Latency;
    use std::time::Duration;

    #[test]
    fn each_time_is_of_one_length_that_is_at_most_three_percent_longer() {
        for micros in (0..10_000).chain((10_000..=LONGEST_US).step_by(997)).chain([LONGEST_US]) {
            let upper = upper(length(micros));
            assert!(upper >= micros.into() && upper * 100 <= u64::from(micros) * 104, "{micros}: {upper}");
        }
        assert!(usize::from(length(LONGEST_US)) < 705);
    }

    #[test]
    fn percentiles_are_those_of_a_histogram_within_three_percent_however_it_was_added_up() {
        let (mut all, mut parts) = (Latency::default(), [Spread::default(), Spread::default()]);
        let mut micros = 1_u64;
        for number in 0..5_000_u64 {
            micros = micros.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let took = Duration::from_micros((micros >> 40) % (1 << (number % 26)));
            all.record(took);
            parts[usize::from(number % 3 == 0)].record(took);
        }
        let [mut sum, other] = parts;
        sum.merge(&other);
        let (exact, found) = (all.percentiles().unwrap(), sum.percentiles().unwrap());
        assert_eq!((found.count, exact.count), (5_000, 5_000));
        for (exact, found) in [
            (exact.p50, found.p50),
            (exact.p90, found.p90),
            (exact.p99, found.p99),
            (exact.p999, found.p999),
            (exact.max, found.max),
        ] {
            let (exact, found) = (exact.as_micros(), found.as_micros());
            assert!(exact.abs_diff(found) * 100 <= exact * 4, "{found} for {exact}");
        }
    }

    #[test]
    fn none_have_no_percentiles_and_the_longest_is_bounded() {
        assert_eq!(Spread::default().percentiles(), None);
        let mut spread = Spread::default();
        spread.record(Duration::MAX);
        let found = spread.percentiles().unwrap();
        assert_eq!((found.p50, found.max), (Duration::from_secs(60), Duration::from_secs(60)));
    }
}
