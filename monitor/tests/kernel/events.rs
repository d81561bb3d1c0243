//! Records of the ring: first packets, samples, the rate cap and a full ring.

use crate::features::{load, tcp, with};
use crate::packets::small;
use crate::rig::{NUMBER, Rig, Skb};
use monitor_common::counters::Direction::{Received, Sent};
use monitor_common::event::{FirstPacket, SampledPacket, event_kind};
use monitor_common::loss::Loss;
use monitor_common::settings::{Settings, feature};
use zerocopy::FromBytes;

impl Rig {
    fn first_packets(&mut self) -> Vec<FirstPacket> {
        let records = self.records().expect("a readable ring");
        records.iter().map(|record| FirstPacket::read_from_bytes(record).expect("a first packet")).collect()
    }

    fn samples(&mut self) -> Vec<SampledPacket> {
        let records = self.records().expect("a readable ring");
        records.iter().map(|record| SampledPacket::read_from_bytes(record).expect("a sample")).collect()
    }
}

#[test]
fn the_first_packet_of_a_flow_is_reported_once() {
    let mut rig = load(&Settings::default());
    for _ in 0..3 {
        rig.pass(Received, &tcp(Received, 1, 2), &Skb::ordinary());
        rig.pass(Sent, &tcp(Sent, 1, 0x12), &Skb::ordinary());
    }
    rig.flip().expect("a writable map");
    rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());

    let firsts = rig.first_packets();
    let [first] = firsts.as_slice() else { panic!("{} records", firsts.len()) };
    assert_eq!((first.header.kind, first.header.interface), (event_kind::FIRST_PACKET, NUMBER));
    assert_eq!((first.header.length, first.header.captured), (54, 0));
    assert_eq!((first.header.direction, first.header.family, first.tcp_flags), (1, 4, 2));
    assert_eq!(first.header.flow_id, rig.only_flow().flow_id);
    assert!(first.header.time >= rig.only_flow().first_seen);
    assert_eq!((first.key.interface, first.key.local_port, first.key.remote_port), (NUMBER, 1, 443));
    assert_eq!(first.key.local, [172, 18, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(first.key.remote, [172, 18, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn no_first_packet_is_reported_when_that_is_off() {
    let mut rig = load(&with(feature::DEFAULT & !feature::FIRST_PACKET));
    rig.pass(Sent, &tcp(Sent, 1, 2), &Skb::ordinary());
    assert!(rig.first_packets().is_empty());
    assert_eq!(rig.only_flow().sent.is_new, 1);
}

fn sampling(every: u32, snap_length: u32) -> Rig {
    let features = feature::DEFAULT & !feature::FIRST_PACKET;
    load(&Settings { features, sample_every: every, events_per_second: 1_000_000, snap_length, ..small() })
}

#[test]
fn a_sample_has_the_bytes_of_the_packet() {
    let mut rig = sampling(1, 128);
    let mut long = tcp(Sent, 1, 0x18);
    long.extend(0..200_u8);
    let arp = [&long[..12], &[8, 6], &[1; 28]].concat();
    rig.pass(Sent, &long, &Skb::ordinary());
    rig.pass(Sent, &arp, &Skb::ordinary());
    let samples = rig.samples();
    let [first, second] = samples.as_slice() else { panic!("{} records", samples.len()) };
    assert_eq!((first.header.length, first.header.captured, first.header.family), (254, 128, 4));
    assert_eq!(first.bytes[..], long[..128]);
    assert_eq!(first.header.flow_id, rig.only_flow().flow_id);
    assert_eq!((second.header.length, second.header.captured, second.header.family), (42, 42, 0));
    assert_eq!(second.bytes[..42], arp);
    assert_eq!(second.header.flow_id, 0);
}

#[test]
fn a_sample_is_cut_to_the_snap_length() {
    for (snap_length, captured) in [(0, 0), (1, 1), (54, 54), (60, 54), (1_000, 54)] {
        let mut rig = sampling(1, snap_length);
        rig.pass(Sent, &tcp(Sent, 1, 0x18), &Skb::ordinary());
        assert_eq!(rig.samples()[0].header.captured, captured, "snap length {snap_length}");
    }
}

#[test]
fn one_packet_in_n_is_sampled() {
    let mut rig = sampling(10, 64);
    let packet = tcp(Sent, 1, 0x10);
    let mut samples = 0;
    // In parts, which the ring has room for.
    for _ in 0..10 {
        let program = rig.program(Sent).expect("a loaded program");
        crate::rig::test_run(program, &packet, &Skb::ordinary(), 2_000).expect("runs");
        samples += rig.samples().len();
    }
    assert_eq!(rig.lost(Loss::RingFull), 0);
    // 2,000 on average. Gaps are even from 1 to 19, so their deviation is 0.55 of their mean and that of the number of
    // samples 0.55 √2,000 = 25; six of them are never seen.
    assert!((1_850..=2_150).contains(&samples), "{samples}");
}

#[test]
fn packets_that_take_turns_are_sampled_alike() {
    let mut rig = sampling(10, 64);
    for _ in 0..2_000 {
        rig.pass(Sent, &tcp(Sent, 1, 0x10), &Skb::ordinary());
        rig.pass(Received, &tcp(Received, 1, 0x10), &Skb::ordinary());
    }
    let samples = rig.samples();
    let sent = samples.iter().filter(|sample| sample.header.direction == Sent as u8).count();
    let received = samples.len() - sent;
    // 200 of each on average.
    assert!(sent > 120 && received > 120, "{sent} sent and {received} received");
}

#[test]
fn what_the_rate_cap_refuses_is_counted() {
    let settings = Settings { sample_every: 1, events_per_second: 50, ..Settings::default() };
    let mut rig = load(&settings);
    for port in 0..30 {
        rig.pass(Sent, &tcp(Sent, port, 2), &Skb::ordinary());
    }
    let packet = tcp(Sent, 1, 0x10);
    crate::rig::test_run(rig.program(Sent).expect("a loaded program"), &packet, &Skb::ordinary(), 5_000)
        .expect("runs");
    let records = rig.records().expect("a readable ring").len() as u64;
    let capped = rig.lost(Loss::RateCapped);
    assert_eq!(records + capped, 5_030 + 30);
    // At most two CPUs' shares of two seconds.
    assert!((50..=200).contains(&records), "{records}");
    assert_eq!(rig.lost(Loss::RingFull), 0);
}

#[test]
fn what_a_full_ring_refuses_is_counted() {
    let settings = Settings { sample_every: 1, events_per_second: u32::MAX, ..small() };
    let mut rig = Rig::load(&settings, &[("EVENTS", 4096)]).expect("programs that load");
    let packet = tcp(Sent, 1, 0x10);
    crate::rig::test_run(rig.program(Sent).expect("a loaded program"), &packet, &Skb::ordinary(), 1_000)
        .expect("runs");
    let records = rig.records().expect("a readable ring").len() as u64;
    assert!((10..40).contains(&records), "{records}");
    assert_eq!(records + rig.lost(Loss::RingFull), 1_000 + 1);
}
