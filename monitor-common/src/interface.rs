//! Watched interfaces: where the programs look one up, and the totals they keep for it.

use crate::counters::Counters;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of the `INTERFACES` array. A power of two, so that `ifindex & (INTERFACE_BUCKETS - 1)` is the index.
pub const INTERFACE_BUCKETS: u32 = 16_384;

/// Entries of the map `CGROUPS`: containers that are watched by their control groups at once.
pub const MOST_CGROUPS: u32 = 1_024;

/// Entries of the map `INSIDE`: devices in the network namespaces of others that are watched at once.
pub const MOST_INSIDE: u32 = 1_024;

/// Key of the map `INSIDE`: the number that the whole system knows a network namespace by (`ns.inum`), and an ifindex in it.
#[must_use]
#[inline(always)]
pub const fn inside_key(namespace: u32, ifindex: u32) -> u64 {
    (namespace as u64) << 32 | ifindex as u64
}

/// Bits of [`InterfaceEntry::flags`].
pub mod interface_flag {
    /// Note which addresses are claimed in what enters the host here.
    pub const CLAIMS: u32 = 1;
    /// Capture what crosses here, where [`crate::settings::feature::CAPTURE`] is on.
    pub const CAPTURE: u32 = 1 << 1;
    /// Copy DNS messages that cross here, where [`crate::settings::feature::DNS`] is on.
    pub const DNS: u32 = 1 << 2;
    /// Copy what tells of a failure here, where [`crate::settings::feature::FAILURES`] is on.
    pub const FAILURES: u32 = 1 << 3;
}

/// Where a packet of which bytes are copied was seen, and so what these begin with. A place is an interface's
/// [`InterfaceEntry::number`] where nothing else is said.
pub mod place_kind {
    /// A device of the host; the bytes begin with an Ethernet header.
    pub const INTERFACE: u8 = 0;
    /// The place is the number of a network namespace (`ns.inum`), in which Docker's resolver was asked; the bytes begin
    /// with an IPv4 header.
    pub const NAMESPACE: u8 = 1;
    /// A control group; the bytes begin with an IP header.
    pub const GROUP: u8 = 2;
    /// A device in a namespace of a container, where an ifindex says nothing to the host; the bytes begin with an
    /// Ethernet header.
    pub const INSIDE: u8 = 3;
}

/// One watched interface, as the programs find it by ifindex.
///
/// `INTERFACES` is an array indexed by the low bits of the ifindex: an array lookup is inlined by the verifier
/// and costs about a nanosecond where a hash lookup costs eight. When two live interfaces share those bits the
/// later one is in the hash `INTERFACES_OVERFLOW`, keyed by ifindex.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterfaceEntry {
    /// The ifindex this entry is about; 0 marks an empty entry, and one of a control group.
    pub ifindex: u32,
    /// The agent's number for this interface: unique across namespaces and never used twice by one agent. It is
    /// what flow keys carry.
    pub number: u32,
    /// Index of its totals in `TOTALS`.
    pub slot: u32,
    /// Bits of [`interface_flag`].
    pub flags: u32,
}

const _: () = assert!(size_of::<InterfaceEntry>() == 16);

/// What crossed an interface in one direction, by class. The whole is the sum of the first four.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DirectionTotals {
    /// IPv4 packets, in a flow or not.
    pub ipv4: Counters,
    /// IPv6 packets, in a flow or not.
    pub ipv6: Counters,
    /// ARP packets; they are in no flow.
    pub arp: Counters,
    /// Every other ethertype, and frames too short or too broken to tell; they are in no flow.
    pub other: Counters,
    /// The part of `ipv4` and `ipv6` that is in no flow, because the flow map was full.
    pub not_recorded: Counters,
    /// skbs whose VLAN tag lay beside the frame at our hook. A tag inside the frame is taken out of it before the
    /// ingress hook, so the device's own counter may have 4 bytes more for each.
    pub tagged_skbs: u64,
}

const _: () = assert!(size_of::<DirectionTotals>() == 168);

/// Value of `TOTALS`, a per-CPU array indexed by slot. Never drained; zeroed when a slot is given out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterfaceTotals {
    /// TC ingress of the host end: what the container sends.
    pub sent: DirectionTotals,
    /// TC egress of the host end: what the container receives.
    pub received: DirectionTotals,
}

const _: () = assert!(size_of::<InterfaceTotals>() == 336);
