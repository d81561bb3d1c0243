//! The only packet parser: the kernel programs, the tests and the fuzzer all run this one.
//!
//! It reads byte arrays from a [`ByteSource`] and never trusts a length, so any bytes at all either parse or are
//! [`Network::Other`]. It says what a flow key needs, how long the headers are, and what tells of a failure.

mod network;
mod numbers;

pub use network::{Walked, walk_extension_headers};
pub use numbers::{ethertype, protocol, tcp_flag};

use crate::counters::Direction;
use crate::failure;
use crate::flow::{FlowKey4, FlowKey6, key_kind};
use network::{ipv4, ipv6};

/// Where the parser reads from: a slice on the host, the packet in the kernel.
pub trait ByteSource {
    /// The `N` bytes that begin `offset` bytes after the start of the Ethernet header; `None` if they are not
    /// all there.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// [`walk_extension_headers`] of this source; one that the verifier looks at does so in a function of its own.
    #[inline(always)]
    fn walk(&self, offset: usize, next: u8) -> Walked {
        walk_extension_headers(self, offset, next)
    }
}

impl ByteSource for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

/// IPv6 extension headers that are walked; a transport header behind more is not reached.
pub const MAX_EXTENSION_HEADERS: usize = 4;

/// VLAN tags inside the frame that are walked; what is behind more is [`Network::Other`].
pub const MAX_INLINE_TAGS: usize = 2;

/// The Ethernet header and the VLAN tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Source address of the Ethernet header; zero if that was cut off.
    pub source_mac: [u8; 6],
    /// VLAN id of the outermost tag plus one; 0 when untagged.
    pub vlan: u16,
}

/// A parsed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its outermost headers.
    pub link: Link,
    /// What is in it.
    pub network: Network,
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4.
    Ipv4(Ip<4>),
    /// IPv6.
    Ipv6(Ip<16>),
    /// ARP.
    Arp,
    /// Every other ethertype, and what is too short or too broken to tell.
    Other,
}

/// An IP packet; `N` is the length of an address in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip<const N: usize> {
    /// Source address, in network order.
    pub source: [u8; N],
    /// Destination address, in network order.
    pub destination: [u8; N],
    /// What it carries.
    pub transport: Transport,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Protocol number, after IPv6 extension headers.
    pub protocol: u8,
    /// One of [`key_kind`].
    pub kind: u8,
    /// Source port; the echo identifier with [`key_kind::ICMP`]; otherwise 0.
    pub source_port: u16,
    /// Destination port; `type << 8 | code` with [`key_kind::ICMP`]; otherwise 0.
    pub destination_port: u16,
    /// TCP flags as in the header's last byte of flags; 0 for other protocols.
    pub tcp_flags: u8,
    /// Bytes from the start of the Ethernet header to the end of the transport header. Of a protocol that is
    /// never segmented, only to where the transport header begins.
    pub header_length: u16,
    /// Bytes of the transport header that `header_length` counts; 0 where it ends before it.
    pub own_length: u8,
    /// Receive window of TCP as in the header, before scaling; the highest number where that was not read, and of other
    /// protocols.
    pub window: u16,
}

impl Transport {
    /// Whether the packet tells of a failure, as [`failure`] has it. The verifier goes through what follows once for each
    /// outcome that is kept, so none is: this is asked where it is needed.
    #[inline(always)]
    #[must_use]
    pub const fn tells_failure(&self) -> bool {
        match self.protocol {
            protocol::TCP => failure::is_closed(self.tcp_flags, self.window),
            _ => {
                self.kind == key_kind::ICMP
                    && failure::is_error(self.protocol, (self.destination_port >> 8) as u8)
            }
        }
    }
}

/// Goes on with a parsed frame, a way for each [`Network`].
///
/// The kernel programs count in these: were they handed a [`Network`] instead, the compiler would keep parts of it
/// that one variant has and another has not, and the verifier refuses to see such bytes moved.
pub trait Visitor {
    /// What is made of the frame.
    type Output;
    /// It is an IPv4 packet.
    fn ipv4(self, link: &Link, ip: &Ip<4>) -> Self::Output;
    /// It is an IPv6 packet.
    fn ipv6(self, link: &Link, ip: &Ip<16>) -> Self::Output;
    /// It is an ARP packet, which begins at `offset`.
    fn arp(self, link: &Link, offset: usize) -> Self::Output;
    /// It is something else, or too short or too broken to tell.
    fn other(self, link: &Link) -> Self::Output;
}

/// Parses a frame. `tag` is the VLAN tag (TCI) that the kernel keeps beside the packet, if there is one.
#[inline(always)]
pub fn visit<S: ByteSource + ?Sized, V: Visitor>(source: &S, tag: Option<u16>, visitor: V) -> V::Output {
    let mut vlan = tag.map_or(0, vlan_of_tag);
    // Source address and ethertype in one read: the destination address is of no use here.
    let Some([source_mac @ .., high, low]) = source.read::<8>(6) else {
        return visitor.other(&Link { source_mac: [0; 6], vlan });
    };
    let mut ethertype = u16::from_be_bytes([high, low]);
    let mut offset = 14;
    for _ in 0..MAX_INLINE_TAGS {
        if ethertype != ethertype::VLAN && ethertype != ethertype::SERVICE_VLAN {
            break;
        }
        let Some([tci_high, tci_low, high, low]) = source.read(offset) else {
            return visitor.other(&Link { source_mac, vlan });
        };
        if vlan == 0 {
            vlan = vlan_of_tag(u16::from_be_bytes([tci_high, tci_low]));
        }
        ethertype = u16::from_be_bytes([high, low]);
        offset += 4;
    }
    visit_network(source, &Link { source_mac, vlan }, ethertype, offset, visitor)
}

/// As [`visit`], from `offset` on, where a packet of this ethertype begins; what was before it is `link`.
#[inline(always)]
pub fn visit_network<S: ByteSource + ?Sized, V: Visitor>(
    source: &S,
    link: &Link,
    ethertype: u16,
    offset: usize,
    visitor: V,
) -> V::Output {
    match ethertype {
        ethertype::IPV4 => match ipv4(source, offset) {
            Some(ip) => visitor.ipv4(link, &ip),
            None => visitor.other(link),
        },
        ethertype::IPV6 => match ipv6(source, offset) {
            Some(ip) => visitor.ipv6(link, &ip),
            None => visitor.other(link),
        },
        ethertype::ARP => visitor.arp(link, offset),
        _ => visitor.other(link),
    }
}

/// Parses a frame into a value; `tag` as for [`visit`].
pub fn parse<S: ByteSource + ?Sized>(source: &S, tag: Option<u16>) -> Frame {
    visit(source, tag, Collect)
}

/// Parses what begins with the header of a network protocol into a value; lengths count from there.
pub fn parse_network<S: ByteSource + ?Sized>(source: &S, ethertype: u16) -> Frame {
    visit_network(source, &Link { source_mac: [0; 6], vlan: 0 }, ethertype, 0, Collect)
}

/// Makes a value of it.
struct Collect;

impl Visitor for Collect {
    type Output = Frame;

    fn ipv4(self, link: &Link, ip: &Ip<4>) -> Frame {
        Frame { link: *link, network: Network::Ipv4(*ip) }
    }

    fn ipv6(self, link: &Link, ip: &Ip<16>) -> Frame {
        Frame { link: *link, network: Network::Ipv6(*ip) }
    }

    fn arp(self, link: &Link, _: usize) -> Frame {
        Frame { link: *link, network: Network::Arp }
    }

    fn other(self, link: &Link) -> Frame {
        Frame { link: *link, network: Network::Other }
    }
}

impl<const N: usize> Ip<N> {
    /// Addresses and port fields as (local, remote, local port, remote port).
    #[inline(always)]
    const fn ends(&self, direction: Direction) -> ([u8; N], [u8; N], u16, u16) {
        let Transport { kind, source_port, destination_port, .. } = self.transport;
        match direction {
            Direction::Sent => (self.source, self.destination, source_port, destination_port),
            // The ICMP fields belong to neither end, so they do not change sides.
            Direction::Received if kind == key_kind::ICMP => {
                (self.destination, self.source, source_port, destination_port)
            }
            Direction::Received => (self.destination, self.source, destination_port, source_port),
        }
    }
}

impl Ip<4> {
    /// The flow this packet belongs to when it crosses `interface` in `direction` with the frame's `vlan`.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self, interface: u32, direction: Direction, vlan: u16) -> FlowKey4 {
        let (local, remote, local_port, remote_port) = self.ends(direction);
        let Transport { protocol, kind, .. } = self.transport;
        FlowKey4 { interface, local, remote, local_port, remote_port, protocol, kind, vlan }
    }
}

impl Ip<16> {
    /// The flow this packet belongs to when it crosses `interface` in `direction` with the frame's `vlan`.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self, interface: u32, direction: Direction, vlan: u16) -> FlowKey6 {
        let (local, remote, local_port, remote_port) = self.ends(direction);
        let Transport { protocol, kind, .. } = self.transport;
        FlowKey6 { interface, local, remote, local_port, remote_port, protocol, kind, vlan }
    }
}

#[inline(always)]
const fn vlan_of_tag(tci: u16) -> u16 {
    (tci & 0x0fff) + 1
}
