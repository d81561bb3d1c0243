//! What tells of a failure: whose row it is in, how often, and what is done with what nobody can place.

mod half_open;
mod wrong_mtu;

use crate::world::{Told as Tick, World, counts, flow};
use monitor::model::{
    Counts, Direction, FailureSign, FlowKey, IcmpError, IcmpKind, Observation, Origin, Resources, Told,
};
use monitor::policy::file::Policy;
use monitor::snapshot::{FailureRow, IcmpRow, Meant, failures};
use std::sync::Arc;

const CLIENT: &str = "172.18.0.2:4000";
const SERVER: &str = "172.18.0.3:80";
const OUTSIDE: &str = "192.0.2.7:80";
const TOO_BIG: IcmpKind = IcmpKind { v6: false, kind: 3, code: 4 };

/// Two containers on a network: `client` at interface 1, `server` at 2.
fn scene() -> World {
    scene_with("")
}

/// The same, judged by a policy file.
fn scene_with(policy: &str) -> World {
    let policy = Arc::new(Policy::read(policy.as_bytes()).unwrap());
    let mut world = World::without_docker(|settings| settings.policy = policy);
    world.docker_up();
    world.two_networks();
    world.running("client", 1, "a", "172.18.0.2");
    world.running("server", 2, "a", "172.18.0.3");
    world.at(5_000);
    world
}

/// Something that is told of a flow of an interface, now.
fn sign(world: &World, key: FlowKey, direction: Direction, told: Told) -> FailureSign {
    let origin = (direction == Direction::Received).then_some(Origin { ifindex: 0, other: None });
    FailureSign { key, direction, origin, at: world.now, told }
}

/// A packet of so many bytes is too big for `mtu`, says an address outside.
fn too_big(mtu: u32, length: u32) -> Told {
    let sender = "192.0.2.1".parse().unwrap();
    Told::Icmp(IcmpError { sender, kind: TOO_BIG, mtu: Some(mtu), length })
}

fn rows(world: &mut World) -> Vec<FailureRow> {
    failures(&world.snapshot().pairs, &[], true, &Meant::by(None, []))
}

fn errors(world: &mut World) -> Vec<IcmpRow> {
    rows(world).into_iter().flat_map(|row| row.icmp).collect()
}

fn lost(world: &mut World, name: &str) -> u64 {
    world.snapshot().losses.get(name)
}

/// A datagram that leaves the client for outside, and what is told of it in the same tick.
fn tick(world: &mut World, millis: u64, told: &[Told]) {
    world.at(millis);
    let datagram = || flow(1, CLIENT, OUTSIDE).counted(counts(1, 1_500), Counts::default());
    let key = datagram().delta.key;
    let signs = told.iter().map(|told| sign(world, key, Direction::Received, *told)).collect();
    world.observe(Observation::Failures(signs));
    world.flows(vec![datagram()]);
    world.observe(Observation::Resources(Resources::default()));
}

#[test]
fn an_mtu_is_wrong_if_packets_are_as_big_a_second_after_it_was_told() {
    let mut world = scene();
    // What was under way already, or fits, or comes when the kernel has forgotten it, is no disobedience.
    for (millis, length) in
        [(6_000, 1_500), (6_900, 1_500), (8_000, 1_300), (608_000, 1_500), (608_500, 1_500)]
    {
        tick(&mut world, millis, &[too_big(1_300, length)]);
    }
    let [row] = &*errors(&mut world) else { panic!("one row") };
    assert_eq!((row.packets, row.largest, row.again, row.mtu), (5, 1_500, 0, Some(1_300)));
    tick(&mut world, 610_000, &[too_big(1_300, 1_400), too_big(1_300, 1_400)]);
    let [row] = &*rows(&mut world) else { panic!("one row") };
    // What was sent in the tick may be one packet.
    assert_eq!((row.icmp[0].packets, row.icmp[0].again), (7, 1));
    assert!(row.is_wrong_mtu() && !row.is_not_served());
}

#[test]
fn an_error_about_no_flow_is_counted_and_in_no_row() {
    let mut world = scene();
    tick(&mut world, 6_000, &[]);
    let forged = flow(1, "172.18.0.2:4001", OUTSIDE).delta.key;
    let signs = vec![sign(&world, forged, Direction::Received, too_big(1_300, 1_500)); 10_000];
    world.observe(Observation::Failures(signs));
    tick(&mut world, 7_000, &[]);
    tick(&mut world, 12_000, &[]);
    assert_eq!((errors(&mut world), lost(&mut world, "failures_not_booked")), (vec![], 10_000));
}

#[test]
fn an_error_waits_for_the_flow_that_it_is_about() {
    let mut world = scene();
    world.at(6_000);
    let key = flow(1, CLIENT, OUTSIDE).delta.key;
    let early = vec![sign(&world, key, Direction::Received, too_big(1_300, 1_500))];
    world.observe(Observation::Failures(early));
    world.flows(vec![]);
    assert_eq!(errors(&mut world), []);
    tick(&mut world, 7_000, &[]);
    assert_eq!((errors(&mut world).len(), lost(&mut world, "failures_not_booked")), (1, 0));
}

#[test]
fn whoever_invents_errors_fills_eight_rows_of_the_pair_and_no_more() {
    let mut world = scene();
    let told: Vec<Told> = (0..100).map(|mtu| too_big(1_000 + mtu, 1_500)).collect();
    tick(&mut world, 6_000, &told);
    tick(&mut world, 7_000, &told);
    assert_eq!((errors(&mut world).len(), lost(&mut world, "icmp_errors_not_kept")), (8, 184));
}

#[test]
fn what_two_interfaces_see_is_told_once() {
    let mut world = scene();
    world.at(6_000);
    let [at_client, at_server] = [flow(1, CLIENT, SERVER), flow(2, SERVER, CLIENT).received(101)];
    let [client, server] = [at_client.delta.key, at_server.delta.key];
    let closed = Told::Icmp(IcmpError {
        sender: "172.18.0.3".parse().unwrap(),
        kind: IcmpKind { v6: false, kind: 3, code: 3 },
        mtu: None,
        length: 128,
    });
    let signs = vec![
        sign(&world, server, Direction::Sent, closed),
        sign(&world, client, Direction::Received, closed),
    ];
    world.observe(Observation::Failures(signs));
    world.flows(vec![at_client, at_server]);
    let [row] = &*errors(&mut world) else { panic!("one row") };
    assert_eq!((row.packets, row.of_client, row.kind.reason()), (1, true, "port-unreachable"));
}

/// A tick of a connection from the client to the server at the client's interface.
fn connection(sent: (u64, &str), received: (u64, &str), [syn, syn_ack]: [Option<u64>; 2]) -> Tick {
    let counted =
        |packets: u64| if packets == 0 { Counts::default() } else { counts(packets, packets * 100) };
    let micros = |millis: Option<u64>| millis.map(|millis| millis * 1_000);
    let (sent, sent_flags) = (counted(sent.0), sent.1);
    let (received, received_flags) = (counted(received.0), received.1);
    flow(1, CLIENT, SERVER).and_received(102).counted(sent, received).tcp(
        sent_flags,
        received_flags,
        micros(syn),
        micros(syn_ack),
    )
}

#[test]
fn windows_of_0_are_those_of_who_sends_them() {
    let mut world = scene();
    world.at(6_000);
    let at_client = connection((3, "SA"), (3, "SA"), [Some(5_900), Some(5_901)]);
    let at_server = flow(2, SERVER, CLIENT).received(101).tcp("SA", "SA", Some(5_900_000), Some(5_900_500));
    let [client, server] = [at_client.delta.key, at_server.delta.key];
    let by_server = [(server, Direction::Sent), (client, Direction::Received)];
    let signs = by_server.map(|(key, direction)| sign(&world, key, direction, Told::ZeroWindow));
    world.observe(Observation::Failures(signs.to_vec()));
    world.flows(vec![at_client, at_server]);
    let windows = world.snapshot().pairs[0].zero_windows;
    assert_eq!((windows.by_client, windows.by_server), (0, 1));
    let [row] = &*rows(&mut world) else { panic!("one row") };
    assert_eq!((row.zero_windows, row.answers.answered), (windows, 1));
}
