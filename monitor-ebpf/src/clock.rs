//! The coarse clock, asked once a tick.

use crate::maps::SCRATCH;
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};

/// Coarse monotonic time, nanoseconds.
///
/// The kernel's coarse clock moves once a tick, and so does its tick count, which the verifier reads without a
/// call where the clock is two: 15 ns where returns are slowed against speculation. So a CPU keeps the time it was
/// last told until the tick count moves. The count moves a moment before the clock: a time can be one tick old.
#[inline(always)]
pub fn coarse() -> u64 {
    // SAFETY: the helpers have no preconditions, and this CPU has its scratch to itself.
    unsafe {
        let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return bpf_ktime_get_coarse_ns() };
        let tick = tick();
        if (*scratch).tick != tick {
            (*scratch).coarse_time = bpf_ktime_get_coarse_ns();
            (*scratch).tick = tick;
        }
        (*scratch).coarse_time
    }
}

/// The same of a packet that others on the same CPU may come between.
#[inline(always)]
pub fn coarse_anywhere() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The kernel's tick count; never 0.
#[inline(always)]
pub fn tick() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_jiffies64() }
}
