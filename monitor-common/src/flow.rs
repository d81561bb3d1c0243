//! Keys and values of the flow maps.

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

/// Bits of [`FlowEntry::marks`].
pub mod mark {
    /// [`super::FlowEntry::origin`] holds the ingress ifindex of a received packet.
    pub const ORIGIN_KNOWN: u32 = 1;
    /// Received packets came from more than one origin; `other_origin` is one of the later ones.
    pub const SEVERAL_ORIGINS: u32 = 1 << 1;
    /// `source_mac` holds the source of a sent frame.
    pub const SOURCE_MAC_KNOWN: u32 = 1 << 2;
    /// Sent frames carried more than one source MAC; `source_mac` is the first.
    pub const SEVERAL_SOURCE_MACS: u32 = 1 << 3;
    /// The sender's cgroup was asked for; `cgroup` is 0 when the kernel knew none.
    pub const CGROUP_ASKED: u32 = 1 << 4;
}

/// Value of the flow maps: one tick of one flow, both directions, since the entry was made in this generation.
///
/// Every counter is added to atomically; the map is shared by all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowEntry {
    /// Stable over the generations as long as `SEEN4`/`SEEN6` remembers the flow.
    pub flow_id: u64,
    /// Coarse monotonic time of the entry's first packet, nanoseconds.
    pub first_seen: u64,
    /// Coarse monotonic time of the entry's last packet, nanoseconds.
    pub last_seen: u64,
    /// What the container's end sent.
    pub sent: Counters,
    /// What it received.
    pub received: Counters,
    /// Monotonic time of the first SYN without ACK in this generation, in either direction; 0 if none.
    pub syn_at: u64,
    /// Monotonic time of the first SYN with ACK in this generation, in either direction; 0 if none.
    pub syn_ack_at: u64,
    /// cgroup id of the sending socket as seen at the host end; see [`mark::CGROUP_ASKED`].
    pub cgroup: u64,
    /// TCP flags of all sent packets, ORed (low 8 bits, as in the header).
    pub sent_flags: u32,
    /// TCP flags of all received packets, ORed.
    pub received_flags: u32,
    /// `ingress_ifindex` of the first received packet; 0 means the host itself. See [`mark::ORIGIN_KNOWN`].
    pub origin: u32,
    /// Bits of [`mark`]. In one aligned word with `origin`, so that one compare-and-swap says both.
    pub marks: u32,
    /// See [`mark::SEVERAL_ORIGINS`].
    pub other_origin: u32,
    /// Not used yet; zero.
    pub reserved: u32,
    /// Source MAC of the first sent frame; see [`mark::SOURCE_MAC_KNOWN`]. At the start of an aligned word, so
    /// that one compare-and-swap writes it.
    pub source_mac: [u8; 6],
    /// Bit 0: the entry's first packet was a sent one (1) or a received one (0); only the entry that made the
    /// flow (see [`SeenFlow`]) says anything about the flow's initiator.
    pub first_direction: u8,
    /// 1 if this entry's first packet was the first of the flow, 0 if an earlier generation had it.
    pub is_new: u8,
}

const _: () = assert!(size_of::<FlowEntry>() == 144);
const _: () = assert!(offset_of!(FlowEntry, origin) % 8 == 0 && offset_of!(FlowEntry, source_mac) % 8 == 0);

impl FlowEntry {
    /// Takes in another entry of the same flow and generation.
    pub fn absorb(&mut self, other: &Self) {
        if other.first_seen < self.first_seen {
            self.first_seen = other.first_seen;
        }
        self.last_seen = self.last_seen.max(other.last_seen);
        self.sent.absorb(&other.sent);
        self.received.absorb(&other.received);
        self.syn_at = first_of(self.syn_at, other.syn_at);
        self.syn_ack_at = first_of(self.syn_ack_at, other.syn_ack_at);
        if self.cgroup == 0 {
            self.cgroup = other.cgroup;
        }
        self.sent_flags |= other.sent_flags;
        self.received_flags |= other.received_flags;
        self.absorb_origin(other);
        if self.marks & mark::SOURCE_MAC_KNOWN == 0 {
            self.source_mac = other.source_mac;
        } else if other.marks & mark::SOURCE_MAC_KNOWN != 0 && self.source_mac != other.source_mac {
            self.marks |= mark::SEVERAL_SOURCE_MACS;
        }
        if other.is_new != 0 {
            self.is_new = other.is_new;
            self.first_direction = other.first_direction;
        }
        self.marks |= other.marks;
    }

    fn absorb_origin(&mut self, other: &Self) {
        if other.marks & mark::ORIGIN_KNOWN == 0 {
            return;
        }
        if self.marks & mark::ORIGIN_KNOWN == 0 {
            self.origin = other.origin;
            self.other_origin = other.other_origin;
        } else if self.origin != other.origin {
            self.other_origin = other.origin;
            self.marks |= mark::SEVERAL_ORIGINS;
        } else if self.marks & mark::SEVERAL_ORIGINS == 0 {
            self.other_origin = other.other_origin;
        }
    }
}

/// The earlier of two times, of which 0 is none.
const fn first_of(one: u64, other: u64) -> u64 {
    if one == 0 || (other != 0 && other < one) { other } else { one }
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
    use super::{FlowEntry, mark};
    use crate::counters::Counters;

    fn seen(first: u64, last: u64, skbs: u64) -> FlowEntry {
        let sent = Counters { skbs, skb_bytes: skbs * 100, extra_packets: 1, extra_bytes: 2 };
        FlowEntry { first_seen: first, last_seen: last, sent, ..FlowEntry::default() }
    }

    #[test]
    fn two_entries_of_one_flow_add_up_whichever_takes_in_the_other() {
        let one = FlowEntry { syn_at: 10, sent_flags: 2, is_new: 1, first_direction: 1, ..seen(10, 20, 1) };
        let other = FlowEntry { syn_ack_at: 15, sent_flags: 16, cgroup: 9, ..seen(15, 30, 4) };
        for (mut to, from) in [(one, other), (other, one)] {
            to.absorb(&from);
            assert_eq!((to.first_seen, to.last_seen), (10, 30));
            assert_eq!((to.sent.skbs, to.sent.skb_bytes), (5, 500));
            assert_eq!((to.sent.extra_packets, to.sent.extra_bytes), (2, 4));
            assert_eq!((to.syn_at, to.syn_ack_at, to.sent_flags, to.cgroup), (10, 15, 18, 9));
            assert_eq!((to.is_new, to.first_direction), (1, 1));
        }
    }

    #[test]
    fn origins_and_source_addresses_that_differ_are_marked() {
        let from = |origin: u32, mac: u8| FlowEntry {
            origin,
            source_mac: [mac; 6],
            marks: mark::ORIGIN_KNOWN | mark::SOURCE_MAC_KNOWN,
            ..FlowEntry::default()
        };
        let mut same = from(3, 1);
        same.absorb(&from(3, 1));
        assert_eq!(same, from(3, 1));
        let mut differs = from(3, 1);
        differs.absorb(&from(4, 2));
        assert_eq!((differs.origin, differs.other_origin, differs.source_mac), (3, 4, [1; 6]));
        assert_eq!(differs.marks, same.marks | mark::SEVERAL_ORIGINS | mark::SEVERAL_SOURCE_MACS);
        let mut unknown = FlowEntry::default();
        unknown.absorb(&from(4, 2));
        assert_eq!((unknown.origin, unknown.source_mac, unknown.marks), (4, [2; 6], same.marks));
    }
}
