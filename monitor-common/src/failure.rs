//! Packets that tell of a failure, of which the beginning is copied: errors of ICMP, which have in them the beginning of the
//! packet that they are about, and segments of TCP that say that their sender has no room for more.
//!
//! Such packets are rare, and they have a ring of their own, so that a container that sends many takes no room from others.

use crate::packet::{protocol, tcp_flag};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a packet that are kept: an error of ICMP up to the ports of what it is about, with options in both headers.
pub const ROOM: u32 = 160;

/// How long the span is in which packets of one interface and direction are limited: 2 to this power, in nanoseconds (1.07 s).
pub const SPAN: u32 = 30;

/// Packets of one interface and direction that are taken in such a span: less than a fifth of the ring. A kernel sends such
/// errors far more seldom.
pub const MOST_IN_SPAN: u64 = 512;

/// Bytes of records that may wait to be read.
pub const RING: u32 = 512 << 10;

const _: () =
    assert!((ROOM as u64 + size_of::<FailureHeader>() as u64 + 8) * MOST_IN_SPAN * 5 <= RING as u64);

/// What every record of the ring starts with; behind it are `captured` bytes of the packet, and room that is unspecified.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FailureHeader {
    /// Monotonic time, nanoseconds.
    pub time: u64,
    /// [`crate::interface::InterfaceEntry::number`].
    pub interface: u32,
    /// Bytes captured.
    pub captured: u32,
    /// `ingress_ifindex` of a packet that was received at a device of the host; 0 means the host itself. 0 of others.
    pub origin: u32,
    /// [`crate::counters::Direction`] as a number.
    pub direction: u8,
    /// One of [`crate::interface::place_kind`], which says what the bytes begin with.
    pub place_kind: u8,
    /// Nothing.
    pub padding: [u8; 2],
}

const _: () = assert!(size_of::<FailureHeader>() == 24);

/// Whether a message of ICMP or ICMPv6 of this type is an error, about a packet that did not arrive.
#[inline(always)]
#[must_use]
pub const fn is_error(protocol: u8, kind: u8) -> bool {
    match protocol {
        // Destination unreachable, time exceeded, parameter problem.
        protocol::ICMP => matches!(kind, 3 | 11 | 12),
        protocol::ICMPV6 => kind < 128,
        _ => false,
    }
}

/// Whether a segment says that its sender has no room. In a SYN that is no news, and in a reset it means nothing.
#[inline(always)]
#[must_use]
pub const fn is_closed(tcp_flags: u8, window: u16) -> bool {
    window == 0 && tcp_flags & (tcp_flag::SYN | tcp_flag::RST) == 0
}
