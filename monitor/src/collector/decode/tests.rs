use super::*;
use crate::model::{FailureSign, IcmpError, IcmpKind, Told};
use monitor_common::failure::{FailureHeader, ROOM};
use monitor_common::flow::{Received, Sent};
use proptest::prelude::*;
use zerocopy::IntoBytes;

fn key4(kind: u8, protocol: u8, local_port: u16, remote_port: u16) -> FlowKey4 {
    FlowKey4 {
        interface: 7,
        local: [10, 0, 0, 2],
        remote: [10, 0, 0, 3],
        local_port,
        remote_port,
        protocol,
        kind,
        vlan: 0,
    }
}

fn first(family: u8) -> FirstPacket {
    let header = EventHeader {
        kind: event_kind::FIRST_PACKET,
        interface: 7,
        flow_id: 9,
        time: 11,
        length: 74,
        captured: 0,
        direction: 0,
        family,
    };
    let mut local = [0; 16];
    local[..4].copy_from_slice(&[10, 0, 0, 2]);
    let key = FlowKey6 { interface: 7, local, protocol: 6, remote_port: 80, ..FlowKey6::default() };
    FirstPacket { header, key, tcp_flags: 2 }
}

fn sampled(captured: u16) -> SampledPacket {
    let header = EventHeader {
        kind: event_kind::SAMPLED_PACKET,
        captured,
        direction: 1,
        length: 1514,
        ..EventHeader::default()
    };
    SampledPacket { header, bytes: std::array::from_fn(|at| u8::try_from(at).unwrap()) }
}

#[test]
fn ports_mean_what_the_kind_says() {
    let check = |kind, protocol, expected| {
        assert_eq!(key4(kind, protocol, 40_000, 0x0800).decode().ports, expected, "{kind} {protocol}");
    };
    check(key_kind::PORTS, 6, FlowPorts::Ports { local: 40_000, remote: 0x0800 });
    check(key_kind::PORTS, 132, FlowPorts::Ports { local: 40_000, remote: 0x0800 });
    check(key_kind::PORTS, 47, FlowPorts::None);
    check(key_kind::ICMP, 1, FlowPorts::Icmp { id: 40_000, kind: 8, code: 0 });
    check(key_kind::LATER_FRAGMENT, 17, FlowPorts::LaterFragment);
    check(key_kind::NO_HEADER, 6, FlowPorts::None);
    check(200, 6, FlowPorts::None);
}

#[test]
fn a_vlan_field_of_zero_is_untagged() {
    assert_eq!(key4(0, 6, 1, 2).decode().vlan, None);
    assert_eq!(FlowKey4 { vlan: 1, ..key4(0, 6, 1, 2) }.decode().vlan, Some(0));
    assert_eq!(FlowKey4 { vlan: 13, ..key4(0, 6, 1, 2) }.decode().vlan, Some(12));
}

#[test]
fn what_is_not_marked_is_absent() {
    let sent = Sent { source_mac: [1; 6], cgroup: 3, ..Sent::default() };
    let received = Received { origin: 5, syn_at: 2, received_data_at: 4, ..Received::default() };
    let entry = FlowEntry { sent, received, ..FlowEntry::default() };
    let delta = flow(&key4(0, 17, 1, 2), &entry);
    assert_eq!((delta.origin, delta.source_mac, delta.cgroup, delta.tcp), (None, None, None, None));

    let sent = Sent { marks: mark::SOURCE_MAC_KNOWN | mark::CGROUP_ASKED | 0x10, ..sent };
    let received = Received { marks: mark::ORIGIN_KNOWN | 0x12, ..received };
    let delta = flow(&key4(0, 6, 1, 2), &FlowEntry { sent, received, ..entry });
    assert_eq!(delta.origin, Some(Origin { ifindex: 5, other: None }));
    assert_eq!(delta.source_mac, Some(Mac([1; 6])));
    assert_eq!(delta.cgroup, Some(3));
    let seen = delta.tcp.expect("TCP");
    assert_eq!((seen.syn_at, seen.syn_ack_at), (Some(KernelTime(64)), None));
    assert_eq!((seen.sent_data_at, seen.received_data_at), (None, Some(KernelTime(192))));
    let flags = delta.tcp.map(|tcp| (tcp.sent_flags, tcp.received_flags));
    assert_eq!(flags, Some((TcpFlags(0x10), TcpFlags(0x12))));
}

#[test]
fn totals_are_summed_over_the_cpus() {
    let mut cpu = InterfaceTotals::default();
    cpu.sent.ipv4 = Counters { skbs: 1, skb_bytes: 66_000, extra_packets: 43, extra_bytes: 2_838 };
    cpu.received.arp = Counters { skbs: 1, skb_bytes: 42, ..Counters::default() };
    let sum = totals(&[cpu, cpu]);
    assert_eq!(sum.sent.ipv4, Counts { packets: 88, bytes: 137_676, skbs: 2, skb_bytes: 132_000 });
    assert_eq!(sum.received.arp.skbs, 2);
    assert_eq!(sum.traffic().received.bytes, 84);
}

#[test]
fn a_first_packet_is_read() {
    let Ok(Observation::FirstPacket(seen)) = event(first(4).as_bytes()) else { panic!("refused") };
    assert_eq!(seen.key.local, IpAddr::from([10, 0, 0, 2]));
    assert_eq!(seen.key.ports, FlowPorts::Ports { local: 0, remote: 80 });
    assert_eq!((seen.flow_id, seen.at, seen.length), (FlowId(9), KernelTime(11), 74));
    assert_eq!((seen.direction, seen.tcp_flags), (Direction::Sent, Some(TcpFlags(2))));
    let Ok(Observation::FirstPacket(seen)) = event(first(6).as_bytes()) else { panic!("refused") };
    assert!(seen.key.local.is_ipv6());
}

#[test]
fn a_sample_has_the_bytes_it_says() {
    let Ok(Observation::Sample(sample)) = event(sampled(3).as_bytes()) else { panic!("refused") };
    assert_eq!((sample.bytes, sample.flow_id), (vec![0, 1, 2], None));
}

#[test]
fn hostile_records_are_refused() {
    let check = |record: &[u8]| assert_eq!(event(record), Err(Malformed), "{record:?}");
    check(&[]);
    check(&first(4).as_bytes()[..79]);
    check(first(5).as_bytes());
    check(&sampled(3).as_bytes()[..159]);
    check(sampled(129).as_bytes());
    let mut unknown = first(4);
    unknown.header.kind = 3;
    check(unknown.as_bytes());
    let mut sideways = first(4);
    sideways.header.direction = 2;
    check(sideways.as_bytes());
}

#[test]
fn a_drop_has_the_port_that_it_was_sent_to_if_there_is_one() {
    let dropped = |kind, protocol, family| {
        let mut source = [0; 16];
        source[..4].copy_from_slice(&[10, 0, 0, 2]);
        let key =
            DropKey { source, port: 53, protocol, kind, family, reason: 7, device: 2, ..DropKey::default() };
        let entry = DropEntry { packets: 3, bytes: 200, first_seen: 5, last_seen: 6 };
        drop(&key, &entry, &Reasons::default())
    };
    let udp = dropped(key_kind::PORTS, 17, 4);
    assert_eq!((udp.source, udp.port), (Ipv4Addr::new(10, 0, 0, 2).into(), Some(53)));
    assert_eq!((udp.reason.as_str(), udp.device, udp.ingress), ("REASON_7", 2, 0));
    assert_eq!((udp.packets, udp.bytes), (3, 200));
    assert_eq!((udp.first_seen, udp.last_seen), (KernelTime(5), KernelTime(6)));
    assert_eq!(dropped(key_kind::PORTS, 47, 4).port, None);
    assert_eq!(dropped(key_kind::LATER_FRAGMENT, 17, 4).port, None);
    assert_eq!(dropped(key_kind::ICMP, 58, 6).source, "a00:2::".parse::<IpAddr>().unwrap());
}

#[test]
fn a_claim_of_an_unknown_kind_is_refused() {
    let claimed = |kind| {
        let key = ClaimKey { interface: 7, address: [1; 16], mac: [2; 6], kind, generation: 0 };
        claim(&key, &ClaimEntry { packets: 3, first_seen: 5, last_seen: 6 })
    };
    let arp = claimed(claim_kind::ARP).unwrap();
    assert_eq!((arp.interface, arp.kind), (InterfaceNumber(7), ClaimKind::Arp));
    assert_eq!((arp.address, arp.mac, arp.packets), (Ipv4Addr::new(1, 1, 1, 1).into(), Mac([2; 6]), 3));
    let router = claimed(claim_kind::ROUTER_ADVERTISEMENT).unwrap();
    assert_eq!(
        (router.kind, router.address),
        (ClaimKind::RouterAdvertisement, Ipv6Addr::from([1; 16]).into())
    );
    assert_eq!((claimed(0), claimed(4)), (None, None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(kind in 0_u32..4, mut record in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(start) = record.first_chunk_mut() {
            *start = kind.to_ne_bytes();
        }
        let _ = event(&record);
    }
}

fn captured_record(tag: Option<u16>, bytes: &[u8]) -> Vec<u8> {
    let header = CapturedHeader {
        flow_id: 9,
        time: 11,
        interface: 7,
        length: 80,
        captured: u32::try_from(bytes.len()).unwrap(),
        vlan_tag: tag.unwrap_or(0xffff),
        vlan_protocol: if tag.is_some() { 0x8100 } else { 0 },
        direction: 1,
        padding: [0; 7],
    };
    // Rooms are larger than what is in them.
    [header.as_bytes(), bytes, &[0xee; 16]].concat()
}

/// An IPv4 packet from 10.0.0.3, port 80, to 10.0.0.2, port 1000.
fn frame() -> Vec<u8> {
    let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 3, 10, 0, 0, 2, 0, 80, 3, 232, 0, 0, 0, 0];
    [&[2; 12][..], &[8, 0], &ip].concat()
}

#[test]
fn a_captured_packet_is_decoded_and_has_its_tag_again() {
    let plain = captured(&captured_record(None, &frame())).unwrap();
    assert_eq!((plain.packet.bytes, plain.packet.length), (frame(), 80));
    let key = plain.key.unwrap();
    let ends = [key.local, key.remote].map(|address| address.to_string());
    assert_eq!(ends, ["10.0.0.2", "10.0.0.3"]);
    assert_eq!((key.ports, key.vlan), (FlowPorts::Ports { local: 1_000, remote: 80 }, None));

    let tagged = captured(&captured_record(Some(0x6004), &frame())).unwrap();
    let expected = [&[2; 12][..], &[0x81, 0, 0x60, 4, 8, 0], &frame()[14..]].concat();
    assert_eq!((tagged.packet.bytes, tagged.packet.length), (expected, 84));
    assert_eq!(tagged.key.unwrap().vlan, Some(4));
}

#[test]
fn a_captured_record_that_is_not_what_the_programs_write_is_refused() {
    let record = captured_record(None, &frame());
    for length in 0..size_of::<CapturedHeader>() + frame().len() {
        assert_eq!(captured(&record[..length]), Err(Malformed), "{length}");
    }
    assert!(captured(&captured_record(Some(1), &[])).unwrap().key.is_none());
}

/// A record of a packet from 10.0.0.3, port 53, to 10.0.0.2, port 1000, as it was seen in a namespace: these headers of its
/// protocol behind the ports, and this behind them.
fn dns_record(protocol: u8, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 3, 10, 0, 0, 2, 0, 53, 3, 232];
    let packet = [&ip, header, payload].concat();
    let about = DnsHeader {
        time: 11,
        cgroup: 5,
        place: 4_026_531_840,
        captured: u32::try_from(packet.len()).unwrap(),
        place_kind: place_kind::NAMESPACE,
        direction: 1,
        padding: [0; 6],
    };
    [about.as_bytes(), &packet, &[0xee; 16]].concat()
}

#[test]
fn a_dns_message_is_what_the_length_of_udp_says() {
    let check = |length: u8, payload: &[u8], is_cut| {
        let record = dns_record(17, &[0, length, 0, 0], b"question");
        let heard = dns(&record, Some(5)).unwrap().unwrap();
        assert_eq!(
            (heard.payload, heard.is_cut, heard.segment, heard.forwarded),
            (payload, is_cut, None, true)
        );
        assert_eq!(heard.place, DnsPlace::Namespace(4_026_531_840));
        let ends = [heard.container, heard.other].map(|end| end.to_string());
        assert_eq!(ends, ["10.0.0.2:1000", "10.0.0.3:53"]);
    };
    check(16, b"question", false);
    check(12, b"ques", false);
    check(200, b"question", true);
    let nothing = dns_record(17, &[0, 8, 0, 0], b"");
    assert!(dns(&nothing, None).unwrap().is_none());
    assert!(dns(&nothing[..nothing.len() - 20], None).is_err(), "bytes are missing");
}

#[test]
fn a_segment_of_dns_says_where_it_is_in_its_stream() {
    let header = |flags| [0, 0, 1, 2, 0, 0, 0, 0, 0x60, flags, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
    let segment =
        |record: &[u8]| dns(record, None).unwrap().map(|heard| (heard.segment.unwrap(), heard.payload.len()));
    let sequence = 258;
    let data = dns_record(6, &header(0x18), b"question");
    assert_eq!(segment(&data), Some((Segment { sequence, syn: false }, 8)));
    let syn = dns_record(6, &header(0x12), b"");
    assert_eq!(segment(&syn), Some((Segment { sequence, syn: true }, 0)));
    assert_eq!(segment(&dns_record(6, &header(0x10), b"")), None);
}

proptest! {
    #[test]
    fn no_record_of_dns_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = dns(&bytes, None);
        let captured = u32::try_from(bytes.len()).unwrap();
        for place_kind in 0..5 {
            let header = DnsHeader { captured, place_kind, ..DnsHeader::default() };
            let _ = dns(&[header.as_bytes(), &bytes].concat(), None);
        }
    }
}

/// A record of a packet that tells of a failure, with as many of its bytes as there is room for.
fn failure_record(direction: u8, packet: &[u8]) -> Vec<u8> {
    let captured = packet.len().min(ROOM as usize);
    let header = FailureHeader {
        time: 11,
        interface: 7,
        captured: captured.try_into().unwrap(),
        origin: 3,
        direction,
        place_kind: place_kind::INTERFACE,
        padding: [0; 2],
    };
    let mut room = [0; ROOM as usize];
    room[..captured].copy_from_slice(&packet[..captured]);
    [header.as_bytes(), &room].concat()
}

fn ipv4(from: u8, to: u8, protocol: u8, length: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    [&header, payload].concat()
}

fn ipv6(from: u8, to: u8, next: u8, length: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &address(from), &address(to), payload].concat()
}

fn ethernet(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ethertype.to_be_bytes(), packet].concat()
}

/// What 10.0.0.9 tells 10.0.0.2 of a packet that that one sent to port 53 of 10.0.0.3.
fn too_big(mtu: u16) -> Vec<u8> {
    let about = ipv4(2, 3, 17, 1_428, &[0x9c, 0x40, 0, 53, 5, 0x80, 0, 0]);
    let [high, low] = mtu.to_be_bytes();
    ethernet(0x0800, &ipv4(9, 2, 1, 56, &[&[3, 4, 0, 0, 0, 0, high, low], &about[..]].concat()))
}

#[test]
fn an_error_is_about_the_flow_of_the_packet_in_it() {
    let sign = failure(&failure_record(1, &too_big(1_300))).unwrap().unwrap();
    let flow = FlowPorts::Ports { local: 40_000, remote: 53 };
    assert_eq!((sign.key.local, sign.key.remote), ("10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()));
    assert_eq!((sign.key.protocol, sign.key.ports, sign.key.interface.0), (Protocol::UDP, flow, 7));
    assert_eq!(sign.origin, Some(Origin { ifindex: 3, other: None }));
    let kind = IcmpKind { v6: false, kind: 3, code: 4 };
    let error = IcmpError { sender: "10.0.0.9".parse().unwrap(), kind, mtu: Some(1_300), length: 1_428 };
    assert_eq!(sign.told, Told::Icmp(error));
    // Routers before RFC 1191 say 0.
    let Some(FailureSign { told: Told::Icmp(error), .. }) = failure(&failure_record(1, &too_big(0))).unwrap()
    else {
        panic!("no error")
    };
    assert_eq!(error.mtu, None);
    // Where a container itself sends it, the flow is that of what it had received.
    let sent = failure(&failure_record(0, &too_big(1_300))).unwrap().unwrap();
    assert_eq!((sent.key.local, sent.key.remote, sent.origin), (sign.key.remote, sign.key.local, None));
    assert_eq!(sent.key.ports, FlowPorts::Ports { local: 53, remote: 40_000 });
}

#[test]
fn what_is_told_at_a_control_group_begins_with_the_ip_header_and_has_no_origin_as_inside_a_namespace() {
    let placed = |kind, packet: &[u8]| {
        let mut record = failure_record(1, packet);
        FailureHeader::mut_from_prefix(&mut record).unwrap().0.place_kind = kind;
        failure(&record)
    };
    let tcp = |window| [0, 80, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, window, 0, 0, 0, 0];
    for packet in [ipv4(3, 2, 6, 40, &tcp(0)), ipv6(3, 2, 6, 20, &tcp(0))] {
        let sign = placed(place_kind::GROUP, &packet).unwrap().unwrap();
        let ports = FlowPorts::Ports { local: 40_000, remote: 80 };
        assert_eq!((sign.told, sign.key.ports, sign.origin), (Told::ZeroWindow, ports, None));
    }
    assert_eq!(placed(place_kind::GROUP, &ipv4(3, 2, 6, 40, &tcp(1))), Err(Malformed));
    assert_eq!(placed(place_kind::GROUP, &[]), Err(Malformed));
    let inside = placed(place_kind::INSIDE, &too_big(1_300)).unwrap().unwrap();
    assert_eq!((inside.key.interface.0, inside.origin), (7, None));
    assert_eq!(placed(9, &too_big(1_300)), Err(Malformed));
}

#[test]
fn an_error_of_icmpv6_has_an_mtu_of_32_bits_and_a_length_with_its_header() {
    let about = ipv6(2, 3, 6, 1_460, &[0x9c, 0x40, 1, 0xbb, 0, 0, 0, 0]);
    let packet = ipv6(9, 2, 58, 56, &[&[2, 0, 0, 0, 0, 1, 0, 0], &about[..]].concat());
    let sign = failure(&failure_record(1, &ethernet(0x86dd, &packet))).unwrap().unwrap();
    assert_eq!(sign.key.ports, FlowPorts::Ports { local: 40_000, remote: 443 });
    let kind = IcmpKind { v6: true, kind: 2, code: 0 };
    let error = IcmpError { sender: "fd00::9".parse().unwrap(), kind, mtu: Some(65_536), length: 1_500 };
    assert_eq!((sign.told, kind.reason(), kind.is_too_big()), (Told::Icmp(error), "packet-too-big", true));
}

#[test]
fn a_closed_window_is_that_of_the_flow_it_is_sent_on() {
    let segment = |flags, window: u8| {
        let tcp = [0, 80, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0, window, 0, 0, 0, 0];
        failure(&failure_record(0, &ethernet(0x0800, &ipv4(2, 3, 6, 40, &tcp))))
    };
    let sign = segment(0x10, 0).unwrap().unwrap();
    assert_eq!(
        (sign.told, sign.key.ports),
        (Told::ZeroWindow, FlowPorts::Ports { local: 80, remote: 40_000 })
    );
    // The programs write none of these: an open window, a SYN, a reset.
    for (flags, window) in [(0x10, 1), (0x02, 0), (0x14, 0)] {
        assert_eq!(segment(flags, window), Err(Malformed), "{flags} {window}");
    }
}

#[test]
fn an_error_that_is_cut_off_anywhere_tells_nothing() {
    let whole = too_big(1_300);
    // Up to the ports of what it is about.
    let enough = whole.len() - 4;
    for length in 0..whole.len() {
        let read = failure(&failure_record(1, &whole[..length]));
        assert_eq!(matches!(read, Ok(Some(_))), length >= enough, "{length}: {read:?}");
    }
}

proptest! {
    #[test]
    fn no_packet_that_tells_of_a_failure_does_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        behind in proptest::collection::vec(any::<u8>(), 0..160),
        direction in 0_u8..3,
    ) {
        let _ = failure(&bytes);
        let packet = ethernet(0x0800, &ipv4(9, 2, 1, 56, &[&[3, 4, 0, 0, 0, 0, 0, 0], &behind[..]].concat()));
        prop_assert_eq!(failure(&failure_record(direction, &packet)).is_err(), direction == 2);
        let packet = ethernet(0x86dd, &ipv6(9, 2, 58, 56, &[&[1, 0, 0, 0, 0, 0, 0, 0], &behind[..]].concat()));
        prop_assert_eq!(failure(&failure_record(direction, &packet)).is_err(), direction == 2);
    }
}
