//! IPv4 and IPv6 packets, and what they carry.

use super::{ByteSource, Ip, MAX_EXTENSION_HEADERS, Transport, protocol};
use crate::flow::key_kind;

#[inline(always)]
pub(super) fn ipv4<S: ByteSource + ?Sized>(source: &S, offset: usize) -> Option<Ip<4>> {
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
pub(super) fn ipv6<S: ByteSource + ?Sized>(source: &S, offset: usize) -> Option<Ip<16>> {
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
