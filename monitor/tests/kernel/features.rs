//! What the programs keep of a flow, and what they do when something is off, full or unknown.

use crate::packets::small;
use crate::rig::{LOOPBACK, NUMBER, Rig, SLOT, Skb};
use monitor_common::counters::Direction;
use monitor_common::counters::Direction::{Received, Sent};
use monitor_common::flow::{FlowEntry, mark};
use monitor_common::flow_table::{BUCKET, PROBES, Place, Words as _, epoch, hash};
use monitor_common::interface::{INTERFACE_BUCKETS, InterfaceEntry};
use monitor_common::loss::Loss;
use monitor_common::settings::{Settings, feature};
use std::collections::HashSet;

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
    Rig::load(settings, &[]).expect("programs that load")
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
    let sent = rig.only_flow().sent.counters;
    assert_eq!((sent.skbs, sent.skb_bytes), (3, 3 * 2554));
    assert_eq!((sent.packets(), sent.bytes()), (7, 3 * 2554 + 4 * 54));
    assert_eq!(rig.totals(SLOT).expect("a readable map").sent.ipv4, sent);
}

#[test]
fn a_full_map_is_counted_and_forgets_nothing() {
    let rig = load(&Settings::default().with_max_flows(8));
    for port in 0..100 {
        rig.pass(Sent, &tcp(Sent, port, 0x10), &Skb::ordinary());
    }
    let recorded = rig.flows::<20>(0).expect("a readable map").len() as u64;
    let totals = rig.totals(SLOT).expect("a readable map").sent;
    assert_eq!(recorded, 8);
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
    let skipped =
        rig.only_flow().sent.counters.skbs - rig.totals(SLOT).expect("a readable map").sent.ipv4.skbs;
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
    rig.watch(InterfaceEntry { ifindex: LOOPBACK + INTERFACE_BUCKETS, number: 1, slot: 1, flags: 0 })
        .expect("a writable map");
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert_eq!(rig.lost(Loss::UnknownInterface), 1);
    assert_eq!(rig.totals(1).expect("a readable map").sent.ipv4.skbs, 0, "not booked on its neighbour");
}

#[test]
fn an_interface_with_a_taken_bucket_is_found_in_the_overflow_map() {
    let mut rig = load(&Settings::default());
    let other = InterfaceEntry { ifindex: LOOPBACK + INTERFACE_BUCKETS, number: 1, slot: 1, flags: 0 };
    rig.watch(other).expect("a writable map");
    rig.watch_in_overflow(InterfaceEntry { ifindex: LOOPBACK, number: NUMBER, slot: SLOT, flags: 0 })
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
    assert_eq!((flow.sent.counters.skbs, flow.received.counters.skbs), (1, 1));
    let flags = [flow.sent.marks, flow.received.marks].map(|marks| marks & mark::TCP_FLAGS);
    assert_eq!(flags, [2, 0x12]);
    assert_eq!((flow.sent.first_direction, flow.sent.is_new), (1, 1));
    assert!(0 < flow.received.syn_at && flow.received.syn_at < flow.received.syn_ack_at, "{flow:?}");
}

#[test]
fn the_first_syn_keeps_its_time() {
    let rig = load(&Settings::default());
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    let first = rig.only_flow().received.syn_at;
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert_eq!(rig.only_flow().received.syn_at, first);
}

#[test]
fn the_first_origin_stays_and_a_second_is_kept_beside_it() {
    let rig = load(&Settings::default());
    let from = |ingress_ifindex| Skb { ingress_ifindex, ..Skb::ordinary() };
    for origin in [7, 7, 9, 7, 11] {
        rig.pass(Received, &tcp(Received, 1, 0x10), &from(origin));
    }
    let flow = rig.only_flow();
    assert_eq!((flow.received.origin, flow.sent.other_origin), (7, 9));
    assert_eq!(flow.received.marks & mark::ORIGIN_KNOWN, mark::ORIGIN_KNOWN);
    assert_eq!(flow.received.marks & mark::SEVERAL_ORIGINS, mark::SEVERAL_ORIGINS);
}

#[test]
fn the_host_is_an_origin_too() {
    let rig = load(&Settings::default());
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());
    assert_eq!(
        (rig.only_flow().received.origin, rig.only_flow().received.marks),
        (0, mark::ORIGIN_KNOWN | 0x10)
    );
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb { ingress_ifindex: 5, ..Skb::ordinary() });
    assert_eq!((rig.only_flow().received.origin, rig.only_flow().sent.other_origin), (0, 5));
}

#[test]
fn a_second_source_mac_is_marked_and_the_first_stays() {
    let rig = load(&Settings::default());
    let mut packet = tcp(Sent, 1, 0x10);
    rig.pass(Sent, &packet, &Skb::ordinary());
    rig.pass(Sent, &packet, &Skb::ordinary());
    assert_eq!(rig.only_flow().sent.marks, mark::SOURCE_MAC_KNOWN | mark::CGROUP_ASKED | 0x10);
    assert_ne!(rig.only_flow().sent.cgroup, 0, "a test run's packet has a socket, and that a cgroup");
    packet[11] = 0x66;
    rig.pass(Sent, &packet, &Skb::ordinary());
    let flow = rig.only_flow();
    assert_eq!(flow.sent.source_mac, [2, 0, 0, 0, 0, 2]);
    assert_eq!(flow.sent.marks & mark::SEVERAL_SOURCE_MACS, mark::SEVERAL_SOURCE_MACS);
    assert_eq!((flow.sent.first_direction, flow.sent.is_new), (1, 1), "the MAC's neighbours in its word");
}

#[test]
fn what_is_switched_off_is_not_kept() {
    let rig = load(&with(feature::FLOWS));
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    rig.pass(Received, &tcp(Received, 1, 0x12), &Skb { ingress_ifindex: 5, ..Skb::ordinary() });
    let flow = rig.only_flow();
    assert_eq!((flow.sent.counters.skbs, flow.received.counters.skbs), (1, 1));
    assert_eq!((flow.sent.marks, flow.received.marks), (0, 0));
    assert_eq!((flow.received.origin, flow.sent.source_mac), (0, [0; 6]));
    assert_eq!((flow.received.syn_at, flow.received.syn_ack_at), (0, 0));
}

#[test]
fn a_flow_keeps_its_id_over_the_generations() {
    let mut rig = load(&Settings::default());
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());
    rig.flip().expect("a writable map");
    rig.pass(Sent, &tcp(Sent, 1, 0x10), &Skb::ordinary());
    let first = rig.only_flow();
    let flows = rig.flows::<20>(1).expect("a readable map");
    let [(_, second)] = flows.as_slice() else { panic!("{} flows", flows.len()) };
    assert_ne!(first.flow_id, 0);
    assert_eq!(second.flow_id, first.flow_id);
    assert_eq!((first.sent.is_new, second.sent.is_new, first.sent.first_direction), (1, 0, 0));
    assert_eq!(
        [&first.received.counters, &first.sent.counters, &second.sent.counters].map(|it| it.skbs),
        [1, 0, 1]
    );
}

#[test]
fn nothing_of_an_earlier_epoch_is_found_again() {
    let mut rig = load(&small());
    for epoch in 1..=6 {
        for port in 0..10 {
            rig.pass(Sent, &tcp(Sent, port + epoch, 0x10), &Skb::ordinary());
        }
        let generation = rig.active().expect("a readable map") & 1;
        let flows = rig.flows::<20>(generation).expect("a readable map");
        assert_eq!(flows.len(), 10);
        assert!(flows.iter().all(|(_, entry)| entry.sent.counters.skbs == 1), "{flows:?}");
        rig.flip().expect("a writable map");
    }
}

/// More flows than their buckets hold, none of them in one of the others: what has room is counted, in one entry
/// each, and the rest is said to be in none.
#[test]
fn flows_fill_their_buckets_one_after_the_other() {
    let settings = Settings::default().with_max_flows(128);
    let rig = load(&settings);
    let buckets_of = |port: u16| {
        let place = Place::new(hash(&words_of(&tcp(Sent, port, 0x10)), |at| settings.factors[at]), epoch(0));
        let mut buckets: [u32; PROBES as usize] =
            std::array::from_fn(|at| place.bucket(u32::try_from(at).expect("small"), settings.buckets));
        buckets.sort_unstable();
        buckets
    };
    let wanted = buckets_of(0);
    let ports: Vec<u16> = (0..u16::MAX).filter(|port| buckets_of(*port) == wanted).take(40).collect();
    assert_eq!(ports.len(), 40);
    for _ in 0..2 {
        for port in &ports {
            rig.pass(Sent, &tcp(Sent, *port, 0x10), &Skb::ordinary());
        }
    }
    let room = BUCKET as u64 * u64::from(PROBES);
    let flows = rig.flows::<20>(0).expect("a readable map");
    assert_eq!(flows.len() as u64, room);
    assert!(flows.iter().all(|(_, entry)| entry.sent.counters.skbs == 2), "{flows:?}");
    let without = 2 * (ports.len() as u64 - room);
    assert_eq!(rig.totals(SLOT).expect("a readable map").sent.not_recorded.skbs, without);
    assert_eq!(rig.lost(Loss::FlowMapFull), without);
    assert_eq!(rig.given_out(4, 0).expect("a readable map"), room, "no slot was taken for nothing");
}

/// Two CPUs see the first packets of the same flows at once: each flow has one entry, with the packets of both, and
/// is new once.
#[test]
fn two_cpus_agree_on_one_entry() {
    const PORTS: u16 = 60;
    const ROUNDS: u64 = 200;
    let mut rig = load(&Settings { events_per_second: 0, ..Settings::default().with_max_flows(128) });
    let packets: Vec<Vec<u8>> = (0..PORTS).map(|port| tcp(Sent, port, 0x10)).collect();
    let mut given_up = 0;
    for round in 0..ROUNDS {
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for cpu in 0..2 {
                let (rig, start, packets) = (&rig, &start, &packets);
                scope.spawn(move || {
                    let mut cpus = rustix::thread::CpuSet::new();
                    cpus.set(cpu);
                    rustix::thread::sched_setaffinity(None, &cpus).expect("a machine of two CPUs");
                    start.wait();
                    for packet in packets {
                        rig.pass(Sent, packet, &Skb::ordinary());
                    }
                });
            }
        });
        let generation = rig.active().expect("a readable map") & 1;
        let flows = rig.flows::<20>(generation).expect("a readable map");
        let keys: HashSet<_> = flows.iter().map(|(key, _)| *key).collect();
        assert_eq!((flows.len(), keys.len()), (PORTS.into(), PORTS.into()), "round {round}");
        assert!(flows.iter().all(|(_, entry)| entry.sent.counters.skbs == 2), "round {round}: {flows:?}");
        let is_new = u8::from(round == 0);
        assert!(flows.iter().all(|(_, entry)| entry.sent.is_new == is_new), "round {round}: {flows:?}");
        given_up += rig.given_out(4, generation).expect("a readable map") - u64::from(PORTS);
        rig.flip().expect("a writable map");
    }
    println!("{given_up} slots were given up to another CPU's");
    assert!(given_up > 0, "the CPUs never met at one flow, so nothing was tested");
}

/// The key's words of a packet that is sent at the watched interface.
fn words_of(packet: &[u8]) -> [u64; 3] {
    let frame = monitor_common::packet::parse(packet, None);
    let monitor_common::packet::Network::Ipv4(ip) = frame.network else { panic!("an IPv4 packet") };
    ip.key(NUMBER, Sent, frame.link.vlan).words()
}

/// The kernel refuses a program when its verifier has looked at a million instructions on all ways through it; older
/// ones prune less than the one this runs on.
#[test]
fn the_verifier_has_room_left() {
    for features in [feature::DEFAULT, feature::DEFAULT | feature::DIAGNOSTICS] {
        let rig = load(&Settings { features, sample_every: 1, ..small() });
        for direction in [Sent, Received] {
            let verified = rig.verified_instructions(direction).expect("a kernel that tells");
            println!("{direction:?}: {verified} instructions looked at");
            assert!(verified < 300_000, "{direction:?}: {verified}");
        }
    }
}
