//! Whole packets of interfaces that are captured.

use crate::maps::{CAPTURED, PACKETS};
use crate::options::snap_length;
use crate::record::hand_over;
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{
    capture::{CapturedHeader, MOST_BYTES, ROOMS},
    counters::Direction,
};

/// Captures one packet; that there is no room for it is counted at its interface.
#[inline(never)]
pub fn packet(skb: *mut __sk_buff, interface: u32, flow_id: u64, direction: Direction) {
    let Some(counters) = CAPTURED.get_ptr_mut(interface) else { return };
    let header = header(skb, interface, flow_id, direction);
    let captured = header.captured;
    // SAFETY: the value is this CPU's own.
    unsafe { (*counters).seen += 1 };
    let done = if captured <= ROOMS[0] {
        hand_over::<_, { ROOMS[0] as usize }>(&PACKETS, skb, &header, captured)
    } else if captured <= ROOMS[1] {
        hand_over::<_, { ROOMS[1] as usize }>(&PACKETS, skb, &header, captured)
    } else if captured <= ROOMS[2] {
        hand_over::<_, { ROOMS[2] as usize }>(&PACKETS, skb, &header, captured)
    } else if captured <= ROOMS[3] {
        hand_over::<_, { ROOMS[3] as usize }>(&PACKETS, skb, &header, captured)
    } else if captured <= ROOMS[4] {
        hand_over::<_, { ROOMS[4] as usize }>(&PACKETS, skb, &header, captured)
    } else {
        hand_over::<_, { ROOMS[5] as usize }>(&PACKETS, skb, &header, captured)
    };
    if !done {
        // SAFETY: as above.
        unsafe { (*counters).dropped += 1 };
    }
}

#[inline(always)]
fn header(skb: *mut __sk_buff, interface: u32, flow_id: u64, direction: Direction) -> CapturedHeader {
    // SAFETY: the context is valid while the program runs; the helper has no preconditions.
    let (length, tag, protocol, time) = unsafe {
        let tagged = (*skb).vlan_present != 0;
        let protocol = if tagged { (*skb).vlan_proto as u16 } else { 0 };
        ((*skb).len, (*skb).vlan_tci as u16, u16::from_be(protocol), bpf_ktime_get_ns())
    };
    CapturedHeader {
        flow_id,
        time,
        interface,
        length,
        captured: length.min(snap_length()).min(MOST_BYTES),
        vlan_tag: tag,
        vlan_protocol: protocol,
        direction: direction as u8,
        padding: [0; 7],
    }
}
