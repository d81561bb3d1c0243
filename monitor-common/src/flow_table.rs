//! How a flow is found without a call.
//!
//! A lookup in a hash map is a call from the program into the kernel, and a second one inside it to compare the key;
//! where returns are slowed against speculation that is 27 of the 45 ns that a packet cost. An array lookup is inlined by
//! the verifier. So each family has two arrays, each with both generations one after the other:
//!
//! - The **arena** (`ARENA4`, `ARENA6`) has the flows, as [`Slot`]s that are given out in order, and is read in order.
//! - The **index** (`INDEX4`, `INDEX6`) says in which slot a key is. It is a hash table of buckets of a cache line. A
//!   word of it names the epoch that it is of, so nobody ever has to empty it.
//!
//! A key is put into the first free word of the buckets it may be in, which are always searched in the same order, by
//! compare-and-swap; words are never freed within an epoch. So two CPUs that see a flow's first packets at once agree on
//! one slot: who comes second finds the other's word where it wanted to put its own.

use crate::flow::{FlowEntry, FlowKey4, FlowKey6};
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Words of a bucket: a cache line. [`buckets`] counts on it.
pub const BUCKET: usize = 8;
/// Buckets that a key may be in.
pub const PROBES: u32 = 2;
/// Bits of a slot's number.
const NUMBER_BITS: u32 = 24;
/// The most flows a generation can have.
pub const MOST_FLOWS: u32 = 1 << NUMBER_BITS;

/// Value of the arenas `ARENA4` and `ARENA6`: three cache lines, of which the first is not written once it is in the
/// index.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, KnownLayout)]
pub struct Slot {
    /// The flow's key, see [`Words`]; an IPv4 key has three words, and zeros behind it. All zero if the slot was given
    /// out and not used.
    pub key: [u64; 6],
    /// The flow.
    pub entry: FlowEntry,
}

const _: () =
    assert!(size_of::<Slot>() == 192 && offset_of!(Slot, entry) + offset_of!(FlowEntry, sent) == 64);

impl Slot {
    /// Whether it holds a flow. No flow's key is zero: interfaces are numbered from 1.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.key != [0; 6]
    }
}

/// Buckets that an index needs, in one generation, for so many flows: a power of two, with four times as many
/// words as flows. Then about one flow in a million finds both its buckets full.
#[must_use]
pub const fn buckets(max_flows: u32) -> u32 {
    // Four words for each flow, eight in each bucket.
    let wanted = max_flows.div_ceil(2).next_power_of_two();
    if wanted < PROBES { PROBES } else { wanted }
}

/// The epoch that `ACTIVE` means; 0, which the words of a new index have, is none of the first four billion.
#[inline(always)]
#[must_use]
pub const fn epoch(active: u32) -> u32 {
    active.wrapping_add(1)
}

/// The entry of `USED` that counts the slots given out in a generation of the arena for a family (4 or 6).
#[inline(always)]
#[must_use]
pub const fn used(family: u8, generation: u32) -> u32 {
    (family as u32 & 2) | generation
}

/// Where a key is looked for, and what a word of the index says if it is the key's.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    hash: u64,
    /// Epoch and tag, as a word of slot 0 has them.
    wanted: u64,
}

/// What a word of the index says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Perhaps it is in this slot.
    Slot(u32),
    /// Another key is there.
    Other,
    /// Nobody is there in this epoch.
    Free,
}

impl Place {
    /// The place of a key in an epoch.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u64, epoch: u32) -> Self {
        let tag = hash & TAG;
        Self { hash, wanted: (epoch as u64) << 32 | tag }
    }

    /// The bucket to look in at the given attempt, of `buckets` (a power of two).
    #[inline(always)]
    #[must_use]
    pub const fn bucket(&self, attempt: u32, buckets: u32) -> u32 {
        let [first, step] = [(self.hash >> 32) as u32, low(self.hash) | 1];
        first.wrapping_add(attempt.wrapping_mul(step)) & (buckets - 1)
    }

    /// Reads a word.
    #[inline(always)]
    #[must_use]
    pub const fn read(&self, word: u64) -> Word {
        if (word ^ self.wanted) >> NUMBER_BITS == 0 {
            Word::Slot(low(word) & (MOST_FLOWS - 1))
        } else if (word ^ self.wanted) >> 32 == 0 {
            Word::Other
        } else {
            Word::Free
        }
    }

    /// The word that says that the key is in this slot.
    #[inline(always)]
    #[must_use]
    pub const fn word(&self, slot: u32) -> u64 {
        self.wanted | slot as u64
    }
}

/// The bits of a hash that are kept in a word, so that most other keys are known without a look at their slot.
const TAG: u64 = 0xff << NUMBER_BITS;

/// A flow key as whole words, as it is in memory; what is left of the last word is zero.
pub trait Words<const N: usize>: Sized {
    /// The words.
    fn words(&self) -> [u64; N];
    /// The key of these words.
    fn of_words(words: &[u64; N]) -> Self;
}

/// What the hash multiplies a key's words with: odd numbers. An agent draws its own, so that nobody can choose
/// addresses that share their buckets.
pub type Factors = [u64; 6];

/// Factors for tests: the golden ratio's fraction, and its multiples by 3, 5, 7, 9, 11.
pub const FACTORS: Factors = {
    let mut factors = [GOLDEN; 6];
    let mut at = 1;
    while at < 6 {
        factors[at] = GOLDEN.wrapping_mul(2 * at as u64 + 1);
        at += 1;
    }
    factors
};

/// The golden ratio's fraction.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether two keys are the same; without a branch for each word.
#[inline(always)]
#[must_use]
pub const fn same<const N: usize>(one: &[u64; N], other: &[u64; N]) -> bool {
    let mut difference = 0;
    let mut at = 0;
    while at < N {
        difference |= one[at] ^ other[at];
        at += 1;
    }
    difference == 0
}

/// The hash of a key. `factor` gives one of [`Factors`].
#[inline(always)]
pub fn hash<const N: usize>(words: &[u64; N], factor: impl Fn(usize) -> u64) -> u64 {
    // Products that do not wait for each other.
    let mut hash: u64 = 0;
    let mut at = 0;
    while at < N {
        hash = hash.wrapping_add(words[at].wrapping_mul(factor(at)));
        at += 1;
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(GOLDEN);
    hash ^ hash >> 32
}

/// The low half of a word.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
const fn low(word: u64) -> u32 {
    word as u32
}

/// Joins two halves of a word; both ends are little-endian.
#[inline(always)]
const fn join(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// The halves of a word.
const fn split(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// The halves of half a word.
const fn halves(word: u32) -> [u16; 2] {
    let [a, b, c, d] = word.to_le_bytes();
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}

#[inline(always)]
const fn ports(local: u16, remote: u16) -> u32 {
    local as u32 | (remote as u32) << 16
}

#[inline(always)]
const fn rest(protocol: u8, kind: u8, vlan: u16) -> u32 {
    protocol as u32 | (kind as u32) << 8 | (vlan as u32) << 16
}

impl Words<3> for FlowKey4 {
    #[inline(always)]
    fn words(&self) -> [u64; 3] {
        [
            join(self.interface, u32::from_ne_bytes(self.local)),
            join(u32::from_ne_bytes(self.remote), ports(self.local_port, self.remote_port)),
            rest(self.protocol, self.kind, self.vlan).into(),
        ]
    }

    fn of_words(words: &[u64; 3]) -> Self {
        let [interface, local] = split(words[0]);
        let [remote, ports] = split(words[1]);
        let [local_port, remote_port] = halves(ports);
        let [rest, _] = split(words[2]);
        let [protocol, kind, vlan @ ..] = rest.to_le_bytes();
        Self {
            interface,
            local: local.to_ne_bytes(),
            remote: remote.to_ne_bytes(),
            local_port,
            remote_port,
            protocol,
            kind,
            vlan: u16::from_le_bytes(vlan),
        }
    }
}

impl Words<6> for FlowKey6 {
    #[inline(always)]
    fn words(&self) -> [u64; 6] {
        let [l0, l1, l2, l3] = quarters(self.local);
        let [r0, r1, r2, r3] = quarters(self.remote);
        [
            join(self.interface, l0),
            join(l1, l2),
            join(l3, r0),
            join(r1, r2),
            join(r3, ports(self.local_port, self.remote_port)),
            rest(self.protocol, self.kind, self.vlan).into(),
        ]
    }

    fn of_words(words: &[u64; 6]) -> Self {
        let [interface, l0] = split(words[0]);
        let ([l1, l2], [l3, r0], [r1, r2]) = (split(words[1]), split(words[2]), split(words[3]));
        let [r3, ports] = split(words[4]);
        let [local_port, remote_port] = halves(ports);
        let [rest, _] = split(words[5]);
        let [protocol, kind, vlan @ ..] = rest.to_le_bytes();
        Self {
            interface,
            local: of_quarters([l0, l1, l2, l3]),
            remote: of_quarters([r0, r1, r2, r3]),
            local_port,
            remote_port,
            protocol,
            kind,
            vlan: u16::from_le_bytes(vlan),
        }
    }
}

/// An IPv6 address as four words of 32 bits, as they are in memory.
#[inline(always)]
const fn quarters(address: [u8; 16]) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address;
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
        u32::from_ne_bytes([i, j, k, l]),
        u32::from_ne_bytes([m, n, o, p]),
    ]
}

/// The address of four words.
fn of_quarters(words: [u32; 4]) -> [u8; 16] {
    let mut address = [0; 16];
    for (bytes, word) in address.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};
    use zerocopy::IntoBytes as _;

    proptest! {
        #[test]
        fn an_ipv4_key_survives_its_words(bytes: [u8; 20]) {
            let key = FlowKey4::read_from_bytes(&bytes).unwrap();
            prop_assert_eq!(FlowKey4::of_words(&key.words()), key);
            let words = key.words();
            prop_assert_eq!(&words.as_bytes()[..20], &bytes);
            prop_assert_eq!(&words.as_bytes()[20..], &[0; 4]);
        }

        #[test]
        fn an_ipv6_key_survives_its_words(low: [u8; 32], high: [u8; 12]) {
            let bytes = [&low[..], &high[..]].concat();
            let key = FlowKey6::read_from_bytes(&bytes).unwrap();
            prop_assert_eq!(FlowKey6::of_words(&key.words()), key);
            let words = key.words();
            prop_assert_eq!(&words.as_bytes()[..44], &bytes[..]);
            prop_assert_eq!(&words.as_bytes()[44..], &[0; 4]);
        }

        #[test]
        fn a_word_is_read_as_it_was_written(hash: u64, epoch in 1_u32.., slot in 0..MOST_FLOWS) {
            let place = Place::new(hash, epoch);
            prop_assert_eq!(place.read(place.word(slot)), Word::Slot(slot));
            prop_assert_eq!(place.read(0), Word::Free);
            prop_assert_eq!(Place::new(hash, epoch.wrapping_sub(2)).read(place.word(slot)), Word::Free);
            prop_assert_eq!(Place::new(hash ^ 1 << NUMBER_BITS, epoch).read(place.word(slot)), Word::Other);
        }

        #[test]
        fn the_buckets_of_a_key_differ(hash: u64, size in 2_u32..20) {
            let place = Place::new(hash, 1);
            let buckets: HashSet<_> = (0..PROBES).map(|attempt| place.bucket(attempt, 1 << size)).collect();
            prop_assert_eq!(buckets.len(), PROBES as usize);
            prop_assert!(buckets.iter().all(|bucket| *bucket < 1 << size));
        }
    }

    fn key(at: u32) -> FlowKey4 {
        let [a, b, port @ ..] = at.to_be_bytes();
        let local_port = u16::from_be_bytes(port);
        FlowKey4 { interface: 1, local: [10, 0, a, b], local_port, ..FlowKey4::default() }
    }

    /// As many keys that differ little as there may be, put in as the programs do: none may be left without a word.
    #[test]
    fn an_index_has_room_for_all_flows_it_is_made_for() {
        for flows in [8, 64, 1_024, 65_536] {
            let buckets = buckets(flows);
            let mut used: HashMap<u32, usize> = HashMap::new();
            let mut in_first = 0;
            for at in 0..flows {
                let place = Place::new(hash(&key(at).words(), |at| FACTORS[at]), 1);
                let free = (0..PROBES).find(|attempt| {
                    let words = used.entry(place.bucket(*attempt, buckets)).or_default();
                    let has_room = *words < BUCKET;
                    *words += usize::from(has_room);
                    has_room
                });
                assert!(free.is_some(), "flow {at} of {flows} found no room in {buckets} buckets");
                in_first += u32::from(free == Some(0));
            }
            assert!(in_first >= flows / 1_000 * 998, "{in_first} of {flows} were in their first bucket");
        }
    }
}
