//! How long things took, as percentiles.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that is told apart, in microseconds: one minute.
const LONGEST_US: u64 = 60_000_000;

/// Percentiles of a set of durations, each within 0.1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: Duration,
    /// 99 in 100 of them took at most this long.
    pub p99: Duration,
}

/// A set of durations. Its memory grows with the longest, from 8 kB to 70 kB.
#[derive(Debug)]
pub struct Latency(Histogram<u32>);

impl Default for Latency {
    fn default() -> Self {
        let mut histogram =
            Histogram::new(3).expect("three digits are within what a histogram can tell apart");
        histogram.auto(true);
        Self(histogram)
    }
}

impl Latency {
    /// Adds one; what took longer than a minute counts as a minute.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST_US);
        if self.0.record(micros).is_err() {
            self.0.saturating_record(micros);
        }
    }

    /// The percentiles; `None` if nothing was recorded.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| Duration::from_micros(self.0.value_at_quantile(quantile));
        Some(Percentiles { count: self.0.len(), p50: at(0.5), p99: at(0.99) })
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
