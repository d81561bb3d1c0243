//! DNS messages, copied whole into a ring of their own.

use crate::{
    losses::lose_anywhere,
    maps::{NAME_RATES, NAMES},
    rate,
    record::hand_over,
};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{
    dns::{COSTS, DnsHeader, MOST_BYTES, MOST_IN_SPAN, ROOMS, SPAN},
    loss::Loss,
};

/// Copies one message, or a part of a stream of them, that was seen at `place` and was sent by a socket of `cgroup`. Global, so
/// that the verifier goes through it once; the numbers are those of [`DnsHeader`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn message(
    skb: *mut __sk_buff,
    place: u32,
    place_kind: u32,
    direction: u32,
    cgroup: u64,
) -> u32 {
    // SAFETY: the context is valid while the program runs; the helper has no preconditions.
    let (length, time) = unsafe { ((*skb).len, bpf_ktime_get_ns()) };
    let captured = length.min(MOST_BYTES);
    let (place_kind, direction) = (place_kind as u8, direction as u8);
    let cost = if captured <= ROOMS[0] {
        COSTS[0]
    } else if captured <= ROOMS[1] {
        COSTS[1]
    } else {
        COSTS[2]
    };
    let place_way = u64::from(place) << 16 | u64::from(place_kind) << 8 | u64::from(direction);
    if rate::is_too_fast::<SPAN, MOST_IN_SPAN>(&NAME_RATES, place_way, time, cost) {
        lose_anywhere(Loss::DnsRateCapped);
        return 0;
    }
    let header = DnsHeader { time, cgroup, place, captured, place_kind, direction, padding: [0; 6] };
    let done = if captured <= ROOMS[0] {
        hand_over::<_, { ROOMS[0] as usize }>(&NAMES, skb, &header, captured)
    } else if captured <= ROOMS[1] {
        hand_over::<_, { ROOMS[1] as usize }>(&NAMES, skb, &header, captured)
    } else {
        hand_over::<_, { ROOMS[2] as usize }>(&NAMES, skb, &header, captured)
    };
    if !done {
        lose_anywhere(Loss::DnsRingFull);
    }
    0
}
