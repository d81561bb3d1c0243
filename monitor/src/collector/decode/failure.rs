//! Records of packets that tell of a failure. What is in such a packet anybody may have written.

use super::{Malformed, direction, key, seen_at};
use crate::model::{
    Direction, FailureSign, FlowKey, IcmpError, IcmpKind, KernelTime, Origin, Protocol, Told,
};
use monitor_common::{
    failure::{FailureHeader, is_error},
    flow::key_kind,
    interface::place_kind,
    packet::{Frame, Ip, Network, Transport, ethertype, parse_network},
};
use std::net::IpAddr;
use zerocopy::FromBytes as _;

/// Bytes of an error's header; behind it is the packet that it is about.
const ICMP_HEADER: usize = 8;

/// One record of the ring of such packets; `None` where nobody can read what it is about.
///
/// # Errors
/// As [`super::event`].
pub(in crate::collector) fn failure(record: &[u8]) -> Result<Option<FailureSign>, Malformed> {
    let (header, behind) = FailureHeader::read_from_prefix(record).map_err(|_| Malformed)?;
    let captured = usize::try_from(header.captured).map_err(|_| Malformed)?;
    let bytes = behind.get(..captured).ok_or(Malformed)?;
    let direction = direction(header.direction)?;
    let frame = seen_at(header.place_kind, bytes)?;
    let read = match transport(&frame) {
        Some(transport) if transport.protocol == Protocol::TCP.0 && transport.tells_failure() => {
            Some((Told::ZeroWindow, flow(&frame, header.interface, direction)))
        }
        Some(transport) if is_error(transport.protocol, transport.destination_port.to_be_bytes()[0]) => {
            error(bytes, &frame, transport).map(|(error, about)| {
                // It is about a packet that went the other way.
                let went = match direction {
                    Direction::Sent => Direction::Received,
                    Direction::Received => Direction::Sent,
                };
                (Told::Icmp(error), flow(&about, header.interface, went))
            })
        }
        _ => return Err(Malformed),
    };
    let has_origin = direction == Direction::Received && header.place_kind == place_kind::INTERFACE;
    let origin = has_origin.then_some(Origin { ifindex: header.origin, other: None });
    let at = KernelTime(header.time);
    let sign =
        |(told, key): (Told, Option<FlowKey>)| Some(FailureSign { key: key?, direction, origin, at, told });
    Ok(read.and_then(sign))
}

/// What an error says, and of the packet that it is about what is in it.
fn error(bytes: &[u8], frame: &Frame, transport: &Transport) -> Option<(IcmpError, Frame)> {
    // The header length of ICMP is where its header begins.
    let (header, about) = bytes.get(usize::from(transport.header_length)..)?.split_at_checked(ICMP_HEADER)?;
    let [kind, code, .., a, b, c, d] = *header.first_chunk::<ICMP_HEADER>()?;
    let (sender, v6) = match frame.network {
        Network::Ipv4(Ip { source, .. }) => (IpAddr::from(source), false),
        Network::Ipv6(Ip { source, .. }) => (source.into(), true),
        Network::Arp | Network::Other => return None,
    };
    let kind = IcmpKind { v6, kind, code };
    let mtu = if v6 { u32::from_be_bytes([a, b, c, d]) } else { u16::from_be_bytes([c, d]).into() };
    let (kind_of_network, length) = if v6 {
        // The header has no part in that length.
        (ethertype::IPV6, u32::from(length_at(about, 4)?) + 40)
    } else {
        (ethertype::IPV4, length_at(about, 2)?.into())
    };
    // Before RFC 1191 nobody told an MTU.
    let mtu = Some(mtu).filter(|mtu| kind.is_too_big() && *mtu != 0);
    Some((IcmpError { sender, kind, mtu, length }, parse_network(about, kind_of_network)))
}

fn length_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn transport(frame: &Frame) -> Option<&Transport> {
    match &frame.network {
        Network::Ipv4(ip) => Some(&ip.transport),
        Network::Ipv6(ip) => Some(&ip.transport),
        Network::Arp | Network::Other => None,
    }
}

/// Whose flow a packet is in; `None` where its ports are not there, and its protocol has such.
fn flow(frame: &Frame, interface: u32, direction: Direction) -> Option<FlowKey> {
    let key = key(frame, interface, direction)?;
    let is_whole = transport(frame).is_some_and(|it| matches!(it.kind, key_kind::PORTS | key_kind::ICMP));
    is_whole.then_some(FlowKey { vlan: None, ..key })
}
