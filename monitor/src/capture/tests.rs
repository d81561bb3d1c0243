//! Which packets are taken, when, and what is said of them.

use super::{Choice, Desk, Document, Section, Tally};
use crate::filter::Filter;
use crate::model::{
    CaptureCounts, CapturedPacket, Direction, FlowId, FlowKey, FlowPorts, InterfaceNumber, KernelTime,
    Protocol, SafeText, Sample, WallTime,
};
use crate::snapshot::{Expected, FlowRecord, Outcome, Rule, RuleName, Snapshot, Verdict};
use crate::wire::{Clock, fixtures};
use std::sync::Arc;
use std::time::Duration;

/// The interfaces of the two containers of [`snapshot`].
const NGINX: u32 = 5;
const FLASK: u32 = 6;
/// The flow of [`fixtures::flow`], from nginx to flask, port 5000.
const FLOW: FlowId = FlowId(0x0001_0000_0000_0007);
const NOW: KernelTime = KernelTime(100_000_000_000);

fn snapshot() -> Arc<Snapshot> {
    let mut snapshot = fixtures::snapshot();
    for (row, (ifindex, address)) in
        snapshot.containers.iter_mut().zip([(NGINX, "172.18.0.2"), (FLASK, "172.18.0.3")])
    {
        row.memberships.truncate(1);
        row.memberships[0].network = fixtures::network("shop_back");
        row.memberships[0].interface = Some((SafeText::new(&format!("veth{ifindex}")), ifindex));
        row.memberships[0].addresses = vec![address.parse().unwrap()];
    }
    Arc::new(snapshot)
}

fn desk(filter: &str) -> Desk {
    let mut desk = Desk::new(Filter::parse(filter).unwrap(), None, None);
    desk.learn(snapshot());
    desk
}

/// A packet of the flow as it crosses at nginx, or at flask.
fn packet(ifindex: u32, at: KernelTime) -> CapturedPacket {
    let [nginx, flask] = ["172.18.0.2", "172.18.0.3"].map(|address| address.parse().unwrap());
    let (direction, local, remote, ports) = if ifindex == FLASK {
        (Direction::Received, flask, nginx, FlowPorts::Ports { local: 5_000, remote: 40_112 })
    } else {
        (Direction::Sent, nginx, flask, FlowPorts::Ports { local: 40_112, remote: 5_000 })
    };
    let interface = InterfaceNumber(ifindex);
    let key = FlowKey { interface, local, remote, protocol: Protocol::TCP, ports, vlan: None };
    let packet = Sample { at, interface, direction, flow_id: Some(FLOW), length: 166, bytes: vec![7; 100] };
    CapturedPacket { packet, ifindex, key: Some(key) }
}

/// Where packets of the flow are taken when no record of it came.
fn check(filter: &str, expected: &[u32]) {
    let mut desk = desk(filter);
    desk.take_in(vec![packet(NGINX, NOW), packet(FLASK, NOW)]);
    let taken = std::iter::from_fn(|| desk.next(NOW, true)).map(|taken| taken.captured.ifindex);
    assert_eq!(taken.collect::<Vec<_>>(), expected, "{filter}");
}

#[test]
fn a_packet_is_taken_at_the_interface_of_whom_the_filter_names() {
    check("", &[NGINX, FLASK]);
    check("nginx", &[NGINX]);
    check("c:flask", &[FLASK]);
    check("svc:nginx", &[NGINX]);
    check("nginx flask", &[NGINX, FLASK]);
    check("nginx port:5000", &[NGINX]);
    check("nginx !port:5000", &[]);
    check("tcp", &[NGINX, FLASK]);
    check("port:40112", &[NGINX, FLASK]);
    check("addr:172.18.0.3", &[NGINX, FLASK]);
    check("net:shop_back", &[NGINX, FLASK]);
    check("net:shop_front", &[]);
    check("!nginx", &[]);
    check("nginx udp", &[]);
    check("somebody", &[]);
}

fn check_chosen(filter: &str, refused: &[u32]) {
    let mut desk = Desk::new(Filter::parse(filter).unwrap(), None, None);
    let mut choices: Vec<Choice> = desk.learn(snapshot());
    choices.sort_by_key(|choice| choice.ifindex);
    let expected: Vec<Choice> = refused.iter().map(|&ifindex| Choice { ifindex, on: false }).collect();
    assert_eq!(choices, expected, "{filter}");
    assert_eq!(desk.learn(snapshot()), [], "{filter}: told again");
}

#[test]
fn an_interface_is_not_captured_where_nothing_can_be_taken() {
    check_chosen("", &[]);
    check_chosen("nginx", &[FLASK]);
    check_chosen("nginx flask", &[]);
    check_chosen("nginx port:80", &[FLASK]);
    check_chosen("!nginx", &[NGINX]);
    check_chosen("tcp", &[]);
    check_chosen("state:blocked", &[]);
    check_chosen("c:nginx tcp", &[FLASK]);
    check_chosen("external", &[]);
    check_chosen("cafe", &[NGINX, FLASK]);
}

fn record(verdict: Option<Verdict>) -> Arc<FlowRecord> {
    Arc::new(FlowRecord { verdict, ..fixtures::flow() })
}

fn verdict(outcome: Outcome) -> Verdict {
    let rule = RuleName::Topology(Rule::SameNetwork);
    Verdict { rule, expected: Expected::Allow, outcome }
}

#[test]
fn a_packet_waits_for_its_flow_but_not_for_long_and_those_behind_it_wait_with_it() {
    let mut desk = desk("nginx");
    let alone = |at| {
        let mut packet = packet(NGINX, at);
        (packet.packet.flow_id, packet.key) = (None, None);
        packet
    };
    desk.take_in(vec![packet(NGINX, NOW), alone(NOW)]);
    assert_eq!(desk.next(NOW.plus(Duration::from_secs(1)), false), None);
    desk.learn_flow(record(Some(verdict(Outcome::Answered))));
    let comment = desk.next(NOW, false).unwrap().comment;
    let talk = "shop-nginx-1:40112 → shop-flask_app-1:5000 tcp; sent by shop-nginx-1";
    assert_eq!(comment, format!("{talk}; allow by same-network: answered"));
    assert_eq!(desk.next(NOW, false).unwrap().comment, "sent by shop-nginx-1");

    let mut other = self::desk("nginx");
    other.take_in(vec![packet(NGINX, NOW)]);
    let comment = other.next(NOW.plus(Duration::from_secs(60)), false).unwrap().comment;
    assert_eq!(comment, format!("{talk}; not judged yet"), "names are those of the addresses");
}

#[test]
fn what_is_asked_for_a_verdict_and_has_none_is_counted_apart() {
    let mut desk = desk("state:blocked");
    desk.take_in(vec![packet(NGINX, NOW)]);
    assert_eq!(desk.next(NOW, true), None);
    desk.learn_flow(record(Some(verdict(Outcome::Answered))));
    desk.take_in(vec![packet(NGINX, NOW)]);
    assert_eq!(desk.next(NOW, false), None);
    desk.learn_flow(record(Some(verdict(Outcome::Blocked))));
    desk.take_in(vec![packet(NGINX, NOW)]);
    assert!(desk.next(NOW, false).is_some());
    assert_eq!(desk.tally(InterfaceNumber(NGINX)), Tally { taken: 1, refused: 1, undecided: 1, after: 0 });
}

#[test]
fn what_waits_has_a_bound() {
    let mut desk = desk("");
    desk.take_in((0..40_000).map(|_| packet(NGINX, NOW)).collect());
    let taken = std::iter::from_fn(|| desk.next(NOW, false)).count();
    assert_eq!(taken, 40_000 - 16_384);
}

#[test]
fn as_many_are_taken_as_are_wanted_and_the_rest_is_counted() {
    let mut desk = Desk::new(Filter::default(), None, Some(2));
    desk.learn(snapshot());
    desk.take_in(vec![packet(NGINX, NOW); 5]);
    assert_eq!(std::iter::from_fn(|| desk.next(NOW, true)).count(), 2);
    assert!(desk.is_done());
    assert_eq!(desk.sum(), Tally { taken: 2, after: 3, ..Tally::default() });
}

#[test]
fn an_interface_is_described_once_and_a_loss_told_when_it_grows() {
    let section = Section {
        hardware: String::new(),
        system: String::new(),
        filter: String::new(),
        snap_length: 64,
        started: NOW,
    };
    let mut document = Document::new(section, Clock::new(KernelTime(0), WallTime(1_700_000_000_000_000_000)));
    let mut desk = desk("");
    let place = Arc::clone(desk.place(NGINX).unwrap());
    let number = InterfaceNumber(NGINX);
    document.take();
    let grows = |document: &mut Document| !document.take().is_empty();
    let count = |document: &mut Document, dropped, last| {
        let counts = CaptureCounts { number, ifindex: NGINX, seen: 9, dropped };
        document.count(counts, Tally::default(), NOW, last);
    };
    count(&mut document, 1, false);
    assert!(!grows(&mut document), "of an interface that is not in the file");
    document.describe(number, &place);
    assert!(grows(&mut document));
    document.describe(number, &place);
    assert!(!grows(&mut document), "described twice");
    for (dropped, last, told) in
        [(0, false, false), (1, false, true), (1, false, false), (2, false, true), (2, true, true)]
    {
        count(&mut document, dropped, last);
        assert_eq!(grows(&mut document), told, "{dropped} {last}");
    }
    desk.take_in(vec![packet(NGINX, NOW)]);
    document.packet(&desk.next(NOW, true).unwrap());
    let block = document.take();
    assert_eq!(block[20..28], [64, 0, 0, 0, 166, 0, 0, 0], "kept and original length");
}
