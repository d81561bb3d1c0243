//! Kernel and host parse alike: every packet is in the flow and the class the host's parser says.

use crate::rig::{NUMBER, Rig, SLOT, Skb};
use monitor_common::counters::{Counters, Direction};
use monitor_common::flow::{FlowEntry, mark};
use monitor_common::interface::DirectionTotals;
use monitor_common::packet::{Network, Transport, parse};
use monitor_common::settings::Settings;
use std::fs;
use std::path::Path;
use zerocopy::IntoBytes;

/// Few flows: the tests make one at a time.
pub(crate) fn small() -> Settings {
    Settings::default().with_max_flows(64)
}

/// Whether the kernel takes a packet for a test run: it wants something behind the Ethernet header, and a whole IP
/// header behind an IP ethertype. Behind a VLAN tag it lets any IP header pass.
fn is_taken(packet: &[u8]) -> bool {
    match packet.get(12..14) {
        Some([0x08, 0x00]) => packet.len() >= 34,
        Some([0x86, 0xdd]) => packet.len() >= 54,
        _ => packet.len() > 14,
    }
}

/// The kept packets that the kernel takes.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitor-common/corpus");
    let mut packets = Vec::new();
    for entry in fs::read_dir(folder).expect("the corpus is part of the tree") {
        let path = entry.expect("a readable folder").path();
        let packet = fs::read(&path).expect("a readable file");
        if is_taken(&packet) {
            packets.push((path.file_name().expect("a name").to_string_lossy().into_owned(), packet));
        }
    }
    packets.sort();
    assert!(packets.len() > 50, "the corpus is there");
    packets
}

/// Sends a packet and compares everything the program wrote with what the host's parser says.
fn check(rig: &mut Rig, name: &str, packet: &[u8], direction: Direction) {
    let skb = Skb { gso_segs: 3, gso_size: 700, ..Skb::ordinary() };
    let before = totals(rig, direction);
    let returned = rig.send(direction, packet, &skb).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    assert_eq!(returned, -1, "{name}: the next program goes on");

    let frame = parse(packet, None);
    let length = u32::try_from(packet.len()).expect("a small packet");
    let counted = |header: u16| Counters::of_skb(length, 3, 700, u32::from(header));
    let vlan = frame.link.vlan;
    let mut expected = before;
    let (mut flow4, mut flow6) = (None, None);
    match frame.network {
        Network::Ipv4(ip) => {
            add(&mut expected.ipv4, &counted(ip.transport.header_length));
            flow4 = Some((ip.key(NUMBER, direction, vlan), ip.transport));
        }
        Network::Ipv6(ip) => {
            add(&mut expected.ipv6, &counted(ip.transport.header_length));
            flow6 = Some((ip.key(NUMBER, direction, vlan), ip.transport));
        }
        Network::Arp => add(&mut expected.arp, &counted(0)),
        Network::Other => add(&mut expected.other, &counted(0)),
    }
    assert_eq!(totals(rig, direction), expected, "{name}: totals");
    let generation = rig.active().expect("a readable map") & 1;
    let flows4 = rig.flows::<20>(generation).expect("a readable map");
    let flows6 = rig.flows::<44>(generation).expect("a readable map");
    rig.flip().expect("a writable map");
    compare(name, flow4.as_ref().map(|(key, it)| (key.as_bytes(), it)), &flows4, direction, &counted);
    compare(name, flow6.as_ref().map(|(key, it)| (key.as_bytes(), it)), &flows6, direction, &counted);
}

/// Compares one map's entries with the one flow that should be in it.
fn compare<const N: usize>(
    name: &str,
    expected: Option<(&[u8], &Transport)>,
    flows: &[([u8; N], FlowEntry)],
    direction: Direction,
    counted: &dyn Fn(u16) -> Counters,
) {
    let Some((key, transport)) = expected else {
        assert!(flows.is_empty(), "{name}: no flow");
        return;
    };
    let [(found, entry)] = flows else { panic!("{name}: {} flows", flows.len()) };
    assert_eq!(found, key, "{name}: the key");
    let (mine, other, flags) = match direction {
        Direction::Sent => (entry.sent.counters, entry.received.counters, entry.sent.marks & mark::TCP_FLAGS),
        Direction::Received => {
            (entry.received.counters, entry.sent.counters, entry.received.marks & mark::TCP_FLAGS)
        }
    };
    assert_eq!(mine, counted(transport.header_length), "{name}: counters");
    assert_eq!(other, Counters::default(), "{name}: the other direction");
    assert_eq!(flags, u32::from(transport.tcp_flags), "{name}: flags");
}

fn totals(rig: &Rig, direction: Direction) -> DirectionTotals {
    let totals = rig.totals(SLOT).expect("a readable map");
    match direction {
        Direction::Sent => totals.sent,
        Direction::Received => totals.received,
    }
}

fn add(to: &mut Counters, counted: &Counters) {
    to.skbs += counted.skbs;
    to.skb_bytes += counted.skb_bytes;
    to.extra_packets += counted.extra_packets;
    to.extra_bytes += counted.extra_bytes;
}

#[test]
fn the_kept_packets_are_counted_as_the_host_parses_them() {
    let mut rig = Rig::load(&small(), &[]).expect("programs that load");
    for (name, packet) in corpus() {
        check(&mut rig, &name, &packet, Direction::Sent);
        check(&mut rig, &name, &packet, Direction::Received);
    }
}

#[test]
fn every_prefix_of_a_kept_packet_is_counted_as_the_host_parses_it() {
    let mut rig = Rig::load(&small(), &[]).expect("programs that load");
    for (name, packet) in corpus() {
        for length in (15..packet.len().min(140)).filter(|length| is_taken(&packet[..*length])) {
            check(&mut rig, &format!("{length} bytes of {name}"), &packet[..length], Direction::Sent);
        }
    }
}

#[test]
fn damaged_packets_are_counted_as_the_host_parses_them() {
    let mut rig = Rig::load(&small(), &[]).expect("programs that load");
    let corpus = corpus();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..4_000 {
        let (name, mut packet) = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            // Mostly among the headers, where it matters.
            let at = 12 + random.below((packet.len() - 12).min(80));
            packet[at] = u8::try_from(random.below(256)).expect("below 256");
        }
        if !is_taken(&packet) {
            continue;
        }
        let direction = if round % 2 == 0 { Direction::Sent } else { Direction::Received };
        check(&mut rig, &format!("round {round}, from {name}: {packet:02x?}"), &packet, direction);
    }
}

/// A generator that gives the same packets each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}
