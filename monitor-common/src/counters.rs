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
    /// What one skb adds: `length` is its own, in bytes; `gso_segs` and `gso_size` are the kernel's (both 0 for
    /// an ordinary packet); `header_length` is what segmentation repeats before each segment, in bytes
    /// ([`crate::packet::Transport::header_length`], 0 without an IP packet).
    ///
    /// Where a driver has set `gso_size` but not `gso_segs`, the segments are computed.
    #[inline(always)]
    #[must_use]
    pub const fn of_skb(length: u32, gso_segs: u32, gso_size: u32, header_length: u32) -> Self {
        let extra = if gso_segs > 1 {
            gso_segs - 1
        } else if gso_segs == 0 && gso_size != 0 {
            length.saturating_sub(header_length).div_ceil(gso_size).saturating_sub(1)
        } else {
            0
        };
        Self {
            skbs: 1,
            skb_bytes: length as u64,
            extra_packets: extra as u64,
            extra_bytes: extra as u64 * header_length as u64,
        }
    }

    /// Adds what another counted.
    pub const fn absorb(&mut self, other: &Self) {
        self.skbs = self.skbs.wrapping_add(other.skbs);
        self.skb_bytes = self.skb_bytes.wrapping_add(other.skb_bytes);
        self.extra_packets = self.extra_packets.wrapping_add(other.extra_packets);
        self.extra_bytes = self.extra_bytes.wrapping_add(other.extra_bytes);
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(skb: (u32, u32, u32, u32), packets: u64, bytes: u64) {
        let counted = Counters::of_skb(skb.0, skb.1, skb.2, skb.3);
        assert_eq!((counted.skbs, counted.skb_bytes), (1, u64::from(skb.0)), "{skb:?}");
        assert_eq!((counted.packets(), counted.bytes()), (packets, bytes), "{skb:?}");
    }

    #[test]
    fn an_ordinary_packet_is_one_packet_on_the_wire() {
        check((1514, 0, 0, 66), 1, 1514);
        check((1514, 1, 0, 66), 1, 1514);
        check((1514, 1, 1448, 66), 1, 1514);
    }

    #[test]
    fn a_gso_skb_repeats_its_headers_once_for_each_further_segment() {
        check((66 + 10 * 1448, 10, 1448, 66), 10, 10 * 1514);
        check((66 + 9 * 1448 + 1, 10, 1448, 66), 10, 9 * 1514 + 67);
    }

    #[test]
    fn missing_segment_counts_are_computed_from_the_segment_size() {
        check((66 + 10 * 1448, 0, 1448, 66), 10, 10 * 1514);
        check((66 + 9 * 1448 + 1, 0, 1448, 66), 10, 9 * 1514 + 67);
        check((66, 0, 1448, 66), 1, 66);
        check((20, 0, 1448, 66), 1, 20);
    }
}
