//! The lines in which a CPU adds up a flow's packets before they go to its entry; see [`monitor_common::pending`].

use crate::{
    atomic, clock, entry,
    flows::Crossing,
    key::Key,
    maps::PENDING,
    options::{enabled, max_flows},
};
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use core::ptr::NonNull;
use monitor_common::{
    counters::{Counters, Direction},
    flow::{FlowEntry, FlowKey4, FlowKey6},
    flow_table::{Slot, same},
    pending::{self, Pending, direction, epoch, family, takes},
    settings::feature,
};

/// This CPU's line for a flow with this [`pending::mix`], if there are such lines.
#[inline(always)]
pub fn line(mixed: u64, generation: u32, direction: Direction) -> Option<NonNull<Pending>> {
    if !enabled(feature::PENDING) {
        return None;
    }
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    PENDING
        .get_ptr_mut(pending::first(cpu, generation) + pending::line(mixed, direction))
        .and_then(NonNull::new)
}

/// Adds a packet to the line, if the line is its flow's and it says nothing new; then, the flow's slot.
#[inline(always)]
pub fn add<const N: usize>(
    line: NonNull<Pending>,
    tag: u64,
    words: &[u64; N],
    crossing: &Crossing,
    tcp_flags: u8,
) -> Option<u32> {
    let line = line.as_ptr();
    // SAFETY: a map lookup gave a valid value, this CPU's own: TC runs with bottom halves off.
    unsafe {
        if (*line).tag != tag
            || !same(&*(&raw const (*line).key).cast::<[u64; N]>(), words)
            || (*line).known != entry::told(crossing)
            || entry::flags(tcp_flags) & !(*line).tcp_flags != 0
        {
            return None;
        }
        let tick = clock::tick();
        if (*line).tick != tick {
            (*line).tick = tick;
            (*line).last_seen = clock::coarse();
        }
        let (counters, counted) = (&raw mut (*line).counters, &crossing.counted);
        (*counters).skbs += counted.skbs;
        (*counters).skb_bytes += counted.skb_bytes;
        if counted.extra_packets != 0 {
            (*counters).extra_packets += counted.extra_packets;
            (*counters).extra_bytes += counted.extra_bytes;
        }
        Some((*line).slot)
    }
}

/// Makes the line a flow's, to whose entry a packet was just added, if it is the second in a row; what the line had of
/// another flow goes to that one's entry.
#[inline(always)]
pub fn keep<K: Key<N>, const N: usize>(
    line: NonNull<Pending>,
    tag: u64,
    words: &[u64; N],
    mixed: u64,
    slot: u32,
    entry: NonNull<FlowEntry>,
) {
    let line = line.as_ptr();
    let entry = entry.as_ptr();
    // SAFETY: map lookups gave valid values; the line is this CPU's own.
    unsafe {
        let key = (&raw mut (*line).key).cast::<[u64; N]>();
        if (*line).tag != tag || !same(&*key, words) {
            if (*line).candidate != mixed {
                (*line).candidate = mixed;
                return;
            }
            if epoch((*line).tag) == epoch(tag) && (*line).counters.skbs != 0 {
                flush(line);
            }
            key.write(*words);
            (*line).tag = tag;
            (*line).counters = Counters { skbs: 0, skb_bytes: 0, extra_packets: 0, extra_bytes: 0 };
            (*line).slot = slot;
            (*line).tick = 0;
        }
        (*line).known = entry::known(entry, direction(tag));
        (*line).tcp_flags = takes(match direction(tag) {
            Direction::Sent => (*entry).sent.marks,
            Direction::Received => (*entry).received.marks,
        });
    }
}

/// Adds what a line has to its flow's entry, which is of the active epoch.
#[inline(never)]
fn flush(line: *mut Pending) {
    // SAFETY: callers pass a valid map value, this CPU's own; a map lookup gives a valid slot.
    unsafe {
        let tag = (*line).tag;
        // Its epoch is one more than what is active, whose lowest bit is the generation.
        let generation = (epoch(tag) & 1) ^ 1;
        let number = generation * max_flows() + (*line).slot;
        let slot: Option<NonNull<Slot>> =
            if family(tag) == 4 { FlowKey4::slot(number) } else { FlowKey6::slot(number) };
        let Some(slot) = slot else { return };
        let entry = &raw mut (*slot.as_ptr()).entry;
        let (counters, last_seen) = match direction(tag) {
            Direction::Sent => (&raw mut (*entry).sent.counters, &raw mut (*entry).sent.last_seen),
            Direction::Received => {
                (&raw mut (*entry).received.counters, &raw mut (*entry).received.last_seen)
            }
        };
        let mine = &(*line).counters;
        atomic::add(&raw mut (*counters).skbs, mine.skbs);
        atomic::add(&raw mut (*counters).skb_bytes, mine.skb_bytes);
        if mine.extra_packets != 0 {
            atomic::add(&raw mut (*counters).extra_packets, mine.extra_packets);
            atomic::add(&raw mut (*counters).extra_bytes, mine.extra_bytes);
        }
        if (*line).last_seen > *last_seen {
            *last_seen = (*line).last_seen;
        }
    }
}
