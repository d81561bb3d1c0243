//! Records of the ring buffer: events, never one record a packet.

use crate::flow::FlowKey6;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a sampled packet that a record can carry, from the Ethernet header on.
pub const SNAP_LENGTH: usize = 128;

/// Values of [`EventHeader::kind`].
pub mod event_kind {
    /// A [`super::FirstPacket`].
    pub const FIRST_PACKET: u32 = 1;
    /// A [`super::SampledPacket`].
    pub const SAMPLED_PACKET: u32 = 2;
}

/// What every record starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EventHeader {
    /// One of [`event_kind`].
    pub kind: u32,
    /// [`crate::interface::InterfaceEntry::number`].
    pub interface: u32,
    /// [`crate::flow::FlowEntry::flow_id`]; 0 when the packet is in no flow.
    pub flow_id: u64,
    /// Monotonic time, nanoseconds.
    pub time: u64,
    /// Length of the skb in bytes, Ethernet header included.
    pub length: u32,
    /// Bytes captured; 0 in a [`FirstPacket`].
    pub captured: u16,
    /// [`crate::counters::Direction`] as a number.
    pub direction: u8,
    /// 4 or 6; 0 when the packet is neither.
    pub family: u8,
}

const _: () = assert!(size_of::<EventHeader>() == 32);

/// The first packet of a flow that was not seen before.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FirstPacket {
    /// `kind` is [`event_kind::FIRST_PACKET`].
    pub header: EventHeader,
    /// The flow's key; an IPv4 address is in the first four bytes of its field.
    pub key: FlowKey6,
    /// TCP flags of the packet; 0 for other protocols.
    pub tcp_flags: u32,
}

const _: () = assert!(size_of::<FirstPacket>() == 80);

/// One packet in N.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SampledPacket {
    /// `kind` is [`event_kind::SAMPLED_PACKET`].
    pub header: EventHeader,
    /// The first `header.captured` bytes of the frame; the rest is unspecified.
    pub bytes: [u8; SNAP_LENGTH],
}

const _: () = assert!(size_of::<SampledPacket>() == 160);
