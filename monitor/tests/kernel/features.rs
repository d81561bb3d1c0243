//! What the programs keep of a flow, and what they do when something is off, full or unknown.

use crate::packets::SMALL;
use crate::rig::{LOOPBACK, NUMBER, Rig, SLOT, Skb};
use monitor_common::counters::Direction;
use monitor_common::counters::Direction::{Received, Sent};
use monitor_common::flow::{FlowEntry, mark};
use monitor_common::front::{Words as _, index, state};
use monitor_common::interface::{INTERFACE_BUCKETS, InterfaceEntry};
use monitor_common::loss::Loss;
use monitor_common::settings::{Settings, feature};

/// A TCP packet over IPv4 from 172.18.0.2 at its container, or back to it.
pub(crate) fn tcp(direction: Direction, port: u16, flags: u8) -> Vec<u8> {
    let (from, to) = ([172, 18, 0, 2], [172, 18, 0, 3]);
    let mut packet =
        vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    match direction {
        Sent => [from, to].iter().for_each(|address| packet.extend(address)),
        Received => [to, from].iter().for_each(|address| packet.extend(address)),
    }
    let ports = match direction {
        Sent => [port, 443],
        Received => [443, port],
    };
    ports.iter().for_each(|port| packet.extend(port.to_be_bytes()));
    packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    packet
}

pub(crate) fn load(settings: &Settings) -> Rig {
    Rig::load(settings, &SMALL).expect("programs that load")
}

pub(crate) fn with(features: u32) -> Settings {
    Settings { features, ..Settings::default() }
}

impl Rig {
    /// Sends an ordinary packet that must be taken.
    pub(crate) fn pass(&self, direction: Direction, packet: &[u8], skb: &Skb) {
        assert_eq!(self.send(direction, packet, skb).expect("a packet the kernel takes"), -1);
    }

    /// The only IPv4 flow.
    pub(crate) fn only_flow(&self) -> FlowEntry {
        let flows = self.flows::<20>(0).expect("a readable map");
        let [(_, entry)] = flows.as_slice() else { panic!("{} flows", flows.len()) };
        *entry
    }

    pub(crate) fn lost(&self, loss: Loss) -> u64 {
        self.losses(loss).expect("a readable map")
    }
}

#[test]
fn gso_packets_are_counted_as_they_go_over_the_wire() {
    let rig = load(&Settings::default());
    let mut packet = tcp(Sent, 1000, 0x10);
    packet.resize(54 + 2500, 0);
    rig.pass(Sent, &packet, &Skb::ordinary());
    rig.pass(Sent, &packet, &Skb { gso_segs: 3, gso_size: 1000, ..Skb::ordinary() });
    rig.pass(Sent, &packet, &Skb { gso_segs: 0, gso_size: 1000, ..Skb::ordinary() });
    let sent = rig.only_flow().sent;
    assert_eq!((sent.skbs, sent.skb_bytes), (3, 3 * 2554));
    assert_eq!((sent.packets(), sent.bytes()), (7, 3 * 2554 + 4 * 54));
    assert_eq!(rig.totals(SLOT).expect("a readable map").sent.ipv4, sent);
}

#[test]
fn a_full_map_is_counted_and_forgets_nothing() {
    let sizes = [("FRONT4", 1), ("FLOWS4_A", 8), ("FLOWS4_B", 8), ("FLOWS6_A", 8), ("FLOWS6_B", 8)];
    let rig = Rig::load(&Settings::default(), &sizes).expect("programs that load");
    for port in 0..100 {
        rig.pass(Sent, &tcp(Sent, port, 0x10), &Skb::ordinary());
    }
    let recorded = rig.flows::<20>(0).expect("a readable map").len() as u64;
    let totals = rig.totals(SLOT).expect("a readable map").sent;
    assert!((1..100).contains(&recorded), "{recorded}");
    assert_eq!(totals.ipv4.skbs, 100);
    assert_eq!(totals.not_recorded.skbs, 100 - recorded);
    assert_eq!(totals.not_recorded.skb_bytes, (100 - recorded) * 54);
    assert_eq!(rig.lost(Loss::FlowMapFull), 100 - recorded);
}

#[test]
fn the_test_switch_leaves_out_one_add_in_a_thousand() {
    let rig = load(&with(feature::DEFAULT | feature::TEST_SKIP_ADD));
    let program = rig.program(Sent).expect("a loaded program");
    crate::rig::test_run(program, &tcp(Sent, 1, 0x10), &Skb::ordinary(), 100_000).expect("runs");
    let skipped = rig.only_flow().sent.skbs - rig.totals(SLOT).expect("a readable map").sent.ipv4.skbs;
    // A run may move to another CPU, which counts for itself.
    assert!((95..=100).contains(&skipped), "{skipped}");
}

#[test]
fn without_flows_only_totals_are_kept() {
    let rig = load(&with(feature::DEFAULT & !feature::FLOWS));
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert!(rig.flows::<20>(0).expect("a readable map").is_empty());
    let totals = rig.totals(SLOT).expect("a readable map");
    assert_eq!((totals.sent.ipv4.skbs, totals.sent.not_recorded.skbs), (1, 0));
}

#[test]
fn an_unknown_interface_is_counted_as_a_loss() {
    let mut rig = load(&Settings::default());
    rig.watch(InterfaceEntry { ifindex: LOOPBACK + INTERFACE_BUCKETS, number: 1, slot: 1, reserved: 0 })
        .expect("a writable map");
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert_eq!(rig.lost(Loss::UnknownInterface), 1);
    assert_eq!(rig.totals(1).expect("a readable map").sent.ipv4.skbs, 0, "not booked on its neighbour");
}

#[test]
fn an_interface_with_a_taken_bucket_is_found_in_the_overflow_map() {
    let mut rig = load(&Settings::default());
    let other = InterfaceEntry { ifindex: LOOPBACK + INTERFACE_BUCKETS, number: 1, slot: 1, reserved: 0 };
    rig.watch(other).expect("a writable map");
    rig.watch_in_overflow(InterfaceEntry { ifindex: LOOPBACK, number: NUMBER, slot: SLOT, reserved: 0 })
        .expect("a writable map");
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert_eq!(rig.totals(SLOT).expect("a readable map").sent.ipv4.skbs, 1);
    assert_eq!(rig.lost(Loss::UnknownInterface), 0);
}

#[test]
fn both_directions_meet_in_one_entry() {
    let rig = load(&Settings::default());
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    rig.pass(Received, &tcp(Received, 1, 0x12), &Skb::ordinary());
    let flow = rig.only_flow();
    assert_eq!((flow.sent.skbs, flow.received.skbs), (1, 1));
    assert_eq!((flow.sent_flags, flow.received_flags), (2, 0x12));
    assert_eq!((flow.first_direction, flow.is_new), (1, 1));
    assert!(0 < flow.syn_at && flow.syn_at < flow.syn_ack_at, "{flow:?}");
}

#[test]
fn the_first_syn_keeps_its_time() {
    let rig = load(&Settings::default());
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    let first = rig.only_flow().syn_at;
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert_eq!(rig.only_flow().syn_at, first);
}

#[test]
fn the_first_origin_stays_and_a_second_is_kept_beside_it() {
    let rig = load(&Settings::default());
    let from = |ingress_ifindex| Skb { ingress_ifindex, ..Skb::ordinary() };
    for origin in [7, 7, 9, 7, 11] {
        rig.pass(Received, &tcp(Received, 1, 0x10), &from(origin));
    }
    let flow = rig.only_flow();
    assert_eq!((flow.origin, flow.other_origin), (7, 9));
    assert_eq!(flow.marks & mark::ORIGIN_KNOWN, mark::ORIGIN_KNOWN);
    assert_eq!(flow.marks & mark::SEVERAL_ORIGINS, mark::SEVERAL_ORIGINS);
}

#[test]
fn the_host_is_an_origin_too() {
    let rig = load(&Settings::default());
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());
    assert_eq!((rig.only_flow().origin, rig.only_flow().marks), (0, mark::ORIGIN_KNOWN));
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb { ingress_ifindex: 5, ..Skb::ordinary() });
    assert_eq!((rig.only_flow().origin, rig.only_flow().other_origin), (0, 5));
}

#[test]
fn a_second_source_mac_is_marked_and_the_first_stays() {
    let rig = load(&Settings::default());
    let mut packet = tcp(Sent, 1, 0x10);
    rig.pass(Sent, &packet, &Skb::ordinary());
    rig.pass(Sent, &packet, &Skb::ordinary());
    assert_eq!(rig.only_flow().marks, mark::SOURCE_MAC_KNOWN | mark::CGROUP_ASKED);
    packet[11] = 0x66;
    rig.pass(Sent, &packet, &Skb::ordinary());
    let flow = rig.only_flow();
    assert_eq!(flow.source_mac, [2, 0, 0, 0, 0, 2]);
    assert_eq!(flow.marks & mark::SEVERAL_SOURCE_MACS, mark::SEVERAL_SOURCE_MACS);
    assert_eq!((flow.first_direction, flow.is_new), (1, 1), "the MAC's neighbours in its word");
}

#[test]
fn what_is_switched_off_is_not_kept() {
    let rig = load(&with(feature::FLOWS));
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    rig.pass(Received, &tcp(Received, 1, 0x12), &Skb { ingress_ifindex: 5, ..Skb::ordinary() });
    let flow = rig.only_flow();
    assert_eq!((flow.sent.skbs, flow.received.skbs), (1, 1));
    assert_eq!((flow.marks, flow.origin, flow.source_mac), (0, 0, [0; 6]));
    assert_eq!((flow.syn_at, flow.syn_ack_at, flow.sent_flags), (0, 0, 0));
}

#[test]
fn a_flow_keeps_its_id_over_the_generations() {
    let mut rig = load(&Settings::default());
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());
    rig.activate(1).expect("a writable map");
    rig.pass(Sent, &tcp(Sent, 1, 0x10), &Skb::ordinary());
    let first = rig.only_flow();
    let flows = rig.flows::<20>(1).expect("a readable map");
    let [(_, second)] = flows.as_slice() else { panic!("{} flows", flows.len()) };
    assert_ne!(first.flow_id, 0);
    assert_eq!(second.flow_id, first.flow_id);
    assert_eq!((first.is_new, second.is_new, first.first_direction), (1, 0, 0));
    assert_eq!((first.received.skbs, first.sent.skbs, second.sent.skbs), (1, 0, 1));
}

#[test]
fn a_flow_whose_slot_is_taken_is_in_the_hash_map() {
    let rig = load(&Settings::default());
    let slot = |port: u16| index(&words_of(&tcp(Sent, port, 0x10)));
    let first = slot(0);
    let second = (1..u16::MAX).find(|port| slot(*port) == first).expect("4,096 slots for 65,535 ports");
    for port in [0, second, 0, second, second] {
        rig.pass(Sent, &tcp(Sent, port, 0x10), &Skb::ordinary());
    }
    let mut skbs: Vec<u64> =
        rig.flows::<20>(0).expect("a readable map").iter().map(|(_, entry)| entry.sent.skbs).collect();
    assert_eq!(rig.in_hash::<20>(0).expect("a readable map").len(), 1);
    skbs.sort_unstable();
    assert_eq!(skbs, [2, 3]);
}

#[test]
fn a_slot_that_is_not_ready_is_left_alone() {
    let mut rig = load(&Settings::default());
    let slot = index(&words_of(&tcp(Sent, 7, 0x10)));
    rig.front_mut(20).set_state(slot, state::CLAIMED);
    rig.pass(Sent, &tcp(Sent, 7, 0x10), &Skb::ordinary());
    assert_eq!(rig.in_hash::<20>(0).expect("a readable map").len(), 1);
    assert_eq!(rig.only_flow().sent.skbs, 1);
}

/// The key's words of a packet that is sent at the watched interface.
fn words_of(packet: &[u8]) -> [u64; 3] {
    let frame = monitor_common::packet::parse(packet, None);
    let monitor_common::packet::Network::Ipv4(ip) = frame.network else { panic!("an IPv4 packet") };
    ip.key(NUMBER, Sent, frame.link.vlan).words()
}
