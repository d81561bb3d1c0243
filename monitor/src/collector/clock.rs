//! The only place that reads clocks. Everything else gets the time as an argument.

use crate::model::{KernelTime, WallTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

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

/// Processor time of all threads of this process, in nanoseconds.
pub(super) fn process_cpu() -> Option<u64> {
    u64::try_from(nanoseconds(clock_gettime(ClockId::ProcessCPUTime))).ok()
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
