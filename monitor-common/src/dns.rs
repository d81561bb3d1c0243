//! DNS messages, copied whole.
//!
//! They have a ring of their own, so that a container that asks for many names takes no room from events.

use crate::counters::Direction;
use crate::flow::key_kind;
use crate::packet::{Transport, protocol, tcp_flag};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The port of DNS.
pub const PORT: u16 = 53;

/// Where Docker's own resolver is asked inside a container, in network order.
pub const EMBEDDED_RESOLVER: [u8; 4] = [127, 0, 0, 11];

/// Bytes of a packet that its record may have room for; a packet gets the smallest room that takes it. What is longer is
/// cut: its question and its code are at the beginning.
pub const ROOMS: [u32; 3] = [192, 1_024, MOST_BYTES];

/// The most bytes of a packet that are kept.
pub const MOST_BYTES: u32 = 8_192;

/// How long the span is in which messages of one place are limited: 2 to this power, in nanoseconds (134 ms).
pub const SPAN: u32 = 27;

/// What the messages of one place and direction that are taken in such a span may cost together: room of 256 bytes each, so a
/// quarter of the ring. One place alone does not fill the ring in it, so that others have room.
pub const MOST_IN_SPAN: u64 = 1_024;

/// What a message costs with a room of each size, its header and the ring's own included.
pub const COSTS: [u64; 3] = [1, 5, 33];

const _: () = {
    let mut at = 0;
    while at < ROOMS.len() {
        let taken = ROOMS[at] as u64 + size_of::<DnsHeader>() as u64 + 8;
        assert!(taken <= COSTS[at] * 256 && MOST_IN_SPAN * 256 * 4 <= RING as u64);
        at += 1;
    }
};

/// Bytes of messages that may wait to be read.
pub const RING: u32 = 1 << 20;

/// What every record of the ring starts with; behind it are `captured` bytes, and room that is unspecified.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DnsHeader {
    /// Monotonic time, nanoseconds.
    pub time: u64,
    /// cgroup id of the socket that sent it, at an interface and where the kernel knows it; else 0.
    pub cgroup: u64,
    /// See [`crate::interface::place_kind`].
    pub place: u32,
    /// Bytes captured.
    pub captured: u32,
    /// One of [`crate::interface::place_kind`].
    pub place_kind: u8,
    /// [`Direction`] as a number, as the container sees it: questions are sent.
    pub direction: u8,
    /// Nothing.
    pub padding: [u8; 6],
}

const _: () = assert!(size_of::<DnsHeader>() == 32);

/// Whether a packet that crosses a container's interface may have a part of a message between the container and who it
/// asks. `length` is the packet's, in bytes. A SYN says where a stream begins.
#[inline(always)]
#[must_use]
pub const fn is_wanted(transport: &Transport, direction: Direction, length: u32) -> bool {
    let Transport { protocol, kind, source_port, destination_port, tcp_flags, header_length, .. } =
        *transport;
    let port = match direction {
        Direction::Sent => destination_port,
        Direction::Received => source_port,
    };
    if port != PORT || kind != key_kind::PORTS {
        return false;
    }
    match protocol {
        protocol::UDP => true,
        protocol::TCP => tcp_flags & tcp_flag::SYN != 0 || length > header_length as u32,
        _ => false,
    }
}
