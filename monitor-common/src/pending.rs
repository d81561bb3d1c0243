//! Packets that were counted and are not in their flow's entry yet.
//!
//! An entry is shared by all CPUs, so adding to it needs the bus locked, and a packet between two copies of 64 KiB finds
//! neither the index nor the entry in its CPU's caches. So each CPU has some [`Pending`] lines of its own: a packet that
//! says nothing new of its flow is added there, without atomics, and the line's sum is added to the entry when another
//! flow takes the line. What is left in the lines of a generation when that is over is added by the agent, which waits
//! until no program can still be in it.

use crate::counters::{Counters, Direction};
use crate::flow::{FlowEntry, mark};
use crate::flow_table::GOLDEN;
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Lines of one CPU in one generation, as a power of two: the two directions of a flow have neighbours.
pub const LINES: u32 = 128;

/// What a CPU counted of one direction of a flow: two cache lines, of which the first is only written when another flow
/// was looked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Pending {
    /// The flow's key; an IPv4 key has three words, and what is behind it means nothing.
    pub key: [u64; 6],
    /// Epoch, family and direction, see [`tag`]; 0 if the line was never used.
    pub tag: u64,
    /// The [`mix`] of the flow that was last looked for here and not found. It gets the line when that happens again
    /// before another one is: flows of a packet each cost one store.
    pub candidate: u64,
    /// Packets and bytes.
    pub counters: Counters,
    /// Coarse monotonic time of the last packet, nanoseconds.
    pub last_seen: u64,
    /// The flow's slot in its half of the arena.
    pub slot: u32,
    /// TCP flags that the entry has of this direction, without SYN: a SYN has its time noted.
    pub tcp_flags: u32,
    /// The kernel's tick count when `last_seen` was asked for.
    pub tick: u64,
    /// What its packets have to agree with to be added here: the source MAC of what is sent, the origin of what is
    /// received.
    pub known: u64,
}

const _: () = assert!(size_of::<Pending>() == 128 && offset_of!(Pending, counters) == 64);

/// The tag of a line that a flow of this family (4 or 6) has in this epoch for one direction.
#[inline(always)]
#[must_use]
pub const fn tag(epoch: u32, family: u8, direction: Direction) -> u64 {
    (epoch as u64) << 32 | (family as u64) << 8 | direction as u64
}

/// The epoch of a tag.
#[inline(always)]
#[must_use]
pub const fn epoch(tag: u64) -> u32 {
    (tag >> 32) as u32
}

/// The family of a tag.
#[inline(always)]
#[must_use]
pub const fn family(tag: u64) -> u8 {
    (tag >> 8 & 0xff) as u8
}

/// Which way the packets of a tag went.
#[inline(always)]
#[must_use]
pub const fn direction(tag: u64) -> Direction {
    if tag & 1 == 0 { Direction::Sent } else { Direction::Received }
}

/// The first line that a CPU has in a generation.
#[inline(always)]
#[must_use]
pub const fn first(cpu: u32, generation: u32) -> u32 {
    (cpu << 1 | generation & 1) * LINES
}

/// What stands for a key here. No hash, since that costs a third of what a packet does: whoever makes keys share a line
/// makes their packets go to their entries one by one.
#[inline(always)]
#[must_use]
pub const fn mix<const N: usize>(words: &[u64; N]) -> u64 {
    let mut mixed: u64 = 0;
    let mut at = 0;
    while at < N {
        mixed = mixed.rotate_left(7) ^ words[at];
        at += 1;
    }
    mixed
}

/// The line of a flow among those of a CPU and generation, by its [`mix`].
#[inline(always)]
#[must_use]
pub const fn line(mixed: u64, direction: Direction) -> u32 {
    const { assert!(LINES == 2 << FLOW_BITS) };
    let flow = (mixed.wrapping_mul(GOLDEN) >> (64 - FLOW_BITS)) as u32;
    flow << 1 | direction as u32
}

/// Bits that tell the flows of a CPU's lines apart.
const FLOW_BITS: u32 = 6;

/// Lines that so many CPUs need, in both generations.
#[must_use]
pub const fn lines(cpus: u32) -> u32 {
    first(cpus, 0)
}

impl Pending {
    /// Whether it has something of this epoch that is not in its flow's entry.
    #[must_use]
    pub const fn is_left(&self, of: u32) -> bool {
        epoch(self.tag) == of && self.counters.skbs != 0
    }

    /// Adds it to its flow's entry.
    pub const fn add_to(&self, entry: &mut FlowEntry) {
        let (counters, last_seen) = match direction(self.tag) {
            Direction::Sent => (&mut entry.sent.counters, &mut entry.sent.last_seen),
            Direction::Received => (&mut entry.received.counters, &mut entry.received.last_seen),
        };
        counters.absorb(&self.counters);
        if self.last_seen > *last_seen {
            *last_seen = self.last_seen;
        }
    }
}

/// The flags that a line may take of a direction's marks.
#[inline(always)]
#[must_use]
pub const fn takes(marks: u32) -> u32 {
    marks & mark::TCP_FLAGS & !(crate::packet::tcp_flag::SYN as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_what_it_was_made_of() {
        for way in [Direction::Sent, Direction::Received] {
            let tag = tag(7, 6, way);
            assert_eq!((epoch(tag), family(tag), direction(tag)), (7, 6, way));
        }
    }

    #[test]
    fn no_two_cpus_or_generations_share_a_line() {
        let mut seen = std::collections::HashSet::new();
        for (cpu, generation) in [(0, 0), (0, 1), (1, 0), (1, 1), (7, 1)] {
            for mixed in 0..100 * u64::from(LINES) {
                for way in [Direction::Sent, Direction::Received] {
                    seen.insert(first(cpu, generation) + line(mixed, way));
                }
            }
        }
        assert_eq!(seen.len(), 5 * LINES as usize);
        assert!(seen.iter().all(|line| *line < lines(8)));
    }

    #[test]
    fn connections_from_one_container_to_one_service_spread_over_the_lines() {
        use crate::flow::FlowKey4;
        use crate::flow_table::Words as _;
        let key = |local_port| FlowKey4 {
            interface: 7,
            local: [172, 18, 0, 2],
            remote: [172, 18, 0, 3],
            local_port,
            remote_port: 5432,
            protocol: 6,
            ..FlowKey4::default()
        };
        for step in [1, 2] {
            let lines = (0..64).map(|at| line(mix(&key(40_000 + at * step).words()), Direction::Sent));
            let used: std::collections::HashSet<u32> = lines.collect();
            assert!(used.len() >= LINES as usize / 4, "{} lines with a step of {step}", used.len());
        }
    }

    #[test]
    fn what_is_left_is_added_once_to_its_own_direction_and_time_never_goes_back() {
        let counters = Counters { skbs: 2, skb_bytes: 300, extra_packets: 4, extra_bytes: 50 };
        let line =
            Pending { tag: tag(3, 4, Direction::Received), counters, last_seen: 9, ..Pending::default() };
        assert!(line.is_left(3) && !line.is_left(5));
        assert!(!Pending { counters: Counters::default(), ..line }.is_left(3));
        let mut entry = FlowEntry::default();
        entry.received.last_seen = 10;
        line.add_to(&mut entry);
        assert_eq!((entry.received.counters, entry.received.last_seen), (counters, 10));
        assert_eq!(entry.sent, crate::flow::Sent::default());
        Pending { last_seen: 11, ..line }.add_to(&mut entry);
        assert_eq!((entry.received.counters.skbs, entry.received.last_seen), (4, 11));
    }
}
