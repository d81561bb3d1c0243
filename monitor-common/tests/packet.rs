//! What the parser makes of packets built here, and properties of any bytes at all.

use monitor_common::counters::Direction;
use monitor_common::flow::{FlowKey4, FlowKey6, key_kind};
use monitor_common::packet::{Frame, Ip, Network, parse};
use proptest::prelude::*;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const A4: [u8; 4] = [172, 18, 0, 2];
const B4: [u8; 4] = [172, 18, 0, 3];

fn frame(tags: &[u8], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&MACS, tags, &ethertype.to_be_bytes(), payload].concat()
}

fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = fragment.to_be_bytes();
    [&[0x45, 0, 0, 0, 0, 0, high, low, 64, protocol, 0, 0], &from[..], &to, payload].concat()
}

fn ipv6(from: [u8; 16], to: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x60, 0, 0, 0, 0, 0, next, 64], &from[..], &to, payload].concat()
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes(), [0; 2], [0; 2]].concat()
}

fn ip4(packet: &[u8], tag: Option<u16>) -> (Frame, Ip<4>) {
    let frame = parse(packet, tag);
    let Network::Ipv4(ip) = frame.network else { panic!("no IPv4: {frame:?}") };
    (frame, ip)
}

#[test]
fn a_later_fragment_has_no_ports() {
    let packet = frame(&[], 0x0800, &ipv4(A4, B4, 17, 0x2001, &ports(1, 2)));
    let transport = ip4(&packet, None).1.transport;
    assert_eq!((transport.kind, transport.source_port), (key_kind::LATER_FRAGMENT, 0));
    let packet = frame(&[], 0x0800, &ipv4(A4, B4, 17, 0x2000, &ports(1, 2)));
    let transport = ip4(&packet, None).1.transport;
    assert_eq!((transport.kind, transport.source_port), (key_kind::PORTS, 1));
}

#[test]
fn the_kernels_own_tag_is_outside_of_inline_ones() {
    let packet = frame(&[0x81, 0, 0, 9], 0x0800, &ipv4(A4, B4, 17, 0, &ports(1, 2)));
    assert_eq!(ip4(&packet, None).0.link.vlan, 10);
    assert_eq!(ip4(&packet, Some(0x6004)).0.link.vlan, 5);
    let untagged = frame(&[], 0x0800, &ipv4(A4, B4, 17, 0, &ports(1, 2)));
    assert_eq!(ip4(&untagged, Some(0)).0.link.vlan, 1, "a tag with id 0 is a tag");
}

#[test]
fn echo_request_and_reply_have_one_key_at_each_end() {
    let request = ip4(&frame(&[], 0x0800, &ipv4(A4, B4, 1, 0, &[8, 0, 0, 0, 1, 2, 0, 1])), None).1;
    let reply = ip4(&frame(&[], 0x0800, &ipv4(B4, A4, 1, 0, &[0, 0, 0, 0, 1, 2, 0, 1])), None).1;
    let asker = request.key(1, Direction::Sent, 0);
    assert_eq!(asker, reply.key(1, Direction::Received, 0));
    assert_eq!(request.key(2, Direction::Received, 0), reply.key(2, Direction::Sent, 0));
    assert_eq!((asker.kind, asker.local_port, asker.remote_port), (key_kind::ICMP, 0x0102, 0x0800));
}

#[test]
fn a_source_mac_is_read_from_the_frame() {
    assert_eq!(parse(&frame(&[], 0x0806, &[])[..], None).link.source_mac, [2, 0, 0, 0, 0, 2]);
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_skipped(bytes in prop::collection::vec(any::<u8>(), 0..200), tag: Option<u16>) {
        parse(&bytes[..], tag);
    }

    #[test]
    fn any_bytes_behind_a_known_ethertype_parse_or_are_skipped(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        ethertype in prop::sample::select(vec![0x0800u16, 0x86dd, 0x8100, 0x88a8]),
        first in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60]),
        next in prop::sample::select(vec![0u8, 6, 17, 43, 44, 51, 58, 60, 135]),
    ) {
        let mut packet = frame(&[], ethertype, &bytes);
        if let Some(byte) = packet.get_mut(14) { *byte = first; }
        if let Some(byte) = packet.get_mut(20) { *byte = next; }
        parse(&packet[..], None);
    }

    #[test]
    fn both_ends_of_an_ipv4_conversation_share_their_key(
        from: [u8; 4], to: [u8; 4], source: u16, destination: u16, vlan in 0u16..4096, interface: u32,
        protocol in prop::sample::select(vec![6u8, 17, 33, 132, 136]),
    ) {
        let [high, low] = vlan.to_be_bytes();
        let tag = [0x81, 0, high, low];
        let there = frame(&tag, 0x0800, &ipv4(from, to, protocol, 0, &ports(source, destination)));
        let back = frame(&tag, 0x0800, &ipv4(to, from, protocol, 0, &ports(destination, source)));
        let (link, ip) = ip4(&there, None);
        let key = ip.key(interface, Direction::Sent, link.link.vlan);
        prop_assert_eq!(key, FlowKey4 {
            interface, local: from, remote: to, local_port: source, remote_port: destination,
            protocol, kind: key_kind::PORTS, vlan: vlan + 1,
        });
        let (link, ip) = ip4(&back, None);
        prop_assert_eq!(key, ip.key(interface, Direction::Received, link.link.vlan));
    }

    #[test]
    fn both_ends_of_an_ipv6_conversation_share_their_key(
        from: [u8; 16], to: [u8; 16], source: u16, destination: u16, interface: u32,
        protocol in prop::sample::select(vec![6u8, 17, 33, 132, 136]),
    ) {
        let there = frame(&[], 0x86dd, &ipv6(from, to, protocol, &ports(source, destination)));
        let back = frame(&[], 0x86dd, &ipv6(to, from, protocol, &ports(destination, source)));
        let (Network::Ipv6(there), Network::Ipv6(back)) =
            (parse(&there[..], None).network, parse(&back[..], None).network) else {
                return Err(TestCaseError::fail("no IPv6"));
            };
        let key = there.key(interface, Direction::Sent, 0);
        prop_assert_eq!(key, FlowKey6 {
            interface, local: from, remote: to, local_port: source, remote_port: destination,
            protocol, kind: key_kind::PORTS, vlan: 0,
        });
        prop_assert_eq!(key, back.key(interface, Direction::Received, 0));
    }
}
