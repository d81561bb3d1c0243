//! Keys and entries of flows.

use crate::counters::Counters;
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What the two port fields of a flow key hold.
pub mod key_kind {
    /// Ports of TCP, UDP, SCTP, DCCP or UDP-Lite; 0 and 0 for every other protocol without ports.
    pub const PORTS: u8 = 0;
    /// A fragment after the first: it has no ports, so both fields are 0.
    pub const LATER_FRAGMENT: u8 = 1;
    /// ICMP or ICMPv6: `local_port` is the echo identifier (0 if there is none) and `remote_port` is
    /// `type << 8 | code`. An echo reply is keyed as the request it answers, so both share one entry.
    pub const ICMP: u8 = 2;
    /// The transport header was cut off or could not be reached; both fields are 0.
    pub const NO_HEADER: u8 = 3;
}

/// Key of an IPv4 flow. Addresses are in network order, ports in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowKey4 {
    /// [`crate::interface::InterfaceEntry::number`].
    pub interface: u32,
    /// The container's end: the source of what it sends, the destination of what it receives.
    pub local: [u8; 4],
    /// The other end.
    pub remote: [u8; 4],
    /// See [`key_kind`].
    pub local_port: u16,
    /// See [`key_kind`].
    pub remote_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// One of [`key_kind`].
    pub kind: u8,
    /// VLAN id of the outermost tag plus one; 0 when untagged.
    pub vlan: u16,
}

const _: () = assert!(size_of::<FlowKey4>() == 20);

/// Key of an IPv6 flow; the fields are those of [`FlowKey4`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowKey6 {
    /// See [`FlowKey4::interface`].
    pub interface: u32,
    /// See [`FlowKey4::local`].
    pub local: [u8; 16],
    /// See [`FlowKey4::remote`].
    pub remote: [u8; 16],
    /// See [`key_kind`].
    pub local_port: u16,
    /// See [`key_kind`].
    pub remote_port: u16,
    /// The transport protocol, after extension headers.
    pub protocol: u8,
    /// One of [`key_kind`].
    pub kind: u8,
    /// See [`FlowKey4::vlan`].
    pub vlan: u16,
}

const _: () = assert!(size_of::<FlowKey6>() == 44);

/// Bits of [`Sent::marks`] and [`Received::marks`].
pub mod mark {
    /// TCP flags of all packets of that direction, ORed, as in the header.
    pub const TCP_FLAGS: u32 = 0xff;
    /// [`super::Received::origin`] holds the ingress ifindex of a received packet.
    pub const ORIGIN_KNOWN: u32 = 1 << 8;
    /// Received packets came from more than one origin; [`super::Sent::other_origin`] is one of the later ones.
    pub const SEVERAL_ORIGINS: u32 = 1 << 9;
    /// [`super::Sent::source_mac`] holds the source of a sent frame.
    pub const SOURCE_MAC_KNOWN: u32 = 1 << 10;
    /// Sent frames carried more than one source MAC; `source_mac` is the first.
    pub const SEVERAL_SOURCE_MACS: u32 = 1 << 11;
    /// The sender's cgroup was asked for; [`super::Sent::cgroup`] is 0 when the kernel knew none.
    pub const CGROUP_ASKED: u32 = 1 << 12;
}

/// One tick of one flow, both directions, since the entry was made in this generation.
///
/// Every counter is added to atomically; the entry is shared by all CPUs. Each direction has a cache line to itself, and
/// what both read (the key, and this head) is not written again: a conversation's two directions are often on two
/// CPUs, which would take a shared line from each other with every packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowEntry {
    /// Stable over the generations as long as `SEEN4`/`SEEN6` remembers the flow.
    pub flow_id: u64,
    /// Coarse monotonic time of the entry's first packet, nanoseconds.
    pub first_seen: u64,
    /// What the container's end sent.
    pub sent: Sent,
    /// What it received.
    pub received: Received,
}

const _: () = assert!(size_of::<FlowEntry>() == 144);

/// What a flow's container end sent: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Sent {
    /// Packets and bytes.
    pub counters: Counters,
    /// Coarse monotonic time of the last packet, nanoseconds; 0 if there was none.
    pub last_seen: u64,
    /// cgroup id of the sending socket as seen at the host end; see [`mark::CGROUP_ASKED`].
    pub cgroup: u64,
    /// Source MAC of the first frame; see [`mark::SOURCE_MAC_KNOWN`]. At the start of an aligned word, so that one
    /// compare-and-swap writes it.
    pub source_mac: [u8; 6],
    /// Bit 0: the entry's first packet was a sent one (1) or a received one (0); only the entry that made the
    /// flow (see [`SeenFlow`]) says anything about the flow's initiator.
    pub first_direction: u8,
    /// 1 if this entry's first packet was the first of the flow, 0 if an earlier generation had it.
    pub is_new: u8,
    /// Bits of [`mark`].
    pub marks: u32,
    /// See [`mark::SEVERAL_ORIGINS`]. Of what is received, but rare, and that line is full.
    pub other_origin: u32,
}

const _: () = assert!(size_of::<Sent>() == 64 && offset_of!(Sent, source_mac) % 8 == 0);

/// What a flow's container end received: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Received {
    /// Packets and bytes.
    pub counters: Counters,
    /// Coarse monotonic time of the last packet, nanoseconds; 0 if there was none.
    pub last_seen: u64,
    /// `ingress_ifindex` of the first packet; 0 means the host itself. See [`mark::ORIGIN_KNOWN`].
    pub origin: u32,
    /// Bits of [`mark`]. In one aligned word with `origin`, so that one compare-and-swap says both.
    pub marks: u32,
    /// The first SYN without ACK in this generation, in either direction; as [`moment`].
    pub syn_at: u32,
    /// The first SYN with ACK in this generation, in either direction; as [`moment`].
    pub syn_ack_at: u32,
    /// The first segment with PSH that was sent in this generation: the end of a write, so it has data; as [`moment`].
    pub sent_data_at: u32,
    /// The same of what was received.
    pub received_data_at: u32,
}

const _: () = assert!(size_of::<Received>() == 64 && offset_of!(Received, origin) % 8 == 0);

/// When something happened to a flow, as its entry keeps it: steps of 64 ns since [`FlowEntry::first_seen`], from 1 on; 0 is
/// never, and [`u32::MAX`] later than can be told, which is 274 s.
pub mod moment {
    /// Bits that a step is nanoseconds shifted by.
    const SHIFT: u32 = 6;

    /// A monotonic time, as it is kept.
    #[expect(clippy::cast_possible_truncation, reason = "only what fits")]
    #[inline(always)]
    #[must_use]
    pub const fn keep(first_seen: u64, now: u64) -> u32 {
        let steps = (now.saturating_sub(first_seen) >> SHIFT) + 1;
        if steps < u32::MAX as u64 { steps as u32 } else { u32::MAX }
    }

    /// The monotonic time again, nanoseconds.
    #[must_use]
    pub const fn time(first_seen: u64, kept: u32) -> Option<u64> {
        match kept {
            0 | u32::MAX => None,
            steps => Some(first_seen.saturating_add(((steps - 1) as u64) << SHIFT)),
        }
    }
}

/// Value of the LRU maps `SEEN4` and `SEEN6`: which flows are not new. Only the miss path reads them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SeenFlow {
    /// Given when the flow was first seen: the CPU in the top 16 bits, that CPU's own count below.
    pub flow_id: u64,
    /// Coarse monotonic time of the flow's first packet, nanoseconds.
    pub first_seen: u64,
}

const _: () = assert!(size_of::<SeenFlow>() == 16);

/// An Ethernet address.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
pub struct Mac(pub [u8; 6]);

#[cfg(test)]
mod tests {
    use super::moment::{keep, time};

    #[test]
    fn a_moment_is_told_again_within_its_step_or_not_at_all() {
        let first = 1_000_000_007;
        for after in [0, 1, 63, 64, 1_000_000, 5_000_000_001, 200_000_000_000] {
            let told = time(first, keep(first, first + after)).expect("a time");
            assert!(told <= first + after && first + after - told < 64, "{after}: {told}");
        }
        assert_eq!(time(first, 0), None);
        assert_eq!(time(first, keep(first, first + 300_000_000_000)), None);
        assert_eq!(time(first, keep(first, first - 1)), Some(first), "a clock that is behind");
    }
}
