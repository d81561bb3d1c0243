//! What a packet adds to its flow's entry, which all CPUs share.
//!
//! What a flow does once a tick (an origin or a source is noted, a handshake is timed) is in functions of its own, so
//! that it costs the hit path no registers.

use crate::{atomic, flows::Crossing, options::enabled};
use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_ktime_get_ns, bpf_skb_cgroup_id},
};
use monitor_common::{
    counters::Direction,
    flow::{FlowEntry, mark, moment},
    packet::tcp_flag,
    settings::feature,
};

/// Adds a packet to an entry. `now`: coarse monotonic time, nanoseconds.
///
/// # Safety
/// `entry` is a valid map value.
#[inline(always)]
pub unsafe fn add(entry: *mut FlowEntry, crossing: &Crossing, tcp_flags: u8, now: u64) {
    let Crossing { skb, direction, source_mac, .. } = crossing;
    // SAFETY: the caller's promise.
    unsafe {
        count(entry, crossing, tcp_flags, now);
        match direction {
            Direction::Sent => check_sender(entry, *skb, source_mac),
            Direction::Received => check_origin(entry, (**skb).ingress_ifindex),
        }
    }
}

/// The same without what only a device tells: where a received packet came from, and whose frame a sent one is.
///
/// # Safety
/// `entry` is a valid map value.
#[inline(always)]
pub unsafe fn count(entry: *mut FlowEntry, crossing: &Crossing, tcp_flags: u8, now: u64) {
    let Crossing { direction, counted, .. } = crossing;
    // SAFETY: the caller's promise. `last_seen` is a plain store: whichever CPU's comes last is right.
    unsafe {
        let (counters, last_seen, marks) = match direction {
            Direction::Sent => {
                let sent = &raw mut (*entry).sent;
                (&raw mut (*sent).counters, &raw mut (*sent).last_seen, &raw mut (*sent).marks)
            }
            Direction::Received => {
                let received = &raw mut (*entry).received;
                (&raw mut (*received).counters, &raw mut (*received).last_seen, &raw mut (*received).marks)
            }
        };
        *last_seen = now;
        atomic::add(&raw mut (*counters).skbs, counted.skbs);
        atomic::add(&raw mut (*counters).skb_bytes, counted.skb_bytes);
        if counted.extra_packets != 0 {
            atomic::add(&raw mut (*counters).extra_packets, counted.extra_packets);
            atomic::add(&raw mut (*counters).extra_bytes, counted.extra_bytes);
        }
        let flags = flags(tcp_flags);
        if flags != 0 {
            let before = *marks;
            if before & flags != flags {
                atomic::or(marks, flags);
                if flags & !before & u32::from(tcp_flag::PSH) != 0 {
                    note_data(entry, *direction);
                }
            }
            if flags & u32::from(tcp_flag::SYN) != 0 {
                note_handshake(entry, flags);
            }
        }
    }
}

/// The TCP flags of a packet that are kept.
#[inline(always)]
pub fn flags(tcp_flags: u8) -> u32 {
    if enabled(feature::HANDSHAKE) { u32::from(tcp_flags) } else { 0 }
}

/// What a packet says that its entry keeps beside counts: the source MAC of a sent one, the origin of a received one.
#[inline(always)]
pub fn told(crossing: &Crossing) -> u64 {
    match crossing.direction {
        Direction::Sent if enabled(feature::SOURCE_MAC) => mac(&crossing.source_mac),
        // SAFETY: the context is valid while the program runs.
        Direction::Received if enabled(feature::ORIGIN) => unsafe { (*crossing.skb).ingress_ifindex.into() },
        _ => 0,
    }
}

/// What the entry keeps of that, once a packet was added.
///
/// # Safety
/// `entry` is a valid map value.
#[inline(always)]
pub unsafe fn known(entry: *mut FlowEntry, direction: Direction) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        match direction {
            Direction::Sent if enabled(feature::SOURCE_MAC) => *mac_word(entry) & MAC_MASK,
            Direction::Received if enabled(feature::ORIGIN) => (*entry).received.origin.into(),
            _ => 0,
        }
    }
}

/// A MAC as the word that begins with it.
#[inline(always)]
const fn mac(source: &[u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = *source;
    u64::from_ne_bytes([a, b, c, d, e, f, 0, 0])
}

/// Notes source MAC and cgroup of a sent packet, if they are not noted already.
///
/// # Safety
/// `entry` is a valid map value, `skb` the context.
#[inline(always)]
unsafe fn check_sender(entry: *mut FlowEntry, skb: *mut __sk_buff, source_mac: &[u8; 6]) {
    let wanted = (if enabled(feature::SOURCE_MAC) { mark::SOURCE_MAC_KNOWN } else { 0 })
        | (if enabled(feature::CGROUP) { mark::CGROUP_ASKED } else { 0 });
    let mac = mac(source_mac);
    // SAFETY: the caller's promise.
    unsafe {
        let marks = (*entry).sent.marks;
        let same = !enabled(feature::SOURCE_MAC)
            || *mac_word(entry) & MAC_MASK == mac
            || marks & mark::SEVERAL_SOURCE_MACS != 0;
        if marks & wanted != wanted || !same {
            note_sender(entry, skb, mac);
        }
    }
}

/// The bytes of a word that begins with a MAC which are the MAC.
const MAC_MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);

/// The word that begins with the source MAC.
#[inline(always)]
unsafe fn mac_word(entry: *mut FlowEntry) -> *mut u64 {
    // SAFETY: as the caller; the field is aligned as a word is, and two bytes of the same word follow it.
    unsafe { (&raw mut (*entry).sent.source_mac).cast() }
}

/// The word of origin and marks.
#[inline(always)]
unsafe fn origin_word(entry: *mut FlowEntry) -> *mut u64 {
    // SAFETY: as the caller; the two fields share an aligned word.
    unsafe { (&raw mut (*entry).received.origin).cast() }
}

/// A compare-and-swap fails when another CPU has set one of the bits in [`mark`] or the MAC meanwhile; there are
/// fewer of these than tries.
const TRIES: u32 = 8;

/// Notes source MAC and cgroup of a sent packet.
#[inline(never)]
fn note_sender(entry: *mut FlowEntry, skb: *mut __sk_buff, mac: u64) {
    // SAFETY: callers pass a valid map value and the context.
    unsafe {
        if enabled(feature::SOURCE_MAC) {
            let mut word = *mac_word(entry);
            if (*entry).sent.marks & mark::SOURCE_MAC_KNOWN == 0 {
                for _ in 0..TRIES {
                    if word & MAC_MASK != 0 {
                        break;
                    }
                    let seen = atomic::replace(mac_word(entry), word, word | mac);
                    if seen == word {
                        word |= mac;
                        break;
                    }
                    word = seen;
                }
                atomic::or(&raw mut (*entry).sent.marks, mark::SOURCE_MAC_KNOWN);
            }
            if word & MAC_MASK != mac {
                atomic::or(&raw mut (*entry).sent.marks, mark::SEVERAL_SOURCE_MACS);
            }
        }
        if enabled(feature::CGROUP)
            && (*entry).sent.marks & mark::CGROUP_ASKED == 0
            && atomic::fetch_or(&raw mut (*entry).sent.marks, mark::CGROUP_ASKED) & mark::CGROUP_ASKED == 0
        {
            (*entry).sent.cgroup = bpf_skb_cgroup_id(skb);
        }
    }
}

/// Notes where a received packet came from, if that is not noted already.
///
/// # Safety
/// `entry` is a valid map value.
#[inline(always)]
unsafe fn check_origin(entry: *mut FlowEntry, ingress_ifindex: u32) {
    if !enabled(feature::ORIGIN) {
        return;
    }
    // SAFETY: the caller's promise.
    let (origin, marks) = unsafe { split(*origin_word(entry)) };
    let noted =
        marks & mark::ORIGIN_KNOWN != 0 && (origin == ingress_ifindex || marks & mark::SEVERAL_ORIGINS != 0);
    if !noted {
        note_origin(entry, ingress_ifindex);
    }
}

/// Notes where a received packet came from: the first origin stays, a second is kept beside it.
#[inline(never)]
fn note_origin(entry: *mut FlowEntry, ingress_ifindex: u32) {
    // SAFETY: callers pass a valid map value.
    unsafe {
        let mut word = *origin_word(entry);
        for _ in 0..TRIES {
            let (_, marks) = split(word);
            if marks & mark::ORIGIN_KNOWN != 0 {
                break;
            }
            let noted = u64::from(ingress_ifindex) | u64::from(marks | mark::ORIGIN_KNOWN) << 32;
            let seen = atomic::replace(origin_word(entry), word, noted);
            word = if seen == word { noted } else { seen };
        }
        if split(word).0 != ingress_ifindex {
            (*entry).sent.other_origin = ingress_ifindex;
            atomic::or(&raw mut (*entry).received.marks, mark::SEVERAL_ORIGINS);
        }
    }
}

/// Origin and marks of their word; the target is little-endian.
#[inline(always)]
const fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// Keeps the time of the first SYN or SYN-ACK.
#[inline(never)]
fn note_handshake(entry: *mut FlowEntry, tcp_flags: u32) {
    // SAFETY: callers pass a valid map value.
    unsafe {
        let at = if tcp_flags & u32::from(tcp_flag::ACK) == 0 {
            &raw mut (*entry).received.syn_at
        } else {
            &raw mut (*entry).received.syn_ack_at
        };
        note_time(entry, at);
    }
}

/// Keeps the time of a direction's first data.
#[inline(never)]
fn note_data(entry: *mut FlowEntry, direction: Direction) {
    // SAFETY: callers pass a valid map value.
    unsafe {
        let at = match direction {
            Direction::Sent => &raw mut (*entry).received.sent_data_at,
            Direction::Received => &raw mut (*entry).received.received_data_at,
        };
        note_time(entry, at);
    }
}

/// Keeps the time in a field of an entry, if it has none.
///
/// # Safety
/// `entry` is a valid map value, and `at` a field of it.
#[inline(always)]
unsafe fn note_time(entry: *mut FlowEntry, at: *mut u32) {
    // SAFETY: the caller's promise; the helper has no preconditions.
    unsafe {
        if *at == 0 {
            atomic::replace_half(at, 0, moment::keep((*entry).first_seen, bpf_ktime_get_ns()));
        }
    }
}
