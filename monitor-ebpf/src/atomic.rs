//! Atomic operations on map values: `core`'s atomic types have none of them on this target.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd};

/// Adds to a counter that other CPUs add to.
///
/// # Safety
/// `counter` is valid and aligned, and only accessed atomically while programs run.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, value) };
}

/// Adds to a counter; returns what it was before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_add(counter: *mut u64, value: u64) -> u64 {
    // Sequentially consistent: for a relaxed one LLVM emits the instruction that returns nothing.
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(counter, value) }
}

/// Sets bits in a word that other CPUs set bits in.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn or(word: *mut u32, bits: u32) {
    // SAFETY: the caller's promise.
    unsafe { atomic_or::<u32, u32, { AtomicOrdering::Relaxed }>(word, bits) };
}

/// Sets bits in a word; returns what was there before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_or(word: *mut u32, bits: u32) -> u32 {
    // Sequentially consistent for the reason in `fetch_add`.
    // SAFETY: the caller's promise.
    unsafe { atomic_or::<u32, u32, { AtomicOrdering::SeqCst }>(word, bits) }
}

/// Puts `new` in place of `old`; returns what was there, which is `old` if and only if it was replaced.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn replace(word: *mut u64, old: u64, new: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_cxchg::<u64, { AtomicOrdering::Relaxed }, { AtomicOrdering::Relaxed }>(word, old, new).0 }
}

/// As [`replace`], of a word of half the size.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn replace_half(word: *mut u32, old: u32, new: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_cxchg::<u32, { AtomicOrdering::Relaxed }, { AtomicOrdering::Relaxed }>(word, old, new).0 }
}
