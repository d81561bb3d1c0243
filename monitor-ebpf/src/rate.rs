//! How much of each place may be copied in a span of time, so that one alone does not fill a ring.

use aya_ebpf::maps::LruHashMap;

/// Whether a place took as much as it may: `MOST` in a span of 2 to the power of `SPAN` nanoseconds. Where two CPUs count at
/// once, one may be counted for two.
#[inline(always)]
pub fn is_too_fast<const SPAN: u32, const MOST: u64>(
    rates: &LruHashMap<u64, u64>,
    place: u64,
    time: u64,
    cost: u64,
) -> bool {
    let span = (time >> SPAN) << 16;
    let Some(rate) = rates.get_ptr_mut(&place) else {
        // Where there is no room even so, nothing is held back.
        let _ = rates.insert(&place, &(span | cost), 0);
        return false;
    };
    // SAFETY: a map lookup gave a valid value; an aligned word is read and written whole.
    let before = unsafe { rate.read_volatile() };
    let taken = if before & !0xffff == span { before & 0xffff } else { 0 };
    if taken + cost > MOST {
        return true;
    }
    // SAFETY: as above.
    unsafe { rate.write_volatile(span | (taken + cost)) };
    false
}
