//! Times for people: RFC 3339 in UTC, made from the kernel's clock.

use crate::model::{KernelTime, WallTime};
use jiff::Timestamp;
use std::time::Duration;

/// A difference between two measurements of the offset below which the first one stays: the reading of two clocks
/// one after the other is not exact, and a moment must not get another name with every line.
const STEP: Duration = Duration::from_millis(20);

/// What turns the kernel's monotonic time into wall time: the offset between both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Wall minus kernel, nanoseconds.
    offset: i128,
}

impl Clock {
    /// Takes both clocks' readings of one moment.
    #[must_use]
    pub fn new(kernel: KernelTime, wall: WallTime) -> Self {
        Self { offset: i128::from(wall.0) - i128::from(kernel.0) }
    }

    /// Takes another reading of both; the offset changes only if the wall clock was set meanwhile.
    pub fn update(&mut self, kernel: KernelTime, wall: WallTime) {
        let measured = Self::new(kernel, wall);
        if (measured.offset - self.offset).unsigned_abs() > STEP.as_nanos() {
            *self = measured;
        }
    }

    /// The moment in RFC 3339, UTC, with milliseconds: the packet clock is no finer than a few of them.
    #[must_use]
    pub fn rfc3339(&self, at: KernelTime) -> String {
        format!("{:.3}", self.timestamp(at))
    }

    /// The moment as date and time of day in UTC, whole seconds, for a screen.
    #[must_use]
    pub fn date_and_time(&self, at: KernelTime) -> String {
        self.timestamp(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// The moment as time of day in UTC, milliseconds, for a streamed line.
    #[must_use]
    pub fn time_of_day(&self, at: KernelTime) -> String {
        self.timestamp(at).strftime("%H:%M:%S.%3f").to_string()
    }

    /// The moment on the wall clock.
    #[must_use]
    pub fn wall(&self, at: KernelTime) -> WallTime {
        WallTime(i64::try_from(i128::from(at.0) + self.offset).unwrap_or(i64::MAX))
    }

    fn timestamp(&self, at: KernelTime) -> Timestamp {
        timestamp(i128::from(at.0) + self.offset)
    }
}

/// A wall time as date and time of day in UTC, whole seconds, for a screen.
pub(crate) fn wall_date_and_time(at: WallTime) -> String {
    timestamp(i128::from(at.0)).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A wall time as time of day in UTC, whole seconds, for a row.
pub(crate) fn wall_time_of_day(at: WallTime) -> String {
    timestamp(i128::from(at.0)).strftime("%H:%M:%S").to_string()
}

/// A wall time in RFC 3339, UTC, with milliseconds.
pub(super) fn wall_rfc3339(at: WallTime) -> String {
    format!("{:.3}", timestamp(i128::from(at.0)))
}

fn timestamp(nanoseconds: i128) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds)
        .expect("sums of three 64-bit times stay between the years 1000 and 4000")
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::model::{KernelTime, WallTime};

    const MORNING: WallTime = WallTime(1_795_511_403_004_999_999);

    #[test]
    fn a_moment_is_cut_to_milliseconds_not_rounded_up() {
        let clock = Clock::new(KernelTime(5_000), MORNING);
        assert_eq!(clock.rfc3339(KernelTime(5_000)), "2026-11-24T09:10:03.004Z");
        assert_eq!(clock.date_and_time(KernelTime(5_000)), "2026-11-24 09:10:03 UTC");
        assert_eq!(clock.time_of_day(KernelTime(5_000)), "09:10:03.004");
    }

    #[test]
    fn a_small_difference_keeps_the_offset_and_a_step_takes_the_new_one() {
        let mut clock = Clock::new(KernelTime(0), MORNING);
        clock.update(KernelTime(0), WallTime(MORNING.0 + 5_000_000));
        assert_eq!(clock, Clock::new(KernelTime(0), MORNING));
        clock.update(KernelTime(0), WallTime(MORNING.0 + 3_600_000_000_000));
        assert_eq!(clock.rfc3339(KernelTime(0)), "2026-11-24T10:10:03.004Z");
    }

    #[test]
    fn the_farthest_moments_have_a_name() {
        let latest = Clock::new(KernelTime(0), WallTime(i64::MAX)).rfc3339(KernelTime(u64::MAX));
        let earliest = Clock::new(KernelTime(u64::MAX), WallTime(i64::MIN)).rfc3339(KernelTime(0));
        assert_eq!((&latest[..4], &earliest[..4]), ("2846", "1093"));
    }
}
