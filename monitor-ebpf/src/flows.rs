//! Flow entries, found or made.
//!
//! [`monitor_common::flow_table`] says where a flow is. Nearly every packet finds its flow in one of its CPU's lines
//! ([`crate::pending`]), and nearly every other one in the first bucket. Both are inlined into each program; making
//! an entry is a function of its own, so that it costs them no registers.

use crate::{
    atomic, clock, entry, events,
    key::Key,
    losses::lose_anywhere,
    maps::{ACTIVE, Bucket, SCRATCH, USED},
    options::{buckets, enabled, factor, max_flows, sample_every},
    pending as lines,
};
use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST},
    helpers::bpf_get_smp_processor_id,
};
use core::{arch::asm, ptr::NonNull};
use monitor_common::{
    counters::{Counters, Direction},
    flow::{FlowEntry, FlowKey4, FlowKey6, SeenFlow},
    flow_table::{BUCKET, MOST_FLOWS, PROBES, Place, Slot, Word, epoch, hash, same, used},
    loss::Loss,
    packet::Transport,
    pending,
    settings::feature,
};

/// One packet crossing a watched interface.
pub struct Crossing {
    /// The packet.
    pub skb: *mut __sk_buff,
    /// Which way.
    pub direction: Direction,
    /// What it adds to counters.
    pub counted: Counters,
    /// Its source address in the Ethernet header.
    pub source_mac: [u8; 6],
}

/// Adds a packet to its flow in the active generation, which gets an entry if it has none; the flow's id if packets are
/// sampled, or `None` if there was no room for it.
#[inline(always)]
pub fn record<K: Key<N>, const N: usize>(crossing: &Crossing, key: &K, transport: &Transport) -> Option<u64> {
    let words = key.words();
    let active = ACTIVE.get(0).copied().unwrap_or(0);
    let (epoch, generation) = (epoch(active), active & 1);
    let tag = pending::tag(epoch, K::FAMILY, crossing.direction);
    let mixed = pending::mix(&words);
    let line = lines::line(mixed, generation, crossing.direction);
    if let Some(line) = line
        && let Some(number) = lines::add(line, tag, &words, crossing, transport.tcp_flags)
    {
        return flow_id::<K, N>(generation, number);
    }
    let start = Start { active, direction: crossing.direction, tcp_flags: transport.tcp_flags };
    let place = Place::new(hash(&words, factor), epoch);
    let now = clock::coarse();
    let (number, entry) = in_first_bucket::<K, N>(&words, place, generation)
        .or_else(|| somewhere_else::<K, N>(crossing.skb, &words, start, now))?;
    // SAFETY: a map lookup gives a valid value.
    unsafe { entry::add(entry.as_ptr(), crossing, transport.tcp_flags, now) };
    if let Some(line) = line {
        lines::keep::<K, N>(line, tag, &words, mixed, number, entry);
    }
    // SAFETY: as above.
    Some(unsafe { (*entry.as_ptr()).flow_id })
}

/// As [`record`], of a packet that others on the same CPU may come between: bottom halves are not off where a socket
/// sends. So nothing is kept per CPU. Whether there was room for it.
#[inline(always)]
pub fn record_anywhere<K: Key<N>, const N: usize>(
    crossing: &Crossing,
    key: &K,
    transport: &Transport,
) -> bool {
    let words = key.words();
    let active = ACTIVE.get(0).copied().unwrap_or(0);
    let (epoch, generation) = (epoch(active), active & 1);
    let place = Place::new(hash(&words, factor), epoch);
    let now = clock::coarse_anywhere();
    let entry = match in_first_bucket::<K, N>(&words, place, generation) {
        Some((_, entry)) => entry,
        None => {
            let start = Start { active, direction: crossing.direction, tcp_flags: transport.tcp_flags };
            let number = find_or_make_anywhere::<K, N>(crossing.skb, &words, start.pack(), now);
            let slot = K::slot(generation * max_flows() + number).filter(|_| number != FULL);
            let Some(slot) = slot else { return false };
            // SAFETY: a map lookup gives a valid value.
            unsafe { NonNull::new_unchecked(&raw mut (*slot.as_ptr()).entry) }
        }
    };
    // SAFETY: as above.
    unsafe { entry::count(entry.as_ptr(), crossing, transport.tcp_flags, now) };
    true
}

/// [`find_or_make`] of a key that is not in `SCRATCH`.
#[inline(never)]
fn find_or_make_anywhere<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    words: &[u64; N],
    start: u64,
    now: u64,
) -> u32 {
    find_or_make::<K, N>(skb, words, start, now).unwrap_or(FULL)
}

/// The id of the flow in a slot; 0 where nobody asks, since that is another look at memory.
#[inline(always)]
fn flow_id<K: Key<N>, const N: usize>(generation: u32, number: u32) -> Option<u64> {
    if sample_every() == 0 && !enabled(feature::CAPTURE) {
        return Some(0);
    }
    // SAFETY: a map lookup gives a valid value.
    K::slot(generation * max_flows() + number).map(|slot| unsafe { (*slot.as_ptr()).entry.flow_id })
}

/// The flow's slot and entry, if it is in the first bucket where it may be; nearly every flow is.
#[inline(always)]
fn in_first_bucket<K: Key<N>, const N: usize>(
    words: &[u64; N],
    place: Place,
    generation: u32,
) -> Option<(u32, NonNull<FlowEntry>)> {
    let bucket = K::bucket(generation * buckets() + place.bucket(0, buckets()))?;
    let mut at = 0_u64;
    loop {
        // SAFETY: a map lookup gives a valid value; `at` is within it.
        match place.read(unsafe { word(bucket, at as usize).read_volatile() }) {
            Word::Slot(number) => {
                if let Some(entry) = in_slot::<K, N>(words, generation, number) {
                    return Some((number, entry));
                }
            }
            Word::Other => {}
            Word::Free => return None,
        }
        // SAFETY: adds one. LLVM likes to let the end of a loop run on into its beginning, and before Linux 6.4 the
        // verifier takes a way back that is no jump for a loop without end. It cannot move this behind the comparison.
        unsafe { asm!("{0} += 1", inout(reg) at, options(pure, nomem, nostack)) };
        if at == BUCKET as u64 {
            return None;
        }
    }
}

/// A word of a bucket.
#[inline(always)]
const unsafe fn word(bucket: NonNull<Bucket>, at: usize) -> *mut u64 {
    // SAFETY: the caller says that the bucket is valid and that `at` is within it.
    unsafe { bucket.as_ptr().cast::<u64>().add(at) }
}

/// The entry in a slot, if it is the key's.
#[inline(always)]
fn in_slot<K: Key<N>, const N: usize>(
    words: &[u64; N],
    generation: u32,
    number: u32,
) -> Option<NonNull<FlowEntry>> {
    let slot = K::slot(generation * max_flows() + number)?.as_ptr();
    // SAFETY: a map lookup gives a valid value. Its key is written before its number gets into the index.
    unsafe {
        same(&*(&raw const (*slot).key).cast::<[u64; N]>(), words)
            .then(|| NonNull::new_unchecked(&raw mut (*slot).entry))
    }
}

/// The flow's slot and entry, if it is not in the first bucket or has to be made.
#[inline(always)]
fn somewhere_else<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    words: &[u64; N],
    start: Start,
    now: u64,
) -> Option<(u32, NonNull<FlowEntry>)> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU has its scratch to itself.
    unsafe { (&raw mut (*scratch).key).cast::<[u64; N]>().write(*words) };
    let number = K::find_or_make(skb, start.pack(), now);
    let slot = K::slot((start.active & 1) * max_flows() + number)?.as_ptr();
    // SAFETY: a map lookup gives a valid value.
    (number != FULL).then(|| (number, unsafe { NonNull::new_unchecked(&raw mut (*slot).entry) }))
}

/// [`find_or_make`] for IPv4. Global, so that the verifier goes through it once and
/// not for every state in which it may be called.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_or_make4(skb: *mut __sk_buff, start: u64, now: u64) -> u32 {
    in_scratch::<FlowKey4, 3>(skb, start, now)
}

/// [`find_or_make`] for IPv6.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_or_make6(skb: *mut __sk_buff, start: u64, now: u64) -> u32 {
    in_scratch::<FlowKey6, 6>(skb, start, now)
}

/// [`find_or_make`] of the key in `SCRATCH`.
#[inline(always)]
fn in_scratch<K: Key<N>, const N: usize>(skb: *mut __sk_buff, start: u64, now: u64) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return FULL };
    // SAFETY: this CPU has its scratch to itself, and the caller put a key of `N` words there.
    let words = unsafe { &*(&raw const (*scratch).key).cast::<[u64; N]>() };
    find_or_make::<K, N>(skb, words, start, now).unwrap_or(FULL)
}

/// The slot of the flow with this key, wherever it is; made if it has none in this generation; `None` if
/// there is no room.
///
/// A new entry is written in a slot of its own and then put into the index by compare-and-swap. Who loses that to
/// another CPU searches again: the other's may be the same flow.
#[inline(always)]
fn find_or_make<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    words: &[u64; N],
    start: u64,
    now: u64,
) -> Option<u32> {
    let start = Start::unpack(start);
    let (place, generation) = (Place::new(hash(words, factor), epoch(start.active)), start.active & 1);
    let mut made: Option<Made> = None;
    let mut entry = None;
    for _ in 0..SEARCHES {
        let found = search::<K, N>(words, place, generation);
        let Found::Free(word) = found else {
            if let Found::Slot(number) = found {
                entry = Some(number);
            }
            break;
        };
        let mine = match made {
            Some(mine) => mine,
            None => make::<K, N>(skb, words, &start, now)?,
        };
        made = Some(mine);
        // SAFETY: a word of a valid map value. One that is not of this epoch was free, and still is if it has not
        // changed.
        unsafe {
            let seen = word.read_volatile();
            if place.read(seen) == Word::Free && atomic::replace(word, seen, place.word(mine.number)) == seen
            {
                return Some(mine.number);
            }
        }
    }
    if let Some(mine) = made {
        mine.give_up::<N>(entry.and_then(|number| K::slot(generation * max_flows() + number)));
    }
    entry
}

/// How often a flow is searched: once more each time another CPU took the word that was found free. A flow that loses
/// them all is not recorded, and counted as such.
const SEARCHES: u32 = 4;
/// What [`find_or_make4`] returns if there is no room.
const FULL: u32 = MOST_FLOWS;

/// What [`search`] found.
enum Found {
    /// The flow is in this slot.
    Slot(u32),
    /// It is nowhere, and this word is where it is to be put.
    Free(*mut u64),
    /// It is nowhere, and there is no room for it.
    Nothing,
}

/// Looks for a flow in all buckets where it may be.
#[inline(always)]
fn search<K: Key<N>, const N: usize>(words: &[u64; N], place: Place, generation: u32) -> Found {
    for attempt in 0..PROBES {
        let Some(bucket) = K::bucket(generation * buckets() + place.bucket(attempt, buckets())) else {
            break;
        };
        for at in 0..BUCKET {
            // SAFETY: a map lookup gives a valid value; `at` is within it.
            let word = unsafe { word(bucket, at) };
            // SAFETY: as above.
            match place.read(unsafe { word.read_volatile() }) {
                Word::Slot(number) => {
                    if in_slot::<K, N>(words, generation, number).is_some() {
                        return Found::Slot(number);
                    }
                }
                Word::Other => {}
                Word::Free => return Found::Free(word),
            }
        }
    }
    Found::Nothing
}

/// A slot with a new entry that is not in the index yet.
#[derive(Clone, Copy)]
struct Made {
    number: u32,
    slot: NonNull<Slot>,
}

impl Made {
    /// The slot stays unused; if another CPU's entry is of the same flow, it is told what this one was to say.
    #[inline(always)]
    fn give_up<const N: usize>(self, other: Option<NonNull<Slot>>) {
        // SAFETY: map lookups gave valid values, and this CPU alone knows the slot.
        unsafe {
            let slot = self.slot.as_ptr();
            (&raw mut (*slot).key).cast::<[u64; N]>().write([0; N]);
            let mine = &(*slot).entry.sent;
            if let Some(other) = other
                && mine.is_new != 0
            {
                (*other.as_ptr()).entry.sent.is_new = 1;
                (*other.as_ptr()).entry.sent.first_direction = mine.first_direction;
            }
        }
    }
}

/// Takes the next slot of the arena and writes the flow's new entry into it; `None` if the arena is full.
#[inline(always)]
fn make<K: Key<N>, const N: usize>(
    skb: *mut __sk_buff,
    words: &[u64; N],
    start: &Start,
    now: u64,
) -> Option<Made> {
    let generation = start.active & 1;
    let used = USED.get_ptr_mut(used(K::FAMILY, generation))?;
    // SAFETY: a map lookup gives a valid value. Once the arena is full, the counter is only read.
    let number = unsafe {
        if used.read_volatile() >= u64::from(max_flows()) {
            return None;
        }
        atomic::fetch_add(used, 1)
    };
    if number >= u64::from(max_flows()) {
        return None;
    }
    let number = number as u32;
    let slot = K::slot(generation * max_flows() + number)?;
    let key = K::in_memory(words);
    let (seen, is_new) = note_seen::<K, N>(key, now);
    if is_new && enabled(feature::FIRST_PACKET) {
        events::first_packet(skb, key, start.pack(), seen.flow_id);
    }
    // SAFETY: a map lookup gives a valid value, which nobody else was given in this epoch.
    unsafe {
        let slot = slot.as_ptr();
        (&raw mut (*slot).key).cast::<[u64; N]>().write(*words);
        let entry = &raw mut (*slot).entry;
        // Word by word: what is assigned at once becomes a call of `memset`, which writes byte by byte.
        for at in 0..size_of::<FlowEntry>() / 8 {
            entry.cast::<u64>().add(at).write_volatile(0);
        }
        (*entry).flow_id = seen.flow_id;
        (*entry).first_seen = now;
        (*entry).sent.is_new = u8::from(is_new);
        (*entry).sent.first_direction = u8::from(matches!(start.direction, Direction::Sent));
    }
    Some(Made { number, slot })
}

/// What [`find_or_make`] is told of a packet, in one register: a function of a program has five arguments.
#[derive(Clone, Copy)]
pub struct Start {
    /// What `ACTIVE` said.
    active: u32,
    /// Of the packet.
    pub direction: Direction,
    /// Of the packet.
    pub tcp_flags: u8,
}

impl Start {
    /// As one word.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        (self.active as u64) << 32 | (self.direction as u64) << 8 | self.tcp_flags as u64
    }

    /// Of that word.
    #[inline(always)]
    pub const fn unpack(packed: u64) -> Self {
        let direction = if packed >> 8 & 1 == 0 { Direction::Sent } else { Direction::Received };
        Self { active: (packed >> 32) as u32, direction, tcp_flags: packed as u8 }
    }
}

/// The flow's id, and whether this packet is the flow's first; notes it as seen.
#[inline(always)]
fn note_seen<K: Key<N>, const N: usize>(key: &K, now: u64) -> (SeenFlow, bool) {
    // SAFETY: copied at once.
    if let Some(seen) = unsafe { K::SEEN.get(key) } {
        return (*seen, false);
    }
    // SAFETY: a map lookup gives a valid value of this CPU; where a control group's packet is counted, another may come
    // between.
    let flow_id = SCRATCH.get_ptr_mut(0).map_or(0, |scratch| unsafe {
        let flows = atomic::fetch_add(&raw mut (*scratch).flows, 1) + 1;
        u64::from(bpf_get_smp_processor_id()) << 48 | flows
    });
    let seen = SeenFlow { flow_id, first_seen: now };
    if K::SEEN.insert(key, &seen, u64::from(BPF_NOEXIST)).is_ok() {
        return (seen, true);
    }
    // SAFETY: copied at once.
    if let Some(winner) = unsafe { K::SEEN.get(key) } {
        return (*winner, false);
    }
    lose_anywhere(Loss::SeenNotNoted);
    (seen, true)
}
