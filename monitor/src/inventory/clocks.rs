//! Docker's times on the kernel's clock.

use crate::model::{KernelTime, WallTime};
use std::time::Duration;

/// The two clocks, read through functions that were passed in.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    /// Reads the kernel's clock.
    pub(super) now: fn() -> KernelTime,
    /// Reads the wall clock.
    pub(super) wall_now: fn() -> WallTime,
}

impl Clocks {
    /// A moment that Docker stamped with the wall clock, in nanoseconds. The distance of the clocks is measured anew
    /// each time, since the wall clock may be set. Docker may say anything: the result is never later than now, and
    /// never before `earliest`.
    pub(super) fn to_kernel(self, wall: i64, earliest: KernelTime) -> KernelTime {
        let ago = (self.wall_now)().0.saturating_sub(wall).max(0);
        (self.now)().minus(Duration::from_nanos(ago.unsigned_abs())).max(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clocks, KernelTime, WallTime};

    const CLOCKS: Clocks = Clocks { now: || KernelTime(1_000), wall_now: || WallTime(5_000) };

    fn check(wall: i64, earliest: u64, expected: u64) {
        assert_eq!(CLOCKS.to_kernel(wall, KernelTime(earliest)), KernelTime(expected));
    }

    #[test]
    fn an_event_s_time_keeps_its_distance_from_now() {
        check(4_900, 0, 900);
        check(5_000, 0, 1_000);
    }

    #[test]
    fn a_time_to_come_is_now() {
        check(9_999, 0, 1_000);
        check(i64::MAX, 0, 1_000);
    }

    #[test]
    fn a_time_too_long_ago_is_the_earliest() {
        check(4_100, 500, 500);
        check(i64::MIN, 500, 500);
    }
}
