//! Connections of which one end does not go on: half-open ones, and ends that went silent.

use super::{CLIENT, OUTSIDE, SERVER, connection, lost, scene};
use crate::world::{World, container, flow, id, name};
use monitor::model::{Container, InterfaceNumber, NetworkMode, Observation, Resources};
use monitor::snapshot::Answers;
use std::collections::BTreeMap;

fn answers(world: &mut World) -> Answers {
    world.snapshot().pairs[0].answers
}

#[test]
fn an_answer_that_nobody_acknowledges_is_half_open_once() {
    let mut world = scene();
    world.at(6_000);
    world.flows(vec![connection((1, "S"), (1, "SA"), [Some(5_900), Some(5_901)])]);
    for (millis, half_open) in [(7_000, 0), (9_000, 1), (13_000, 1)] {
        world.at(millis);
        world.flows(vec![connection((0, ""), (1, "SA"), [None, Some(millis)]).not_new()]);
        assert_eq!((answers(&mut world).half_open, answers(&mut world).answered), (half_open, 1), "{millis}");
    }
    world.pass_until(90_000);
    assert_eq!(answers(&mut world).half_open, 1);
}

#[test]
fn an_answer_that_is_not_even_repeated_is_half_open_when_it_is_over() {
    let mut world = scene();
    world.at(6_000);
    world.flows(vec![connection((1, "S"), (1, "SA"), [Some(5_900), Some(5_901)])]);
    world.at(7_000);
    world.flows(vec![]);
    world.pass_until(60_000);
    assert_eq!(answers(&mut world).half_open, 0);
    world.pass_until(70_000);
    world.flows(vec![]);
    assert_eq!(answers(&mut world).half_open, 1);
}

/// What the histories of the client and of the server have: half-open ones that were opened, and that were accepted.
fn histories(world: &mut World) -> Vec<(String, u64, u64)> {
    // The end of a tick makes history of it.
    for millis in [1_000, 2_000] {
        world.at(world.now.0 / 1_000_000 + millis);
        world.flows(vec![]);
        world.observe(Observation::Resources(Resources::default()));
    }
    let mut sums = BTreeMap::new();
    for span in world.state.history().iter().flat_map(|interval| &interval.containers) {
        let (asked, served) = sums.entry(span.container.name.to_string()).or_insert((0, 0));
        *asked += span.asked.answers.half_open;
        *served += span.served.answers.half_open;
    }
    sums.into_iter().map(|(name, (asked, served))| (name, asked, served)).collect()
}

#[test]
fn a_half_open_connection_is_in_the_history_of_both_its_ends() {
    let mut world = scene();
    world.at(6_000);
    let at_server = flow(2, SERVER, CLIENT).received(101).tcp("SA", "S", Some(5_900_000), Some(5_900_500));
    world.flows(vec![connection((1, "S"), (1, "SA"), [Some(5_900), Some(5_901)]), at_server]);
    world.pass_until(70_000);
    world.flows(vec![]);
    assert_eq!(answers(&mut world).half_open, 1);
    assert_eq!(histories(&mut world), [("client".to_owned(), 1, 0), ("server".to_owned(), 0, 1)]);
}

/// Half-open connections of the client to a server on the host's network, by the server that they are told of. Two flows are kept, one
/// of each end; which is told of first is given, and whether they end by themselves or make room.
fn half_open_to_host_mode(client_first: bool, make_room: bool) -> Vec<(String, u64)> {
    let mut world = World::without_docker(|settings| settings.max_flows_kept = 2);
    world.docker_up();
    world.two_networks();
    world.running("client", 1, "a", "172.18.0.2");
    world.container(Container { network_mode: NetworkMode::Host, ..container("hosted", &[]) });
    let (number, at) = (InterfaceNumber(7), world.now);
    world.observe(Observation::GroupAttached { number, container: id("hosted"), at });
    world.at(6_000);
    let gateway = "172.18.0.1:80";
    let at_client = flow(1, CLIENT, gateway).and_received(0).tcp("S", "SA", Some(5_900_000), Some(5_901_000));
    let at_group = flow(7, gateway, CLIENT).received(0).tcp("SA", "S", Some(5_900_000), Some(5_900_500));
    world.flows(if client_first { vec![at_client, at_group] } else { vec![at_group, at_client] });
    if make_room {
        world.at(10_000);
        world.flows(vec![flow(1, CLIENT, OUTSIDE), flow(1, CLIENT, SERVER)]);
    }
    world.pass_until(75_000);
    world.flows(vec![]);
    let pairs = world.snapshot().pairs;
    let told = pairs.iter().filter(|pair| pair.answers.half_open > 0);
    told.map(|pair| (name(&pair.server), pair.answers.half_open)).collect()
}

#[test]
fn a_half_open_connection_is_told_of_the_server_on_the_hosts_network_whichever_end_is_over_first() {
    for (client_first, make_room) in [(true, false), (false, false), (true, true), (false, true)] {
        let told = half_open_to_host_mode(client_first, make_room);
        assert_eq!(told, [("hosted:80".to_owned(), 1)], "{client_first} {make_room}");
    }
}

#[test]
fn a_half_open_connection_that_makes_room_is_told_or_counted() {
    let mut world = World::without_docker(|settings| settings.max_flows_kept = 2);
    world.docker_up();
    world.two_networks();
    world.running("client", 1, "a", "172.18.0.2");
    world.running("server", 2, "a", "172.18.0.3");
    let answered = |millis: u64, port: u16| {
        flow(1, &format!("172.18.0.2:{port}"), SERVER).and_received(102).tcp(
            "S",
            "SA",
            Some(millis * 1_000 - 100),
            Some(millis * 1_000),
        )
    };
    for (millis, port) in [(6_000, 4_000), (6_500, 4_001), (10_000, 4_002), (10_500, 4_003), (11_000, 4_004)]
    {
        world.at(millis);
        world.flows(vec![answered(millis, port)]);
    }
    // Two waited for longer than three seconds; the third made room a second after it was answered.
    assert_eq!((answers(&mut world).half_open, lost(&mut world, "half_open_undecided")), (2, 1));
    assert_eq!(lost(&mut world, "flows_forgotten"), 3);
}

/// An open connection, and after it ticks of so many packets each way.
fn opened_and(ticks: &[(u64, u64, u64)]) -> Answers {
    let mut world = scene();
    world.at(6_000);
    world.flows(vec![connection((3, "SAP"), (3, "SAP"), [Some(5_900), Some(5_901)])]);
    for (millis, sent, received) in ticks {
        world.at(*millis);
        let none = [None, None];
        let flags = |packets: u64| if packets > 0 { "AP" } else { "" };
        let tick = connection((*sent, flags(*sent)), (*received, flags(*received)), none);
        world.flows(vec![tick.not_new().seen(*millis, *millis)]);
    }
    answers(&mut world)
}

#[test]
fn an_end_is_silent_if_nothing_comes_while_the_other_sends_for_five_seconds() {
    let silent = |ticks| (opened_and(ticks).silent_client, opened_and(ticks).silent_server);
    let gone: &[_] = &[(7_000, 3, 0), (8_400, 1, 0), (10_000, 1, 0), (13_200, 1, 0), (19_000, 1, 0)];
    assert_eq!(silent(gone), (0, 1));
    let turned: Vec<_> = gone.iter().map(|(millis, sent, received)| (*millis, *received, *sent)).collect();
    assert_eq!(silent(&turned), (1, 0));
    assert_eq!(silent(&[(7_000, 3, 0), (11_000, 1, 0)]), (0, 0), "not long enough");
    assert_eq!(silent(&[(7_000, 1, 0), (10_000, 1, 1), (13_000, 1, 0)]), (0, 0), "it answered");
    // An acknowledgement alone in its tick, a pause, and a request at the end of a tick whose answer comes in the next.
    assert_eq!(silent(&[(7_010, 1, 0), (17_995, 1, 0), (18_010, 1, 1)]), (0, 0), "nobody sent all that time");
    assert_eq!(silent(&[(7_000, 9, 0), (17_995, 1, 0), (28_000, 1, 0)]), (0, 0), "neither here");
    assert_eq!(silent(&[(7_000, 1, 0), (8_000, 1, 0), (10_000, 1, 0), (14_000, 1, 0)]), (0, 1), "a slow way");
    assert_eq!(
        silent(&[(7_000, 1, 0), (10_000, 0, 1), (13_000, 1, 0), (15_000, 1, 0)]),
        (0, 0),
        "they take turns"
    );
}
