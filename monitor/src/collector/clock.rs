//! The only place that reads clocks. Everything else gets the time as an argument.

use crate::model::{KernelTime, WallTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How often both clocks are read for one reading.
const TRIES: u32 = 3;

/// The kernel's monotonic clock, on which the programs stamp what they see; nanoseconds since boot.
#[must_use]
pub fn kernel_now() -> KernelTime {
    KernelTime(u64::try_from(nanoseconds(clock_gettime(ClockId::Monotonic))).unwrap_or(0))
}

/// The wall clock; nanoseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn wall_now() -> WallTime {
    WallTime(nanoseconds(clock_gettime(ClockId::Realtime)))
}

/// Both clocks' readings of one moment: of several tries the one in which the least time passed between the two, since
/// whoever is put aside there would take that for the wall clock being set.
#[must_use]
pub fn both_now() -> (KernelTime, WallTime) {
    let readings = (0..TRIES).map(|_| {
        let before = kernel_now();
        let wall = wall_now();
        (kernel_now().since(before), before, wall)
    });
    let closest = readings.min_by_key(|(between, ..)| *between);
    closest.map_or_else(|| (kernel_now(), wall_now()), |(_, kernel, wall)| (kernel, wall))
}

/// Processor time of all threads of this process, in nanoseconds.
pub(super) fn process_cpu() -> Option<u64> {
    u64::try_from(nanoseconds(clock_gettime(ClockId::ProcessCPUTime))).ok()
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
