//! Flow entries: found or made, and added to.
//!
//! A flow is looked for in the front table and then in the hash map of the active generation.
//! The hit path is inlined into each program; what a flow does once a tick (an entry is made, an origin or a
//! source is noted, a handshake is timed) is in functions of its own, so that it costs the hit path no registers.

use crate::{
    atomic, events,
    key::Key,
    losses::lose,
    maps::{ACTIVE, SCRATCH},
    options::enabled,
};
use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST},
    helpers::{
        bpf_get_smp_processor_id,
        generated::{bpf_ktime_get_ns, bpf_skb_cgroup_id},
    },
};
use core::ptr::NonNull;
use monitor_common::{
    counters::{Counters, Direction},
    flow::{FlowEntry, SeenFlow, mark},
    front::{self, Slot, state},
    loss::Loss,
    packet::{Transport, tcp_flag},
    settings::feature,
};

/// One packet crossing a watched interface.
pub struct Crossing {
    /// The packet.
    pub skb: *mut __sk_buff,
    /// Which way.
    pub direction: Direction,
    /// Coarse monotonic time, nanoseconds.
    pub now: u64,
    /// What it adds to counters.
    pub counted: Counters,
    /// Its source address in the Ethernet header.
    pub source_mac: [u8; 6],
}

/// Adds a packet to its flow's entry in the active generation, which is made if there is none; `None` if there was
/// no room for it.
#[inline(always)]
pub fn record<K: Key<N>, const N: usize>(
    crossing: &Crossing,
    key: &K,
    transport: &Transport,
) -> Option<NonNull<FlowEntry>> {
    let words = key.words();
    let generation = ACTIVE.get(0).copied().unwrap_or(0);
    let start = Start { generation, direction: crossing.direction, tcp_flags: transport.tcp_flags };
    let entry =
        in_front::<K, N>(crossing, &words, start).or_else(|| in_hash::<K, N>(crossing, &words, start))?;
    // SAFETY: a map lookup gives a valid value.
    unsafe { add(entry.as_ptr(), crossing, transport.tcp_flags) };
    Some(entry)
}

/// The flow's entry in the front table, which takes a free slot; `None` if another flow has it.
#[inline(always)]
fn in_front<K: Key<N>, const N: usize>(
    crossing: &Crossing,
    words: &[u64; N],
    start: Start,
) -> Option<NonNull<FlowEntry>> {
    let slot = K::front(start.generation * front::SLOTS + front::index(words))?;
    // SAFETY: a map lookup gives a valid value. A CPU that sees `READY` before the key was written, where memory is
    // weakly ordered, sees the zeros of a free slot in its place, and no key is zero.
    unsafe {
        match (&raw const (*slot.as_ptr()).state).read_volatile() {
            state::READY => {
                let key = &(*slot.as_ptr()).key;
                front::same(key, words).then(|| NonNull::new_unchecked(&raw mut (*slot.as_ptr()).entry))
            }
            state::EMPTY => claim::<K, N>(crossing.skb, slot, words, start.pack(), crossing.now),
            _ => None,
        }
    }
}

/// Takes a free slot for a flow; `None` if another CPU was first, whichever flow it took it for. A flow that is
/// then in the hash map as well is put together again by the agent.
#[inline(never)]
fn claim<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    slot: NonNull<Slot<N>>,
    words: &[u64; N],
    start: u32,
    now: u64,
) -> Option<NonNull<FlowEntry>> {
    let start = Start::unpack(start);
    let slot = slot.as_ptr();
    // SAFETY: callers pass a valid map value. Until the slot is ready, this CPU alone writes it.
    unsafe {
        if atomic::replace(&raw mut (*slot).state, state::EMPTY, state::CLAIMED) != state::EMPTY {
            return None;
        }
        (*slot).key = *words;
        let entry = &raw mut (*slot).entry;
        (*entry).first_seen = now;
        let key = K::in_memory(words);
        if let Some((seen, is_new)) = note_seen::<K, N>(key, now) {
            (*entry).flow_id = seen.flow_id;
            if is_new {
                (*entry).is_new = 1;
                (*entry).first_direction = u8::from(matches!(start.direction, Direction::Sent));
                if enabled(feature::FIRST_PACKET) {
                    events::first_packet(skb, key, &start, seen.flow_id);
                }
            }
        }
        atomic::publish(&raw mut (*slot).state, state::READY);
        Some(NonNull::new_unchecked(entry))
    }
}

/// The flow's entry in the hash map, made if there is none; `None` if the map is full.
#[inline(always)]
fn in_hash<K: Key<N>, const N: usize>(
    crossing: &Crossing,
    words: &[u64; N],
    start: Start,
) -> Option<NonNull<FlowEntry>> {
    let key = K::in_memory(words);
    key.find(start.generation).or_else(|| make(crossing.skb, key, start.pack(), crossing.now))
}

/// Adds a packet to an entry.
///
/// # Safety
/// `entry` is a valid map value.
#[inline(always)]
unsafe fn add(entry: *mut FlowEntry, crossing: &Crossing, tcp_flags: u8) {
    let Crossing { skb, direction, now, counted, source_mac } = crossing;
    // SAFETY: the caller's promise. `last_seen` is a plain store: whichever CPU's comes last is right.
    unsafe {
        (*entry).last_seen = *now;
        let (counters, seen_flags) = match direction {
            Direction::Sent => (&raw mut (*entry).sent, &raw mut (*entry).sent_flags),
            Direction::Received => (&raw mut (*entry).received, &raw mut (*entry).received_flags),
        };
        atomic::add(&raw mut (*counters).skbs, counted.skbs);
        atomic::add(&raw mut (*counters).skb_bytes, counted.skb_bytes);
        if counted.extra_packets != 0 {
            atomic::add(&raw mut (*counters).extra_packets, counted.extra_packets);
            atomic::add(&raw mut (*counters).extra_bytes, counted.extra_bytes);
        }
        if enabled(feature::HANDSHAKE) && tcp_flags != 0 {
            let flags = u32::from(tcp_flags);
            if *seen_flags & flags != flags {
                atomic::or(seen_flags, flags);
            }
            if tcp_flags & tcp_flag::SYN != 0 {
                note_handshake(entry, flags);
            }
        }
        match direction {
            Direction::Sent => check_sender(entry, *skb, source_mac),
            Direction::Received => check_origin(entry, (**skb).ingress_ifindex),
        }
    }
}

/// Notes source MAC and cgroup of a sent packet, if they are not noted already.
///
/// # Safety
/// `entry` is a valid map value, `skb` the context.
#[inline(always)]
unsafe fn check_sender(entry: *mut FlowEntry, skb: *mut __sk_buff, source_mac: &[u8; 6]) {
    let wanted = (if enabled(feature::SOURCE_MAC) { mark::SOURCE_MAC_KNOWN } else { 0 })
        | (if enabled(feature::CGROUP) { mark::CGROUP_ASKED } else { 0 });
    let [a, b, c, d, e, f] = *source_mac;
    let mac = u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]);
    // SAFETY: the caller's promise.
    unsafe {
        let marks = (*entry).marks;
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
    unsafe { (&raw mut (*entry).source_mac).cast() }
}

/// The word of origin and marks.
#[inline(always)]
unsafe fn origin_word(entry: *mut FlowEntry) -> *mut u64 {
    // SAFETY: as the caller; the two fields share an aligned word.
    unsafe { (&raw mut (*entry).origin).cast() }
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
            if (*entry).marks & mark::SOURCE_MAC_KNOWN == 0 {
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
                atomic::or(&raw mut (*entry).marks, mark::SOURCE_MAC_KNOWN);
            }
            if word & MAC_MASK != mac {
                atomic::or(&raw mut (*entry).marks, mark::SEVERAL_SOURCE_MACS);
            }
        }
        if enabled(feature::CGROUP)
            && (*entry).marks & mark::CGROUP_ASKED == 0
            && atomic::or(&raw mut (*entry).marks, mark::CGROUP_ASKED) & mark::CGROUP_ASKED == 0
        {
            (*entry).cgroup = bpf_skb_cgroup_id(skb);
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
            (*entry).other_origin = ingress_ifindex;
            atomic::or(&raw mut (*entry).marks, mark::SEVERAL_ORIGINS);
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
    // SAFETY: callers pass a valid map value; the helper has no preconditions.
    unsafe {
        let at = if tcp_flags & u32::from(tcp_flag::ACK) == 0 {
            &raw mut (*entry).syn_at
        } else {
            &raw mut (*entry).syn_ack_at
        };
        if *at == 0 {
            atomic::replace(at, 0, bpf_ktime_get_ns());
        }
    }
}

/// What [`make`] and [`claim`] are told, in one register: a function of a program has five arguments.
#[derive(Clone, Copy)]
pub struct Start {
    generation: u32,
    /// Of the packet.
    pub direction: Direction,
    /// Of the packet.
    pub tcp_flags: u8,
}

impl Start {
    #[inline(always)]
    const fn pack(self) -> u32 {
        self.generation << 16 | (self.direction as u32) << 8 | self.tcp_flags as u32
    }

    #[inline(always)]
    const fn unpack(packed: u32) -> Self {
        let direction = if packed >> 8 & 1 == 0 { Direction::Sent } else { Direction::Received };
        Self { generation: packed >> 16, direction, tcp_flags: packed as u8 }
    }
}

/// Makes the entry of a flow that has none in this generation; `None` if the map is full.
///
/// The entry is put in blank, and only if there is none. Whoever put it in, it is then looked up: so two CPUs that
/// miss the same key at once both add to the one entry.
#[inline(never)]
fn make<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    key: &K,
    start: u32,
    now: u64,
) -> Option<NonNull<FlowEntry>> {
    let start = Start::unpack(start);
    let (seen, is_new) = note_seen::<K, N>(key, now)?;
    if is_new && enabled(feature::FIRST_PACKET) {
        events::first_packet(skb, key, &start, seen.flow_id);
    }
    // SAFETY: this CPU has its scratch to itself, and all else of `blank` is never written.
    unsafe {
        let blank = &raw mut (*SCRATCH.get_ptr_mut(0)?).blank;
        (*blank).flow_id = seen.flow_id;
        (*blank).first_seen = now;
        key.insert(start.generation, &*blank);
    }
    let entry = key.find(start.generation)?;
    if is_new {
        // SAFETY: a map lookup gives a valid value. Said here and not in the blank entry, because another CPU's
        // may have won.
        unsafe {
            (*entry.as_ptr()).is_new = 1;
            (*entry.as_ptr()).first_direction = u8::from(matches!(start.direction, Direction::Sent));
        }
    }
    Some(entry)
}

/// The flow's id, and whether this packet is the flow's first; notes it as seen.
#[inline(always)]
fn note_seen<K: Key<N>, const N: usize>(key: &K, now: u64) -> Option<(SeenFlow, bool)> {
    // SAFETY: copied at once.
    if let Some(seen) = unsafe { K::SEEN.get(key) } {
        return Some((*seen, false));
    }
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU has its scratch to itself.
    let flow_id = unsafe {
        (*scratch).flows += 1;
        u64::from(bpf_get_smp_processor_id()) << 48 | (*scratch).flows
    };
    let seen = SeenFlow { flow_id, first_seen: now };
    if K::SEEN.insert(key, &seen, u64::from(BPF_NOEXIST)).is_ok() {
        return Some((seen, true));
    }
    // SAFETY: copied at once.
    match unsafe { K::SEEN.get(key) } {
        Some(winner) => Some((*winner, false)),
        None => {
            lose(Loss::SeenNotNoted);
            Some((seen, true))
        }
    }
}
