//! Dropped packets: keys and values of `DROPS`, and where the program finds what it reads of kernel structures.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of `DROPS`, for both generations together.
pub const MOST_DROPS: u32 = 16_384;

/// Key of `DROPS`: conversations without the initiator's port, by reason and place. Addresses are in network order;
/// an IPv4 address is in the first four bytes of its field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DropKey {
    /// The packet's source when it was dropped.
    pub source: [u8; 16],
    /// Its destination then.
    pub destination: [u8; 16],
    /// `enum skb_drop_reason` as a number; [`NO_REASON`] from a kernel that says none.
    pub reason: u32,
    /// ifindex of the device the packet was at; 0 if there was none.
    pub device: u32,
    /// ifindex at which it entered the host; 0 for the host's own.
    pub ingress: u32,
    /// The smaller of the two ports; 0 without ports.
    pub port: u16,
    /// IP protocol number, after IPv6 extension headers.
    pub protocol: u8,
    /// One of [`crate::flow::key_kind`].
    pub kind: u8,
    /// 4 or 6.
    pub family: u8,
    /// The lowest bit of the epoch it was dropped in.
    pub generation: u8,
    /// Zero.
    pub reserved: u16,
}

const _: () = assert!(size_of::<DropKey>() == 52);

/// [`DropKey::reason`] where the kernel's tracepoint has none (before Linux 5.17).
pub const NO_REASON: u32 = u32::MAX;

/// Value of `DROPS`. Counters are added to atomically; the entry is shared by all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DropEntry {
    /// Packets; of a buffer that would have been segmented, its segments.
    pub packets: u64,
    /// Bytes of the buffers from the network header on.
    pub bytes: u64,
    /// Coarse monotonic time of the first, nanoseconds.
    pub first_seen: u64,
    /// Coarse monotonic time of the last, nanoseconds.
    pub last_seen: u64,
}

const _: () = assert!(size_of::<DropEntry>() == 32);

/// Words of [`DropSettings::ignored`].
pub const IGNORED_WORDS: usize = 4;

/// What the drop watcher is told at load time. Offsets are in bytes, within the structure that the name begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DropSettings {
    /// A bit for each reason below 256 that is no drop of traffic: bit `reason % 64` of word `reason / 64`.
    pub ignored: [u64; IGNORED_WORDS],
    /// The same for packets to groups and to everybody: a copy that nobody here wanted.
    pub ignored_to_many: [u64; IGNORED_WORDS],
    /// Whether the tracepoint has a reason.
    pub has_reason: u32,
    /// The reason that means that nobody listens. A ping's answer ends in it even where somebody does.
    pub no_socket: u32,
    /// Number of the network namespace that is watched.
    pub namespace: u32,
    /// `dev` of `struct sk_buff`.
    pub skb_device: u32,
    /// Its `skb_iif`.
    pub skb_ingress: u32,
    /// Its `_skb_refdst`.
    pub skb_route: u32,
    /// Its `protocol`.
    pub skb_protocol: u32,
    /// Its `len`.
    pub skb_length: u32,
    /// Its `head`.
    pub skb_head: u32,
    /// Its `data`.
    pub skb_data: u32,
    /// Its `tail`.
    pub skb_tail: u32,
    /// Its `end`.
    pub skb_end: u32,
    /// Its `network_header`.
    pub skb_network: u32,
    /// `gso_segs` of `struct skb_shared_info`.
    pub shared_segments: u32,
    /// `dev` of `struct dst_entry`.
    pub route_device: u32,
    /// `ifindex` of `struct net_device`.
    pub device_index: u32,
    /// Its `nd_net`.
    pub device_namespace: u32,
    /// `ns.inum` of `struct net`.
    pub namespace_number: u32,
}

const _: () = assert!(size_of::<DropSettings>() == 136);

impl DropSettings {
    /// What the object has before the loader says otherwise: nothing is where it should be, so nothing is reported.
    pub const NONE: Self = Self {
        ignored: [0; IGNORED_WORDS],
        ignored_to_many: [0; IGNORED_WORDS],
        has_reason: 0,
        no_socket: 0,
        namespace: 0,
        skb_device: 0,
        skb_ingress: 0,
        skb_route: 0,
        skb_protocol: 0,
        skb_length: 0,
        skb_head: 0,
        skb_data: 0,
        skb_tail: 0,
        skb_end: 0,
        skb_network: 0,
        shared_segments: 0,
        route_device: 0,
        device_index: 0,
        device_namespace: 0,
        namespace_number: 0,
    };
}

/// Sets a reason's bit in [`DropSettings::ignored`] or its like; nothing if there is no bit for it.
pub const fn ignore(words: &mut [u64; IGNORED_WORDS], reason: u32) {
    let at = reason as usize / 64;
    if at < IGNORED_WORDS {
        words[at] |= 1 << (reason % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_ignored_by_its_own_bit() {
        let mut words = [0; IGNORED_WORDS];
        [3, 64, 255, 256, u32::MAX].into_iter().for_each(|reason| ignore(&mut words, reason));
        assert_eq!(words, [1 << 3, 1, 0, 1 << 63]);
    }
}
