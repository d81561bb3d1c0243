//! Times as values. Nothing here reads a clock.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment on the kernel's monotonic clock (`CLOCK_MONOTONIC`), nanoseconds since boot.
///
/// Everything the engine compares is on this clock; [`WallTime`] is for people and records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KernelTime(pub u64);

impl KernelTime {
    /// The time between an earlier moment and this one; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This moment minus a duration, not before boot.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A moment on the wall clock, nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime(pub i64);

/// The time during which a fact was true. `until` is absent while it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First moment at which the fact held.
    pub from: KernelTime,
    /// First moment at which it held no longer.
    pub until: Option<KernelTime>,
}

impl Span {
    /// A fact that holds from `from` on.
    #[must_use]
    pub const fn starting(from: KernelTime) -> Self {
        Self { from, until: None }
    }

    /// Whether the fact held at `at`.
    #[must_use]
    pub fn contains(&self, at: KernelTime) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}
