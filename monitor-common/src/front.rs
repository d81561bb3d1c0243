//! The front tables: where a flow is found without a call.
//!
//! A lookup in a hash map is a call from the program into the kernel, and a second one inside it to compare the key;
//! where returns are slowed against speculation that is 27 of the 45 ns that a packet cost. An array lookup is inlined by
//! the verifier. So each family has an array in front of its hash maps, direct-mapped by a hash of the key: a flow
//! whose slot is free takes it for the rest of the generation, and one that finds it taken goes to the hash map.
//!
//! An array `FRONT4`/`FRONT6` holds both generations, one after the other. The agent maps it into its memory, reads the
//! quiet half and zeroes it.

use crate::flow::{FlowEntry, FlowKey4, FlowKey6};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Slots of one generation; a power of two.
pub const SLOTS: u32 = 4_096;

/// Values of [`Slot::state`].
pub mod state {
    /// Free: all of it is zero.
    pub const EMPTY: u64 = 0;
    /// Taken by a CPU that is still writing its key.
    pub const CLAIMED: u64 = 1;
    /// Holds a flow.
    pub const READY: u64 = 2;
}

/// Value of `FRONT4` (N = 3) and `FRONT6` (N = 6).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, KnownLayout)]
pub struct Slot<const N: usize> {
    /// One of [`state`]; set by compare-and-swap.
    pub state: u64,
    /// The flow's key, see [`Words`].
    pub key: [u64; N],
    /// The flow.
    pub entry: FlowEntry,
}

const _: () = assert!(size_of::<Slot<3>>() == 176);
const _: () = assert!(size_of::<Slot<6>>() == 200);

/// A flow key as whole words, as it is in memory; what is left of the last word is zero.
pub trait Words<const N: usize>: Sized {
    /// The words.
    fn words(&self) -> [u64; N];
    /// The key of these words.
    fn of_words(words: &[u64; N]) -> Self;
}

/// Odd numbers of 64 bits, about half of them set: the golden ratio's fraction, and its multiples by 3, 5, 7, 9, 11.
const FACTORS: [u64; 6] = {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut factors = [GOLDEN; 6];
    let mut at = 1;
    while at < 6 {
        factors[at] = GOLDEN.wrapping_mul(2 * at as u64 + 1);
        at += 1;
    }
    factors
};

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

/// The slot of a key in either generation.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the shift leaves no more bits than a slot's number has")]
pub const fn index<const N: usize>(words: &[u64; N]) -> u32 {
    // Each word by an odd factor of its own, in products that do not wait for each other.
    let mut hash: u64 = 0;
    let mut at = 0;
    while at < N {
        hash = hash.wrapping_add(words[at].wrapping_mul(FACTORS[at]));
        at += 1;
    }
    hash ^= hash >> 32;
    (hash.wrapping_mul(FACTORS[0]) >> (64 - SLOTS.trailing_zeros())) as u32
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
    use super::{SLOTS, Words, index};
    use crate::flow::{FlowKey4, FlowKey6};
    use proptest::prelude::*;
    use zerocopy::{FromBytes as _, IntoBytes as _};

    proptest! {
        #[test]
        fn an_ipv4_key_survives_its_words(bytes: [u8; 20]) {
            let key = FlowKey4::read_from_bytes(&bytes).unwrap();
            prop_assert_eq!(FlowKey4::of_words(&key.words()), key);
            let words = key.words();
            prop_assert_eq!(&words.as_bytes()[..20], &bytes);
            prop_assert_eq!(&words.as_bytes()[20..], &[0; 4]);
            prop_assert!(index(&words) < SLOTS);
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
    }

    #[test]
    fn keys_that_differ_little_spread_over_the_slots() {
        let slots: std::collections::HashSet<u32> = (0..1_024_u16)
            .map(|port| FlowKey4 {
                interface: 1,
                local: [10, 0, 0, 1],
                local_port: port,
                ..FlowKey4::default()
            })
            .map(|key| index(&key.words()))
            .collect();
        // 1,024 keys thrown at random into 4,096 slots take 906 of them on average.
        assert!(slots.len() > 850, "{} slots", slots.len());
    }
}
