//! Counters of packets and bytes, as the device sees them and as the wire does.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Packets and bytes in one direction.
///
/// A GSO skb stands for several packets on the wire. The device's own counters count skbs, so these do too,
/// and what segmentation adds is kept apart: an ordinary packet costs two adds, not four.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Counters {
    /// Socket buffers handed over, as `IFLA_STATS64` counts them.
    pub skbs: u64,
    /// Their length in bytes, Ethernet header included, as `IFLA_STATS64` counts it.
    pub skb_bytes: u64,
    /// Wire packets beyond one for each skb: the sum of `gso_segs − 1`.
    pub extra_packets: u64,
    /// Header bytes that segmentation repeats: the sum of `(gso_segs − 1) × header length`.
    pub extra_bytes: u64,
}

const _: () = assert!(size_of::<Counters>() == 32);

impl Counters {
    /// Packets on the wire.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.skbs.wrapping_add(self.extra_packets)
    }

    /// Bytes on the wire: Ethernet header included, frame check sequence not.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.skb_bytes.wrapping_add(self.extra_bytes)
    }
}

/// Which way a packet crosses a watched interface, as the container behind it sees it.
///
/// On the host end of a container's veth, and on a bridge, TC ingress is what the container sends and TC egress
/// is what it receives.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// TC ingress of the host end.
    Sent = 0,
    /// TC egress of the host end.
    Received = 1,
}
