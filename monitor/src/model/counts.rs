//! Packets and bytes.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// What went one way: over the wire, and as the device counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Wire packets: segments of a GSO skb count one each.
    pub packets: u64,
    /// Wire bytes: Ethernet header included, frame check sequence not.
    pub bytes: u64,
    /// Socket buffers, as the device's own counters count them.
    pub skbs: u64,
    /// Their bytes, as the device's own counters count them.
    pub skb_bytes: u64,
}

impl Counts {
    /// What came on top of an earlier reading of the same counters; `None` if any of them went back.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            packets: self.packets.checked_sub(earlier.packets)?,
            bytes: self.bytes.checked_sub(earlier.bytes)?,
            skbs: self.skbs.checked_sub(earlier.skbs)?,
            skb_bytes: self.skb_bytes.checked_sub(earlier.skb_bytes)?,
        })
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            bytes: self.bytes.saturating_add(other.bytes),
            skbs: self.skbs.saturating_add(other.skbs),
            skb_bytes: self.skb_bytes.saturating_add(other.skb_bytes),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// Both directions, as the container sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// What the container sent.
    pub sent: Counts,
    /// What it received.
    pub received: Counts,
}

impl Traffic {
    /// What came on top of an earlier reading of the same counters; `None` if any of them went back.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            sent: self.sent.since(&earlier.sent)?,
            received: self.received.since(&earlier.received)?,
        })
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sent: self.sent + other.sent, received: self.received + other.received }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// An interface's totals in one direction, by class. The whole is the sum of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectionCounts {
    /// IPv4, in a flow or not.
    pub ipv4: Counts,
    /// IPv6, in a flow or not.
    pub ipv6: Counts,
    /// ARP; in no flow.
    pub arp: Counts,
    /// Every other ethertype; in no flow.
    pub other: Counts,
    /// The part of `ipv4` and `ipv6` that is in no flow because the flow map was full.
    pub not_recorded: Counts,
    /// skbs whose VLAN tag lay beside the frame: the device's own counter may have 4 bytes more for each.
    pub tagged_skbs: u64,
}

impl DirectionCounts {
    /// Everything that crossed.
    #[must_use]
    pub fn all(&self) -> Counts {
        self.ipv4 + self.ipv6 + self.arp + self.other
    }
}

/// An interface's totals since it was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCounts {
    /// What the container sent.
    pub sent: DirectionCounts,
    /// What it received.
    pub received: DirectionCounts,
}

impl ClassCounts {
    /// Everything that crossed, both directions.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.all(), received: self.received.all() }
    }

    /// What is in no flow because the flow map was full, both directions together.
    #[must_use]
    pub fn not_recorded(&self) -> Counts {
        self.sent.not_recorded + self.received.not_recorded
    }
}
