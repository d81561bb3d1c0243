//! The only packet parser: the kernel programs, the tests and the fuzzer all run this one.
//!
//! It reads byte arrays from a [`ByteSource`] and never trusts a length, so any bytes at all either parse or are
//! [`Network::Other`]. It says what a flow key needs, how long the headers are, and what tells of a failure.

use crate::counters::Direction;
use crate::failure;
use crate::flow::{FlowKey4, FlowKey6, key_kind};

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

/// Ethertypes the parser knows.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// 802.1Q, a VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// 802.1ad, the outer of two VLAN tags.
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// IP protocol numbers the parser knows.
pub mod protocol {
    /// ICMP, in IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// DCCP.
    pub const DCCP: u8 = 33;
    /// ICMPv6, in IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDP_LITE: u8 = 136;

    /// IPv6 extension header: hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// IPv6 extension header: routing.
    pub const ROUTING: u8 = 43;
    /// IPv6 extension header: fragment.
    pub const FRAGMENT: u8 = 44;
    /// IPv6 extension header: authentication.
    pub const AUTHENTICATION: u8 = 51;
    /// IPv6 extension header: destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// IPv6 extension header: mobility.
    pub const MOBILITY: u8 = 135;
}

/// Bits of [`Transport::tcp_flags`].
pub mod tcp_flag {
    /// SYN.
    pub const SYN: u8 = 1 << 1;
    /// RST.
    pub const RST: u8 = 1 << 2;
    /// PSH: the end of a write.
    pub const PSH: u8 = 1 << 3;
    /// ACK.
    pub const ACK: u8 = 1 << 4;
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

#[inline(always)]
fn ipv4<S: ByteSource + ?Sized>(source: &S, offset: usize) -> Option<Ip<4>> {
    let header = source.read::<20>(offset)?;
    let [version_ihl, _, _, _, _, _, fragment_high, fragment_low, _, protocol, ..] = header;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_length = usize::from(version_ihl & 0xf) * 4;
    if version_ihl >> 4 != 4 || header_length < 20 {
        return None;
    }
    let end = offset + header_length;
    let transport = if u16::from_be_bytes([fragment_high, fragment_low]) & 0x1fff == 0 {
        transport(source, end, protocol, &Icmp { protocol: protocol::ICMP, request: 8, reply: 0 })
    } else {
        without_ports(end, protocol, key_kind::LATER_FRAGMENT)
    };
    Some(Ip { source: [s0, s1, s2, s3], destination: [d0, d1, d2, d3], transport })
}

#[inline(always)]
fn ipv6<S: ByteSource + ?Sized>(source: &S, offset: usize) -> Option<Ip<16>> {
    let header = source.read::<40>(offset)?;
    let [version, _, _, _, _, _, next, _, addresses @ ..] = header;
    if version >> 4 != 6 {
        return None;
    }
    let mut from = [0; 16];
    let mut to = [0; 16];
    from.copy_from_slice(&addresses[..16]);
    to.copy_from_slice(&addresses[16..]);
    let mut walked = Walked { offset: offset + 40, protocol: next, kind: key_kind::PORTS };
    if is_extension_header(next) {
        walked = source.walk(walked.offset, next);
    }
    let Walked { offset, protocol, kind } = walked;
    let transport = if kind == key_kind::PORTS {
        transport(source, offset, protocol, &Icmp { protocol: protocol::ICMPV6, request: 128, reply: 129 })
    } else {
        without_ports(offset, protocol, kind)
    };
    Some(Ip { source: from, destination: to, transport })
}

/// Where a walk over IPv6 extension headers has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Where what is behind them begins, or the header that could not be read.
    pub offset: usize,
    /// Its protocol number.
    pub protocol: u8,
    /// [`key_kind::PORTS`] where a transport header may be there; else why none is.
    pub kind: u8,
}

impl Walked {
    /// In one word.
    #[inline(always)]
    #[must_use]
    pub const fn pack(self) -> u64 {
        frame_length(self.offset) as u64 | (self.protocol as u64) << 16 | (self.kind as u64) << 24
    }

    /// Out of a word of [`Walked::pack`].
    #[inline(always)]
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        let [low, high, protocol, kind, ..] = word.to_le_bytes();
        Self { offset: u16::from_le_bytes([low, high]) as usize, protocol, kind }
    }
}

/// Walks the extension headers from `offset`, where the header numbered `next` begins.
#[inline(always)]
pub fn walk_extension_headers<S: ByteSource + ?Sized>(source: &S, mut offset: usize, mut next: u8) -> Walked {
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension_header(next) {
            break;
        }
        let Some([following, length, fragment_high, fragment_low]) = source.read(offset) else {
            return Walked { offset, protocol: next, kind: key_kind::NO_HEADER };
        };
        let header = next;
        next = following;
        offset += match header {
            protocol::FRAGMENT => 8,
            protocol::AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        if header == protocol::FRAGMENT && u16::from_be_bytes([fragment_high, fragment_low]) >> 3 != 0 {
            return Walked { offset, protocol: next, kind: key_kind::LATER_FRAGMENT };
        }
    }
    let kind = if is_extension_header(next) { key_kind::NO_HEADER } else { key_kind::PORTS };
    Walked { offset, protocol: next, kind }
}

#[inline(always)]
const fn is_extension_header(number: u8) -> bool {
    matches!(
        number,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
    )
}

/// What tells the two families' ICMP apart.
struct Icmp {
    protocol: u8,
    request: u8,
    reply: u8,
}

#[inline(always)]
fn transport<S: ByteSource + ?Sized>(source: &S, offset: usize, number: u8, icmp: &Icmp) -> Transport {
    match number {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDP_LITE => {
            ports(source, offset, number)
        }
        _ if number == icmp.protocol => echo(source, offset, icmp),
        _ => without_ports(offset, number, key_kind::PORTS),
    }
}

#[inline(always)]
fn ports<S: ByteSource + ?Sized>(source: &S, offset: usize, number: u8) -> Transport {
    let Some([s0, s1, d0, d1]) = source.read(offset) else {
        return without_ports(offset, number, key_kind::NO_HEADER);
    };
    let (length, tcp_flags, window) = match number {
        protocol::TCP => match source.read(offset + 12) {
            Some([data_offset, flags, high, low]) => {
                ((data_offset >> 4).max(5) * 4, flags, u16::from_be_bytes([high, low]))
            }
            None => (20, 0, u16::MAX),
        },
        protocol::UDP => (8, 0, u16::MAX),
        protocol::SCTP => (12, 0, u16::MAX),
        _ => (0, 0, u16::MAX),
    };
    Transport {
        protocol: number,
        kind: key_kind::PORTS,
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        tcp_flags,
        header_length: frame_length(offset) + length as u16,
        own_length: length,
        window,
    }
}

#[inline(always)]
fn echo<S: ByteSource + ?Sized>(source: &S, offset: usize, icmp: &Icmp) -> Transport {
    let Some([kind, code, _, _, id_high, id_low]) = source.read(offset) else {
        return without_ports(offset, icmp.protocol, key_kind::NO_HEADER);
    };
    let kind = if kind == icmp.reply { icmp.request } else { kind };
    let identifier = if kind == icmp.request { u16::from_be_bytes([id_high, id_low]) } else { 0 };
    Transport {
        source_port: identifier,
        destination_port: u16::from_be_bytes([kind, code]),
        ..without_ports(offset, icmp.protocol, key_kind::ICMP)
    }
}

#[inline(always)]
fn without_ports(offset: usize, protocol: u8, kind: u8) -> Transport {
    let header_length = frame_length(offset);
    Transport {
        protocol,
        kind,
        source_port: 0,
        destination_port: 0,
        tcp_flags: 0,
        header_length,
        own_length: 0,
        window: u16::MAX,
    }
}

/// The longest walk ends at 14 + 8 + 40 + 4 × 2,048 bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the walk is bounded far below 65,536 bytes")]
const fn frame_length(offset: usize) -> u16 {
    offset as u16
}
