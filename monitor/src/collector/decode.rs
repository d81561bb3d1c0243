//! From the wire types of `monitor-common` to the model: nothing above this file knows `repr(C)`.
//!
//! Records of the ring are taken as hostile: one that is too short or of an unknown kind is refused, and the
//! caller counts it.

mod failure;

pub(super) use failure::failure;

use super::reasons::Reasons;
use crate::dns::{Heard, Segment};
use crate::model::{
    CapturedPacket, Claim, ClaimKind, ClassCounts, Counts, Direction, DirectionCounts, DnsPlace,
    Drop as Dropped, FirstPacketSeen, FlowDelta, FlowId, FlowKey, FlowPorts, InterfaceNumber, KernelTime,
    Mac, Observation, Origin, Protocol, Retransmit, Sample, TcpFlags, TcpObserved,
};
use monitor_common::{
    capture::CapturedHeader,
    claims::{ClaimEntry, ClaimKey, claim_kind},
    counters::{self, Counters},
    dns::{self, DnsHeader},
    drops::{DropEntry, DropKey},
    event::{EventHeader, FirstPacket, SampledPacket, event_kind},
    flow::{FlowEntry, FlowKey4, FlowKey6, key_kind, mark, moment},
    interface::{DirectionTotals, InterfaceTotals, place_kind},
    packet::{Frame, Ip, Network, Transport, ethertype, parse, parse_network, protocol, tcp_flag},
    retransmits::{RetransmitEntry, RetransmitKey},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use zerocopy::FromBytes;

/// A key of one of the flow maps.
pub(super) trait WireKey: Copy {
    /// As the model has it.
    fn decode(&self) -> FlowKey;
}

impl WireKey for FlowKey4 {
    fn decode(&self) -> FlowKey {
        FlowKey {
            interface: InterfaceNumber(self.interface),
            local: Ipv4Addr::from(self.local).into(),
            remote: Ipv4Addr::from(self.remote).into(),
            protocol: Protocol(self.protocol),
            ports: ports(self.kind, self.protocol, self.local_port, self.remote_port),
            vlan: self.vlan.checked_sub(1),
        }
    }
}

impl WireKey for FlowKey6 {
    fn decode(&self) -> FlowKey {
        FlowKey {
            interface: InterfaceNumber(self.interface),
            local: Ipv6Addr::from(self.local).into(),
            remote: Ipv6Addr::from(self.remote).into(),
            protocol: Protocol(self.protocol),
            ports: ports(self.kind, self.protocol, self.local_port, self.remote_port),
            vlan: self.vlan.checked_sub(1),
        }
    }
}

/// Protocols that have ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

fn ports(kind: u8, protocol: u8, local: u16, remote: u16) -> FlowPorts {
    match kind {
        key_kind::PORTS if WITH_PORTS.contains(&protocol) => FlowPorts::Ports { local, remote },
        key_kind::LATER_FRAGMENT => FlowPorts::LaterFragment,
        key_kind::ICMP => {
            let [kind, code] = remote.to_be_bytes();
            FlowPorts::Icmp { id: local, kind, code }
        }
        _ => FlowPorts::None,
    }
}

/// One entry of a flow map.
pub(super) fn flow<K: WireKey>(key: &K, entry: &FlowEntry) -> FlowDelta {
    let key = key.decode();
    let FlowEntry { sent, received, .. } = entry;
    let marked = |bit| (sent.marks | received.marks) & bit != 0;
    FlowDelta {
        key,
        flow_id: FlowId(entry.flow_id),
        first_seen: KernelTime(entry.first_seen),
        last_seen: KernelTime(sent.last_seen.max(received.last_seen)),
        is_new: sent.is_new != 0,
        first_direction: if sent.first_direction & 1 == 1 { Direction::Sent } else { Direction::Received },
        sent: counts(&sent.counters),
        received: counts(&received.counters),
        tcp: (key.protocol == Protocol::TCP).then(|| tcp(entry)),
        origin: marked(mark::ORIGIN_KNOWN).then_some(Origin {
            ifindex: received.origin,
            other: marked(mark::SEVERAL_ORIGINS).then_some(sent.other_origin),
        }),
        source_mac: marked(mark::SOURCE_MAC_KNOWN).then_some(Mac(sent.source_mac)),
        several_source_macs: marked(mark::SEVERAL_SOURCE_MACS),
        cgroup: (marked(mark::CGROUP_ASKED) && sent.cgroup != 0).then_some(sent.cgroup),
    }
}

/// One entry of the map of drops.
pub(super) fn drop(key: &DropKey, entry: &DropEntry, reasons: &Reasons) -> Dropped {
    let has_port = key.kind == key_kind::PORTS && WITH_PORTS.contains(&key.protocol);
    Dropped {
        source: address(key.family, &key.source),
        destination: address(key.family, &key.destination),
        protocol: Protocol(key.protocol),
        port: has_port.then_some(key.port),
        reason: reasons.name(key.reason),
        device: key.device,
        ingress: key.ingress,
        packets: entry.packets,
        bytes: entry.bytes,
        first_seen: KernelTime(entry.first_seen),
        last_seen: KernelTime(entry.last_seen),
    }
}

/// One entry of the map of what is sent again. `own` is the number of the namespace that is watched.
pub(super) fn retransmit(key: &RetransmitKey, entry: &RetransmitEntry, own: u32) -> Retransmit {
    // A socket of IPv6 that speaks IPv4 has the addresses of both in one.
    let [local, remote] = [&key.local, &key.remote].map(|bytes| address(key.family, bytes).to_canonical());
    Retransmit {
        namespace: (key.namespace != own).then_some(key.namespace),
        local: SocketAddr::new(local, key.local_port),
        remote: SocketAddr::new(remote, key.remote_port),
        segments: entry.segments,
        last_seen: KernelTime(entry.last_seen),
    }
}

/// One entry of the map of claims; `None` if no program writes such a kind.
pub(super) fn claim(key: &ClaimKey, entry: &ClaimEntry) -> Option<Claim> {
    let (kind, family) = match key.kind {
        claim_kind::ARP => (ClaimKind::Arp, 4),
        claim_kind::NEIGHBOUR_ADVERTISEMENT => (ClaimKind::NeighbourAdvertisement, 6),
        claim_kind::ROUTER_ADVERTISEMENT => (ClaimKind::RouterAdvertisement, 6),
        _ => return None,
    };
    Some(Claim {
        interface: InterfaceNumber(key.interface),
        kind,
        address: address(family, &key.address),
        mac: Mac(key.mac),
        packets: entry.packets,
        first_seen: KernelTime(entry.first_seen),
        last_seen: KernelTime(entry.last_seen),
    })
}

fn address(family: u8, bytes: &[u8; 16]) -> IpAddr {
    if family == 4 { address4(bytes) } else { Ipv6Addr::from(*bytes).into() }
}

fn tcp(entry: &FlowEntry) -> TcpObserved {
    let time = |kept| moment::time(entry.first_seen, kept).map(KernelTime);
    TcpObserved {
        sent_flags: tcp_flags(entry.sent.marks),
        received_flags: tcp_flags(entry.received.marks),
        syn_at: time(entry.received.syn_at),
        syn_ack_at: time(entry.received.syn_ack_at),
        sent_data_at: time(entry.received.sent_data_at),
        received_data_at: time(entry.received.received_data_at),
    }
}

fn tcp_flags(marks: u32) -> TcpFlags {
    let [flags, ..] = (marks & mark::TCP_FLAGS).to_le_bytes();
    TcpFlags(flags)
}

fn counts(counters: &Counters) -> Counts {
    Counts {
        packets: counters.packets(),
        bytes: counters.bytes(),
        skbs: counters.skbs,
        skb_bytes: counters.skb_bytes,
    }
}

/// An interface's totals, summed over the CPUs.
pub(super) fn totals(of_cpus: &[InterfaceTotals]) -> ClassCounts {
    of_cpus.iter().fold(ClassCounts::default(), |sum, totals| ClassCounts {
        sent: add(&sum.sent, &totals.sent),
        received: add(&sum.received, &totals.received),
    })
}

/// The same, over what was counted in maps of other layouts.
pub(super) fn totals_over(of_cpus: &[InterfaceTotals], base: Option<&InterfaceTotals>) -> ClassCounts {
    let ClassCounts { sent, received } = totals(of_cpus);
    base.map_or(ClassCounts { sent, received }, |base| ClassCounts {
        sent: add(&sent, &base.sent),
        received: add(&received, &base.received),
    })
}

fn add(sum: &DirectionCounts, totals: &DirectionTotals) -> DirectionCounts {
    DirectionCounts {
        ipv4: sum.ipv4 + counts(&totals.ipv4),
        ipv6: sum.ipv6 + counts(&totals.ipv6),
        arp: sum.arp + counts(&totals.arp),
        other: sum.other + counts(&totals.other),
        not_recorded: sum.not_recorded + counts(&totals.not_recorded),
        tagged_skbs: sum.tagged_skbs.saturating_add(totals.tagged_skbs),
    }
}

/// A ring record that is not what the programs write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One record of the ring: an [`Observation::FirstPacket`] or an [`Observation::Sample`].
///
/// # Errors
/// When the record is shorter than its kind, or holds a value no program writes.
pub(super) fn event(record: &[u8]) -> Result<Observation, Malformed> {
    let (header, _) = EventHeader::read_from_prefix(record).map_err(|_| Malformed)?;
    match header.kind {
        event_kind::FIRST_PACKET => {
            let (first, _) = FirstPacket::read_from_prefix(record).map_err(|_| Malformed)?;
            first_packet(&first).map(Observation::FirstPacket)
        }
        event_kind::SAMPLED_PACKET => {
            let (sampled, _) = SampledPacket::read_from_prefix(record).map_err(|_| Malformed)?;
            sample(&sampled).map(Observation::Sample)
        }
        _ => Err(Malformed),
    }
}

fn first_packet(first: &FirstPacket) -> Result<FirstPacketSeen, Malformed> {
    let mut key = first.key.decode();
    match first.header.family {
        4 => {
            key.local = address4(&first.key.local);
            key.remote = address4(&first.key.remote);
        }
        6 => (),
        _ => return Err(Malformed),
    }
    Ok(FirstPacketSeen {
        key,
        flow_id: FlowId(first.header.flow_id),
        at: KernelTime(first.header.time),
        direction: direction(first.header.direction)?,
        tcp_flags: (key.protocol == Protocol::TCP).then(|| tcp_flags(first.tcp_flags)),
        length: first.header.length,
    })
}

fn address4([a, b, c, d, ..]: &[u8; 16]) -> IpAddr {
    Ipv4Addr::new(*a, *b, *c, *d).into()
}

fn sample(sampled: &SampledPacket) -> Result<Sample, Malformed> {
    let header = &sampled.header;
    let bytes = sampled.bytes.get(..usize::from(header.captured)).ok_or(Malformed)?;
    Ok(Sample {
        at: KernelTime(header.time),
        interface: InterfaceNumber(header.interface),
        direction: direction(header.direction)?,
        flow_id: (header.flow_id != 0).then_some(FlowId(header.flow_id)),
        length: header.length,
        bytes: bytes.to_vec(),
    })
}

/// One record of the ring of captured packets; the interface's ifindex is the caller's to fill in.
///
/// # Errors
/// As [`event`].
pub(super) fn captured(record: &[u8]) -> Result<CapturedPacket, Malformed> {
    let (header, behind) = CapturedHeader::read_from_prefix(record).map_err(|_| Malformed)?;
    let captured = usize::try_from(header.captured).map_err(|_| Malformed)?;
    let bytes = behind.get(..captured).ok_or(Malformed)?;
    let direction = direction(header.direction)?;
    let tag = (header.vlan_protocol != 0).then_some((header.vlan_protocol, header.vlan_tag));
    let packet = Sample {
        at: KernelTime(header.time),
        interface: InterfaceNumber(header.interface),
        direction,
        flow_id: (header.flow_id != 0).then_some(FlowId(header.flow_id)),
        length: header.length.saturating_add(tag.map_or(0, |_| TAG)),
        bytes: with_tag(bytes, tag),
    };
    let key = key(&parse(bytes, tag.map(|(_, tag)| tag)), header.interface, direction);
    Ok(CapturedPacket { packet, ifindex: 0, key })
}

/// Bytes of a VLAN tag.
const TAG: u32 = 4;
/// Where a tag is in a frame: behind both addresses.
const TAG_AT: usize = 12;

/// A frame with a tag, its ethertype and its value, put back into it.
fn with_tag(bytes: &[u8], tag: Option<(u16, u16)>) -> Vec<u8> {
    let (Some((ethertype, tag)), Some((addresses, rest))) = (tag, bytes.split_at_checked(TAG_AT)) else {
        return bytes.to_vec();
    };
    [addresses, &ethertype.to_be_bytes(), &tag.to_be_bytes(), rest].concat()
}

/// What was copied of a packet at a place of this kind.
fn seen_at(kind: u8, bytes: &[u8]) -> Result<Frame, Malformed> {
    let version = bytes.first().map(|byte| byte >> 4);
    match (kind, version) {
        (place_kind::INTERFACE | place_kind::INSIDE, _) => Ok(parse(bytes, None)),
        (place_kind::NAMESPACE, _) | (place_kind::GROUP, Some(4)) => {
            Ok(parse_network(bytes, ethertype::IPV4))
        }
        (place_kind::GROUP, Some(6)) => Ok(parse_network(bytes, ethertype::IPV6)),
        _ => Err(Malformed),
    }
}

/// Whose flow a frame is in, as the programs find it.
fn key(frame: &Frame, interface: u32, direction: Direction) -> Option<FlowKey> {
    let direction = match direction {
        Direction::Sent => counters::Direction::Sent,
        Direction::Received => counters::Direction::Received,
    };
    match &frame.network {
        Network::Ipv4(ip) => Some(ip.key(interface, direction, frame.link.vlan).decode()),
        Network::Ipv6(ip) => Some(ip.key(interface, direction, frame.link.vlan).decode()),
        Network::Arp | Network::Other => None,
    }
}

/// One record of the ring of DNS messages; `None` for a packet that has nothing behind its headers. `engine` is the cgroup id of
/// Docker's engine, where that is known.
///
/// # Errors
/// As [`event`].
pub(super) fn dns(record: &[u8], engine: Option<u64>) -> Result<Option<Heard<'_>>, Malformed> {
    let (header, behind) = DnsHeader::read_from_prefix(record).map_err(|_| Malformed)?;
    let captured = usize::try_from(header.captured).map_err(|_| Malformed)?;
    let bytes = behind.get(..captured).ok_or(Malformed)?;
    let place = match header.place_kind {
        place_kind::NAMESPACE => DnsPlace::Namespace(header.place),
        _ => DnsPlace::Interface(InterfaceNumber(header.place)),
    };
    let frame = seen_at(header.place_kind, bytes)?;
    let direction = direction(header.direction)?;
    let (source, destination, transport) = match frame.network {
        Network::Ipv4(Ip { source, destination, transport }) => {
            (IpAddr::from(source), IpAddr::from(destination), transport)
        }
        Network::Ipv6(Ip { source, destination, transport }) => {
            (source.into(), destination.into(), transport)
        }
        Network::Arp | Network::Other => return Err(Malformed),
    };
    let sender = SocketAddr::new(source, transport.source_port);
    let receiver = SocketAddr::new(destination, transport.destination_port);
    let (container, other) = match direction {
        Direction::Sent => (sender, receiver),
        Direction::Received => (receiver, sender),
    };
    let (payload, is_cut) = behind_headers(bytes, &transport).ok_or(Malformed)?;
    let segment = match transport.protocol {
        protocol::TCP => Some(segment(bytes, &transport).ok_or(Malformed)?),
        _ => None,
    };
    let is_empty = payload.is_empty() && !segment.is_some_and(|segment| segment.syn);
    let at = KernelTime(header.time);
    let forwarded = header.cgroup != 0 && Some(header.cgroup) == engine;
    let heard = Heard { place, at, direction, container, other, payload, is_cut, segment, forwarded };
    Ok((!is_empty).then_some(heard))
}

/// What is behind the headers, and whether the message goes on behind it.
fn behind_headers<'a>(bytes: &'a [u8], transport: &Transport) -> Option<(&'a [u8], bool)> {
    let end = usize::from(transport.header_length);
    let payload = bytes.get(end..)?;
    if transport.protocol != protocol::UDP {
        return Some((payload, bytes.len() >= dns::MOST_BYTES as usize));
    }
    // The last four bytes of the header are its length and its check sum.
    let length = bytes.get(..end)?.last_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]])).saturating_sub(8);
    Some((payload.get(..length).unwrap_or(payload), length > payload.len()))
}

/// Where a segment of TCP is in its stream.
fn segment(bytes: &[u8], transport: &Transport) -> Option<Segment> {
    let end = usize::from(transport.header_length);
    let header = bytes.get(end.checked_sub(usize::from(transport.own_length))?..end)?;
    let sequence = header.get(4..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    Some(Segment { sequence, syn: transport.tcp_flags & tcp_flag::SYN != 0 })
}

fn direction(number: u8) -> Result<Direction, Malformed> {
    match number {
        0 => Ok(Direction::Sent),
        1 => Ok(Direction::Received),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;
