//! Records of the ring buffer.

use crate::{
    clock,
    flows::Start,
    key::Key,
    losses::lose_anywhere,
    maps::{EVENTS, SCRATCH},
    options::{events_per_second, sample_every, snap_length},
};
use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{
        bpf_skb_load_bytes,
        generated::{bpf_get_prandom_u32, bpf_ktime_get_ns},
    },
    maps::ring_buf::RingBufEntry,
};
use core::arch::asm;
use monitor_common::{
    counters::Direction,
    event::{EventHeader, FirstPacket, SNAP_LENGTH, SampledPacket, event_kind},
    loss::Loss,
};

/// Reports the first packet of a new flow.
#[inline(never)]
pub fn first_packet<K: Key<N>, const N: usize>(skb: *mut __sk_buff, key: &K, start: u64, flow_id: u64) {
    let start = Start::unpack(start);
    let Some(mut record) = reserve::<FirstPacket>() else { return };
    let key = key.widened();
    // SAFETY: the context is valid while the program runs; the helper has no preconditions.
    let (length, time) = unsafe { ((*skb).len, bpf_ktime_get_ns()) };
    let header = EventHeader {
        kind: event_kind::FIRST_PACKET,
        interface: key.interface,
        flow_id,
        time,
        length,
        captured: 0,
        direction: start.direction as u8,
        family: K::FAMILY,
    };
    record.write(FirstPacket { header, key, tcp_flags: u32::from(start.tcp_flags) });
    record.submit(0);
}

/// Samples one packet in [`sample_every`] of this CPU's, on average.
#[inline(always)]
pub fn sample(skb: *mut __sk_buff, interface: u32, flow_id: u64, direction: Direction, family: u8) {
    if sample_every() != 0 && is_due() {
        sampled_packet(skb, interface, flow_id, direction, family);
    }
}

/// Whether this CPU's turn to sample has come.
///
/// The gap between two samples is drawn from 0 to 2 (N − 1), evenly. With a fixed one, packets that take turns, as a
/// packet at its sender's interface and at its receiver's do, would always be sampled at the same one of them.
#[inline(always)]
fn is_due() -> bool {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return false };
    // SAFETY: this CPU has its scratch to itself.
    unsafe {
        if (*scratch).until_sample > 0 {
            (*scratch).until_sample -= 1;
            return false;
        }
        (*scratch).until_sample = u64::from(bpf_get_prandom_u32()) % (2 * u64::from(sample_every()) - 1);
        true
    }
}

#[inline(never)]
fn sampled_packet(skb: *mut __sk_buff, interface: u32, flow_id: u64, direction: Direction, family: u8) {
    let Some(mut record) = reserve::<SampledPacket>() else { return };
    // SAFETY: the context is valid while the program runs.
    let length = unsafe { (*skb).len };
    let mut captured = length.min(snap_length()).min(SNAP_LENGTH as u32);
    // SAFETY: an instruction without effect. After it LLVM knows nothing of the value, so that the bounds are
    // checked below on this very register, as the verifier wants it.
    unsafe { asm!("{0} &= 0xff", inout(reg) captured, options(pure, nomem, nostack)) };
    let to = record.as_mut_ptr();
    // SAFETY: `to` is the reserved record; the helper writes `captured` bytes, at most its buffer, or fails.
    unsafe {
        if captured == 0
            || captured > SNAP_LENGTH as u32
            || bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*to).bytes).cast(), captured) != 0
        {
            captured = 0;
        }
        (&raw mut (*to).header).write(EventHeader {
            kind: event_kind::SAMPLED_PACKET,
            interface,
            flow_id,
            time: bpf_ktime_get_ns(),
            length,
            captured: captured as u16,
            direction: direction as u8,
            family,
        });
    }
    record.submit(0);
}

/// Room for a record, unless the rate cap or a full ring refuses; that is counted.
#[inline(always)]
fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    let now = clock::coarse();
    // SAFETY: this CPU has its scratch to itself.
    unsafe {
        if now - (*scratch).second >= 1_000_000_000 {
            (*scratch).second = now;
            (*scratch).records = 0;
        }
        if (*scratch).records >= u64::from(events_per_second()) {
            lose_anywhere(Loss::RateCapped);
            return None;
        }
        (*scratch).records += 1;
    }
    let record = EVENTS.reserve(0);
    if record.is_none() {
        lose_anywhere(Loss::RingFull);
    }
    record
}
