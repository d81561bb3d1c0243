//! Who claims which address, as the program for what containers send notes it.

use crate::features::{load, tcp};
use crate::packets::small;
use crate::rig::{LOOPBACK, NUMBER, Rig, SLOT, Skb};
use monitor_common::claims::{ClaimEntry, ClaimKey, claim_kind};
use monitor_common::counters::Direction::{Received, Sent};
use monitor_common::interface::InterfaceEntry;
use monitor_common::loss::Loss;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const TARGET: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const ROUTER: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype.to_be_bytes(), payload].concat()
}

/// An ARP packet of this sender, asking for nobody.
fn arp(sender: [u8; 4]) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 1][..], &MAC, &sender, &[0; 10]].concat()
}

/// An ICMPv6 packet from [`ROUTER`].
fn icmp6(message: &[u8]) -> Vec<u8> {
    let length = u8::try_from(message.len()).expect("a short message");
    let ip = [&[0x60, 0, 0, 0, 0, length, 58, 255][..], &ROUTER, &[0xff; 16]].concat();
    frame(0x86dd, &[&ip, message].concat())
}

fn neighbour(kind: u8, options: &[u8]) -> Vec<u8> {
    icmp6(&[&[kind, 0, 0, 0, 0x20, 0, 0, 0][..], &TARGET, options].concat())
}

fn router() -> Vec<u8> {
    icmp6(&[&[134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &MAC].concat())
}

fn only(rig: &Rig) -> (ClaimKey, ClaimEntry) {
    let claims = rig.claims().expect("a readable map");
    let [claim] = claims.as_slice() else { panic!("{claims:?}") };
    *claim
}

fn check(packet: &[u8], kind: u8, address: [u8; 16], mac: [u8; 6]) {
    let rig = load(&small());
    rig.pass(Sent, packet, &Skb::ordinary());
    rig.pass(Sent, packet, &Skb::ordinary());
    let (key, entry) = only(&rig);
    assert_eq!(key, ClaimKey { interface: NUMBER, address, mac, kind, generation: 0 });
    assert_eq!(entry.packets, 2);
    assert!(0 < entry.first_seen && entry.first_seen <= entry.last_seen, "{entry:?}");
}

#[test]
fn what_an_arp_packet_says_of_its_sender_is_noted() {
    let address = [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    check(&frame(0x0806, &arp([10, 0, 0, 1])), claim_kind::ARP, address, MAC);
    let tagged = [&[0, 5, 0x08, 0x06][..], &arp([10, 0, 0, 1])].concat();
    check(&frame(0x8100, &tagged), claim_kind::ARP, address, MAC);
}

#[test]
fn what_an_advertisement_says_is_noted() {
    let target = [&[2, 1][..], &MAC].concat();
    check(&neighbour(136, &target), claim_kind::NEIGHBOUR_ADVERTISEMENT, TARGET, MAC);
    check(&neighbour(136, &[]), claim_kind::NEIGHBOUR_ADVERTISEMENT, TARGET, [0; 6]);
    let behind = [&[14, 1, 0, 0, 0, 0, 0, 0][..], &target].concat();
    check(&neighbour(136, &behind), claim_kind::NEIGHBOUR_ADVERTISEMENT, TARGET, MAC);
    check(&router(), claim_kind::ROUTER_ADVERTISEMENT, ROUTER, MAC);
}

#[test]
fn packets_that_claim_nothing_are_not_noted() {
    let rig = load(&small());
    let packets = [
        frame(0x0806, &arp([0; 4])),
        frame(0x0806, &arp([10, 0, 0, 1])[..17]),
        frame(0x0806, &[1; 28]),
        neighbour(135, &[]),
        neighbour(128, &[]),
        icmp6(&[136, 0, 0, 0, 0, 0, 0, 0]),
        tcp(Sent, 1, 2),
    ];
    for packet in packets {
        rig.pass(Sent, &packet, &Skb::ordinary());
    }
    assert_eq!(rig.claims().expect("a readable map"), []);
}

#[test]
fn only_what_a_container_sends_claims() {
    let mut rig = load(&small());
    rig.pass(Received, &frame(0x0806, &arp([10, 0, 0, 1])), &Skb::ordinary());
    rig.pass(Received, &router(), &Skb::ordinary());
    // A bridge.
    rig.watch(InterfaceEntry { ifindex: LOOPBACK, number: NUMBER, slot: SLOT, flags: 0 })
        .expect("a writable map");
    rig.pass(Sent, &frame(0x0806, &arp([10, 0, 0, 1])), &Skb::ordinary());
    rig.pass(Sent, &router(), &Skb::ordinary());
    assert_eq!(rig.claims().expect("a readable map"), []);
}

#[test]
fn each_generation_has_its_own_claims() {
    let mut rig = load(&small());
    rig.pass(Sent, &router(), &Skb::ordinary());
    rig.flip().expect("a writable map");
    rig.pass(Sent, &router(), &Skb::ordinary());
    let mut generations: Vec<u8> =
        rig.claims().expect("a readable map").iter().map(|(key, _)| key.generation).collect();
    generations.sort_unstable();
    assert_eq!(generations, [0, 1]);
}

#[test]
fn claims_without_room_are_counted() {
    let rig = Rig::load(&small(), &[("CLAIMS", 4)]).expect("programs that load");
    for last in 1..=20 {
        rig.pass(Sent, &frame(0x0806, &arp([10, 0, 0, last])), &Skb::ordinary());
    }
    let noted = rig.claims().expect("a readable map").len() as u64;
    assert!(noted >= 4, "{noted}");
    assert_eq!(rig.lost(Loss::ClaimMapFull), 20 - noted);
}
