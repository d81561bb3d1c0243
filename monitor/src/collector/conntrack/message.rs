//! What conntrack's netlink messages say, and what it is asked.
//!
//! Numbers of tuples and of the status word are in network byte order; only the headers are in the machine's.

use crate::collector::netlink::{Request, attributes, attributes_after};
use crate::model::{Protocol, Translation, Tuple};
use std::net::IpAddr;

/// The subsystem's number is the upper byte of a message's type.
const SUBSYSTEM: u16 = 1 << 8;
/// An entry: an event of one that is new or changed, or a line of a list.
pub(super) const ENTRY: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
/// An entry that is gone.
pub(super) const GONE: u16 = SUBSYSTEM | 2;

/// The groups of entries that are new and of those that are gone. Not of those that changed: what an entry
/// translates to is settled before it is announced, and a TCP connection is announced as changed seven times.
pub(super) const GROUPS: u32 = 1 | 1 << 2;

/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// The status word of an entry.
pub(super) const STATUS: u16 = 3;
const STATUS_MASK: u16 = 26;
/// The initiator's end was changed (`IPS_SRC_NAT`).
pub(super) const SOURCE_CHANGED: u32 = 1 << 4;
/// The other end was changed (`IPS_DST_NAT`).
pub(super) const DESTINATION_CHANGED: u32 = 1 << 5;

const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;

/// Both tuples of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The reply is not just the original turned round.
    Translated(Translation),
    /// It is.
    Plain,
}

/// How many lists there are.
pub(super) const LISTS: u8 = 2;

/// What to ask for to be told all translations. The kernel picks the entries of which all the bits asked for are
/// set and the others of the mask are not, so it takes two lists, which have nothing in common. Before Linux 5.15 it
/// does not pick, and both are of everything.
pub(super) fn lists() -> [Request; LISTS as usize] {
    [(SOURCE_CHANGED, SOURCE_CHANGED), (DESTINATION_CHANGED, SOURCE_CHANGED | DESTINATION_CHANGED)].map(
        |(bits, mask)| {
            Request::new(GET, 0, &[0; HEADER])
                .attribute(STATUS, &bits.to_be_bytes())
                .attribute(STATUS_MASK, &mask.to_be_bytes())
        },
    )
}

/// Reads the body of an entry. `None`: it is not what the kernel writes.
pub(super) fn entry(body: &[u8]) -> Option<Entry> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in attributes_after(body, HEADER) {
        match kind {
            ORIGINAL => original = Some(tuple(value)?),
            REPLY => reply = Some(tuple(value)?),
            _ => (),
        }
    }
    let translation = Translation { original: original?, reply: reply? };
    Some(if translation.reply == turned(translation.original) {
        Entry::Plain
    } else {
        Entry::Translated(translation)
    })
}

/// What the other end would answer if nothing were changed.
fn turned(tuple: Tuple) -> Tuple {
    let Tuple { source, destination, protocol, ports: (from, to) } = tuple;
    Tuple { source: destination, destination: source, protocol, ports: (to, from) }
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let (mut addresses, mut protocol) = (None, None);
    for (kind, value) in attributes(bytes) {
        match kind {
            TUPLE_ADDRESSES => addresses = Some(ends(value)?),
            TUPLE_PROTOCOL => protocol = Some(protocol_and_ports(value)?),
            _ => (),
        }
    }
    let ((source, destination), (protocol, ports)) = (addresses?, protocol?);
    Some(Tuple { source, destination, protocol, ports })
}

/// Source and destination, of one family.
fn ends(bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let (mut source, mut destination) = (None, None);
    for (kind, value) in attributes(bytes) {
        match kind {
            1 => source = Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
            2 => destination = Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
            3 => source = Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
            4 => destination = Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
            _ => (),
        }
    }
    let (source, destination) = (source?, destination?);
    (source.is_ipv4() == destination.is_ipv4()).then_some((source, destination))
}

/// The protocol, and what of it [`Tuple::ports`] keeps.
fn protocol_and_ports(bytes: &[u8]) -> Option<(Protocol, (u16, u16))> {
    let (mut number, mut from, mut to, mut icmp, mut icmpv6) = (None, None, None, None, None);
    for (kind, value) in attributes(bytes) {
        let place = match kind {
            1 => {
                number = Some(*value.first()?);
                continue;
            }
            2 => &mut from,
            3 => &mut to,
            4 => &mut icmp,
            7 => &mut icmpv6,
            _ => continue,
        };
        *place = Some(u16::from_be_bytes(<[u8; 2]>::try_from(value).ok()?));
    }
    let protocol = Protocol(number?);
    let ports = match protocol {
        // What DCCP (33), SCTP (132) and UDP-Lite (136) have as well; GRE's are keys and not ports.
        Protocol::TCP | Protocol::UDP | Protocol(33 | 132 | 136) => (from?, to?),
        Protocol::ICMP => (icmp?, icmp?),
        Protocol::ICMPV6 => (icmpv6?, icmpv6?),
        _ => (0, 0),
    };
    Some((protocol, ports))
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(super) mod tests;
