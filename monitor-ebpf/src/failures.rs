//! Packets that tell of a failure: the beginning of each, copied into a ring of their own.

use crate::{
    losses::lose_anywhere,
    maps::{FAILURE_RATES, FAILURES},
    rate,
    record::hand_over,
};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{
    counters::Direction,
    failure::{FailureHeader, MOST_IN_SPAN, ROOM, SPAN},
    interface::place_kind,
    loss::Loss,
};

/// Copies one at the interface with this number. Global, so that the verifier goes through it once; the numbers are those of
/// [`FailureHeader`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn note_failure(skb: *mut __sk_buff, interface: u32, place_kind: u32, direction: u32) -> u32 {
    // SAFETY: the context is valid while the program runs; the helper has no preconditions.
    let (length, ingress, time) = unsafe { ((*skb).len, (*skb).ingress_ifindex, bpf_ktime_get_ns()) };
    let place = u64::from(interface) << 8 | u64::from(direction);
    if rate::is_too_fast::<SPAN, MOST_IN_SPAN>(&FAILURE_RATES, place, time, 1) {
        lose_anywhere(Loss::FailureRateCapped);
        return 0;
    }
    // In another namespace an ifindex means another device.
    let is_of_host = place_kind == u32::from(place_kind::INTERFACE);
    let origin = if is_of_host && direction == Direction::Received as u32 { ingress } else { 0 };
    let captured = length.min(ROOM);
    let (direction, place_kind) = (direction as u8, place_kind as u8);
    let header = FailureHeader { time, interface, captured, origin, direction, place_kind, padding: [0; 2] };
    if !hand_over::<_, { ROOM as usize }>(&FAILURES, skb, &header, captured) {
        lose_anywhere(Loss::FailureRingFull);
    }
    0
}
