//! Segments of TCP that were sent again: keys and values of `RETRANSMITS`, and where the program finds what it reads of kernel
//! structures.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of `RETRANSMITS`, for both generations together.
pub const MOST_RETRANSMITS: u32 = 8_192;

/// Key of `RETRANSMITS`: a connection as its socket has it. Addresses are in network order, ports in host order; an IPv4
/// address is in the first four bytes of its field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RetransmitKey {
    /// The socket's address.
    pub local: [u8; 16],
    /// The other end's.
    pub remote: [u8; 16],
    /// Number of the network namespace that the socket is in.
    pub namespace: u32,
    /// The socket's port.
    pub local_port: u16,
    /// The other end's.
    pub remote_port: u16,
    /// 4 or 6.
    pub family: u8,
    /// The lowest bit of the epoch it was sent in.
    pub generation: u8,
    /// Zero.
    pub reserved: u16,
}

const _: () = assert!(size_of::<RetransmitKey>() == 44);

/// Value of `RETRANSMITS`. Added to atomically; the entry is shared by all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RetransmitEntry {
    /// Segments, as the kernel counts them in `TcpRetransSegs`.
    pub segments: u64,
    /// Monotonic time of the last, nanoseconds.
    pub last_seen: u64,
}

const _: () = assert!(size_of::<RetransmitEntry>() == 16);

/// What the program is told at load time. Offsets are in bytes, within the structure that the name begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RetransmitSettings {
    /// `skc_family` of `struct sock_common`.
    pub socket_family: u32,
    /// Its `skc_num`, the socket's own port.
    pub socket_port: u32,
    /// Its `skc_dport`.
    pub socket_remote_port: u32,
    /// Its `skc_rcv_saddr`.
    pub socket_address4: u32,
    /// Its `skc_daddr`.
    pub socket_remote4: u32,
    /// Its `skc_v6_rcv_saddr`; 0 in a kernel without IPv6.
    pub socket_address6: u32,
    /// Its `skc_v6_daddr`; 0 in a kernel without IPv6.
    pub socket_remote6: u32,
    /// Its `skc_net`.
    pub socket_namespace: u32,
    /// `ns.inum` of `struct net`.
    pub namespace_number: u32,
    /// `tcp_gso_segs` of `struct tcp_skb_cb`, from the start of `struct sk_buff`.
    pub skb_segments: u32,
    /// Whether the tracepoint says which error there was, if any (since Linux 6.17); before, it tells only of what was sent.
    pub has_error: u32,
    /// Zero: the whole is words of eight bytes.
    pub reserved: u32,
}

const _: () = assert!(size_of::<RetransmitSettings>() == 48);

impl RetransmitSettings {
    /// What the object has before the loader says otherwise: nothing is where it should be, so the program is not attached.
    pub const NONE: Self = Self {
        socket_family: 0,
        socket_port: 0,
        socket_remote_port: 0,
        socket_address4: 0,
        socket_remote4: 0,
        socket_address6: 0,
        socket_remote6: 0,
        socket_namespace: 0,
        namespace_number: 0,
        skb_segments: 0,
        has_error: 0,
        reserved: 0,
    };
}
