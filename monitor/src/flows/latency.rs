//! How long things took, as percentiles.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::time::Duration;

/// The longest time that is told apart, in microseconds: one minute.
const LONGEST_US: u64 = 60_000_000;

/// Percentiles of a set of durations, each within 0.1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: Duration,
    /// 9 in 10 of them took at most this long.
    pub p90: Duration,
    /// 99 in 100 of them took at most this long.
    pub p99: Duration,
    /// 999 in 1,000 of them took at most this long.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

/// A set of durations. Its memory grows with the longest, from 8 kB to 70 kB.
#[derive(Debug)]
pub struct Latency {
    histogram: Histogram<u32>,
    /// The percentiles, if nothing was recorded since they were last asked for: to find them, all of the histogram has
    /// to be read.
    found: Cell<Option<Percentiles>>,
}

impl Default for Latency {
    fn default() -> Self {
        let mut histogram =
            Histogram::new(3).expect("three digits are within what a histogram can tell apart");
        histogram.auto(true);
        Self { histogram, found: Cell::new(None) }
    }
}

impl Latency {
    /// Adds one; what took longer than a minute counts as a minute.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST_US);
        self.found.set(None);
        if self.histogram.record(micros).is_err() {
            self.histogram.saturating_record(micros);
        }
    }

    /// The percentiles; `None` if nothing was recorded.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.histogram.is_empty() {
            return None;
        }
        if self.found.get().is_none() {
            self.found.set(Some(self.find()));
        }
        self.found.get()
    }

    fn find(&self) -> Percentiles {
        let at = |quantile| Duration::from_micros(self.histogram.value_at_quantile(quantile));
        Percentiles {
            count: self.histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_micros(self.histogram.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Latency;
    use std::time::Duration;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.record(Duration::from_micros(micros));
        }
        let found = latency.percentiles().unwrap();
        assert_eq!(found.count, 10_000);
        assert!(found.p50.as_micros().abs_diff(5_000) <= 5, "{found:?}");
        assert!(found.p99.as_micros().abs_diff(9_900) <= 10, "{found:?}");
        assert!(found.max.as_micros().abs_diff(10_000) <= 10, "{found:?}");
        latency.record(Duration::from_micros(1));
        assert_eq!(latency.percentiles().unwrap().count, 10_001, "what was found before is not told again");
    }

    #[test]
    fn nothing_recorded_has_no_percentiles_and_a_huge_time_is_a_minute() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        latency.record(Duration::from_secs(1_000_000));
        let p99 = latency.percentiles().unwrap().p99;
        assert!(p99.as_secs_f64() >= 59.9 && p99.as_secs_f64() < 60.1, "{p99:?}");
    }
}
