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
    loss::Loss,
};

/// Copies one at the interface with this number. A function of its own, so that it costs other packets no registers.
#[inline(never)]
pub fn note(skb: *mut __sk_buff, interface: u32, direction: Direction) {
    // SAFETY: the context is valid while the program runs; the helper has no preconditions.
    let (length, ingress, time) = unsafe { ((*skb).len, (*skb).ingress_ifindex, bpf_ktime_get_ns()) };
    let place = u64::from(interface) << 8 | direction as u64;
    if rate::is_too_fast::<SPAN, MOST_IN_SPAN>(&FAILURE_RATES, place, time, 1) {
        return lose_anywhere(Loss::FailureRateCapped);
    }
    let origin = match direction {
        Direction::Sent => 0,
        Direction::Received => ingress,
    };
    let captured = length.min(ROOM);
    let header =
        FailureHeader { time, interface, captured, origin, direction: direction as u8, padding: [0; 3] };
    if !hand_over::<_, { ROOM as usize }>(&FAILURES, skb, &header, captured) {
        lose_anywhere(Loss::FailureRingFull);
    }
}
