//! Whole packets of chosen interfaces, for a capture.
//!
//! They have a ring of their own, so that a capture takes no room from events, and that ring is as good as absent
//! where nothing is captured.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a packet that its record may have room for. What is reserved in a ring must be a constant, so a packet gets
/// the smallest room that takes it.
pub const ROOMS: [u32; 6] = [128, 512, 2_048, 8_192, 32_768, MOST_BYTES];

/// The most bytes of a packet that are kept: the largest IPv6 packet that is no jumbogram, with two VLAN tags.
pub const MOST_BYTES: u32 = 65_600;

/// Entries of `CAPTURED` while packets are captured: so many interfaces can be captured in one run.
pub const MOST_CAPTURED: u32 = 16_384;

/// What every record of the ring starts with; behind it are `captured` bytes, and room that is unspecified.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CapturedHeader {
    /// [`crate::flow::FlowEntry::flow_id`]; 0 when the packet is in no flow.
    pub flow_id: u64,
    /// Monotonic time, nanoseconds.
    pub time: u64,
    /// [`crate::interface::InterfaceEntry::number`].
    pub interface: u32,
    /// Length of the skb in bytes, Ethernet header included, without a tag beside it.
    pub length: u32,
    /// Bytes captured, from the Ethernet header on.
    pub captured: u32,
    /// The VLAN tag beside the frame.
    pub vlan_tag: u16,
    /// Its ethertype, as a number; 0 when there is no such tag.
    pub vlan_protocol: u16,
    /// [`crate::counters::Direction`] as a number.
    pub direction: u8,
    /// Nothing.
    pub padding: [u8; 7],
}

const _: () = assert!(size_of::<CapturedHeader>() == 40);

/// What was captured at an interface, one value a CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CaptureCounters {
    /// skbs that crossed while it was captured.
    pub seen: u64,
    /// Those of them that are in no record, because the ring was full or their bytes could not be read.
    pub dropped: u64,
}

const _: () = assert!(size_of::<CaptureCounters>() == 16);
