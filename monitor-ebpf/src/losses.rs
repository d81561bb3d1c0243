//! Counting what could not be counted.

use crate::{atomic, maps::LOSSES};
use monitor_common::loss::Loss;

/// Counts one more loss of this kind.
#[inline(always)]
pub fn lose(loss: Loss) {
    if let Some(count) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the value is this CPU's own.
        unsafe { *count += 1 };
    }
}

/// As [`lose`], where something else on the same CPU may come between.
#[inline(always)]
pub fn lose_anywhere(loss: Loss) {
    if let Some(count) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: a map lookup gives a valid value. Where such a loss is counted by [`lose`] as well, bottom halves are
        // off, so that this does not come between.
        unsafe { atomic::add(count, 1) };
    }
}
