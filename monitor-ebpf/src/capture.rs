//! Whole packets of interfaces that are captured.

use crate::maps::{CAPTURED, PACKETS};
use crate::options::snap_length;
use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{bpf_skb_load_bytes, generated::bpf_ktime_get_ns},
};
use core::arch::asm;
use monitor_common::{
    capture::{CapturedHeader, MOST_BYTES, ROOMS},
    counters::Direction,
};

/// A record with room for `N` bytes of the packet.
#[repr(C)]
struct Record<const N: usize> {
    header: CapturedHeader,
    bytes: [u8; N],
}

/// Captures one packet; that there is no room for it is counted at its interface.
#[inline(never)]
pub fn packet(skb: *mut __sk_buff, interface: u32, flow_id: u64, direction: Direction) {
    let Some(counters) = CAPTURED.get_ptr_mut(interface) else { return };
    let header = header(skb, interface, flow_id, direction);
    let captured = header.captured;
    // SAFETY: the value is this CPU's own.
    unsafe { (*counters).seen += 1 };
    let done = if captured <= ROOMS[0] {
        record::<{ ROOMS[0] as usize }>(skb, &header)
    } else if captured <= ROOMS[1] {
        record::<{ ROOMS[1] as usize }>(skb, &header)
    } else if captured <= ROOMS[2] {
        record::<{ ROOMS[2] as usize }>(skb, &header)
    } else if captured <= ROOMS[3] {
        record::<{ ROOMS[3] as usize }>(skb, &header)
    } else if captured <= ROOMS[4] {
        record::<{ ROOMS[4] as usize }>(skb, &header)
    } else {
        record::<{ ROOMS[5] as usize }>(skb, &header)
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

/// Hands over the packet in a record of this size. Whether it could.
#[inline(always)]
fn record<const N: usize>(skb: *mut __sk_buff, header: &CapturedHeader) -> bool {
    let Some(mut record) = PACKETS.reserve::<Record<N>>(0) else { return false };
    let mut captured = u64::from(header.captured);
    // SAFETY: an instruction without effect. After it LLVM knows nothing of the value, so that the bounds are
    // checked below on this very register, as the verifier wants it.
    unsafe { asm!("{0} += 0", inout(reg) captured, options(pure, nomem, nostack)) };
    let to = record.as_mut_ptr();
    // SAFETY: `to` is the reserved record; the helper writes `captured` bytes, at most its buffer, or fails.
    let done = unsafe {
        (&raw mut (*to).header).write(*header);
        captured != 0
            && captured <= N as u64
            && bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*to).bytes).cast(), captured as u32) == 0
    };
    if done {
        record.submit(0);
    } else {
        record.discard(0);
    }
    done
}
