//! Counting what could not be counted.

use crate::maps::LOSSES;
use monitor_common::loss::Loss;

/// Counts one more loss of this kind.
#[inline(always)]
pub fn lose(loss: Loss) {
    if let Some(count) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the value is this CPU's own.
        unsafe { *count += 1 };
    }
}
