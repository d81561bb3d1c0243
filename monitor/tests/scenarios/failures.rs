//! What tells of a failure: whose row it is in, how often, and what is done with what nobody can place.

use crate::world::{Told as Tick, World, container, counts, flow, id, name};
use monitor::model::{
    Container, Counts, Direction, FailureSign, FlowKey, IcmpError, IcmpKind, InterfaceNumber, NetworkMode,
    Observation, Origin, Resources, Told,
};
use monitor::policy::file::Policy;
use monitor::snapshot::{Answers, FailureRow, Finding, IcmpRow, Meant, failures};
use std::collections::BTreeMap;
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

fn findings(world: &mut World) -> Vec<Finding> {
    let findings = world.snapshot().findings;
    findings.into_iter().filter(|finding| finding.rule.as_str() == "wrong-mtu").collect()
}

/// Connections that the client opens from these ports, to ends outside.
fn opened(world: &mut World, ports: &[(u16, &str)]) {
    world.at(5_500);
    let open = |(port, to): &(u16, &str)| {
        let tick = flow(1, &format!("172.18.0.2:{port}"), to).and_received(9);
        tick.tcp("SA", "SA", Some(5_499_000), Some(5_499_500))
    };
    world.flows(ports.iter().map(open).collect());
}

/// So many bytes are sent on these connections, each in a packet, and each is told this in the same tick.
fn sent(world: &mut World, millis: u64, ports: &[(u16, &str)], bytes: u64, told: Told) {
    world.at(millis);
    let tick = |(port, to): &(u16, &str)| {
        let tick = flow(1, &format!("172.18.0.2:{port}"), to).and_received(9).not_new();
        tick.counted(counts(1, bytes), counts(1, 60)).tcp("A", "A", None, None)
    };
    let ticks: Vec<Tick> = ports.iter().map(tick).collect();
    let signs = ticks.iter().map(|tick| sign(world, tick.delta.key, Direction::Received, told)).collect();
    world.observe(Observation::Failures(signs));
    world.flows(ticks);
    world.observe(Observation::Resources(Resources::default()));
}

/// A connection of the client is told the MTU, and after that so many times again, each time for a packet that it sent.
fn disobey(world: &mut World, times: u64) {
    opened(world, &[(4_000, OUTSIDE)]);
    for time in 0..=times {
        sent(world, 6_000 + time * 1_000, &[(4_000, OUTSIDE)], 1_500, too_big(1_300, 1_500));
    }
}

fn evidence(finding: &Finding) -> [String; 2] {
    let told: Vec<_> = finding.evidence.iter().map(|it| format!("{}: {}", it.at, it.saw)).collect();
    told.try_into().unwrap()
}

#[test]
fn a_wrong_mtu_is_one_finding_of_who_sends_that_is_told_anew_and_over_when_it_is() {
    let mut world = scene();
    disobey(&mut world, 2);
    assert_eq!(findings(&mut world), [], "once or twice may be a program that tries");
    let again = |second: u64, world: &mut World| {
        sent(world, second * 1_000, &[(4_000, OUTSIDE)], 1_500, too_big(1_300, 1_500));
        let [finding] = &*findings(world) else { panic!("one finding") };
        finding.clone()
    };
    let finding = again(9, &mut world);
    assert_eq!((finding.kind.name(), finding.outcome.name(), finding.revision), ("broken", "blocked", 1));
    let ends = [&finding.source, &finding.destination].map(name);
    assert_eq!((ends.each_ref().map(String::as_str), &*finding.ports), (["client", "external"], &[80][..]));
    for second in 10..=19 {
        let finding = again(second, &mut world);
        let told = format!(
            "192.0.2.1: told it of {} packets of theirs by ICMP (fragmentation-needed) that no more than 1300 bytes fit",
            second - 6
        );
        let sent = "client: sent on in connections with another end, a second or more after these had been told what fits";
        assert_eq!(evidence(&finding), [sent.to_owned(), told.clone()]);
        assert!(finding.explanation.contains(&told.replacen(':', "", 1)), "{finding:?}");
        // What is new is told every ten seconds.
        assert_eq!(finding.revision, if second < 19 { 1 } else { 2 }, "{second}");
    }
    // A connection that hangs tries again every two minutes.
    for (second, open) in [(145, 1), (151, 0)] {
        world.pass_until(second * 1_000);
        world.flows(vec![]);
        world.observe(Observation::Resources(Resources::default()));
        assert_eq!(findings(&mut world).len(), open, "{second}");
    }
}

#[test]
fn connections_that_are_told_an_mtu_once_each_are_no_finding_of_a_wrong_one() {
    // Each may be of another kernel behind the same end.
    let mut world = scene();
    let ports = [(4_000, OUTSIDE), (4_001, OUTSIDE), (4_002, OUTSIDE), (4_003, OUTSIDE)];
    opened(&mut world, &ports);
    for (second, port) in (6..).step_by(2).zip(ports) {
        sent(&mut world, second * 1_000, &[port], 1_500, too_big(1_300, 1_500));
    }
    let [row] = &*rows(&mut world) else { panic!("one row") };
    assert_eq!((row.icmp[0].packets, row.icmp[0].again, row.is_wrong_mtu()), (4, 0, false));
    assert_eq!(findings(&mut world), []);
}

#[test]
fn errors_about_what_was_not_sent_are_no_finding_of_a_wrong_mtu() {
    let mut world = scene();
    opened(&mut world, &[(4_000, OUTSIDE)]);
    for second in 6..30 {
        // Acknowledgements alone.
        sent(&mut world, second * 1_000, &[(4_000, OUTSIDE)], 60, too_big(1_300, 1_500));
    }
    assert_eq!((findings(&mut world), errors(&mut world)[0].again), (vec![], 0));
}

#[test]
fn datagrams_that_are_too_big_are_no_finding() {
    let mut world = scene();
    for second in 6..20 {
        tick(&mut world, second * 1_000, &[too_big(1_300, 1_500)]);
    }
    assert_eq!((findings(&mut world), errors(&mut world)[0].again), (vec![], 13));
}

#[test]
fn many_to_whom_something_does_not_fit_are_one_finding_and_many_mtus_find_no_room() {
    let clients: Vec<String> = (1..=100).map(|host| format!("192.0.2.{host}:80")).collect();
    let ports: Vec<(u16, &str)> = (4_000..).zip(clients.iter().map(String::as_str)).collect();
    let mut world = scene();
    opened(&mut world, &ports);
    for second in 6..10 {
        sent(&mut world, second * 1_000, &ports, 1_500, too_big(1_300, 1_500));
    }
    let [finding] = &*findings(&mut world) else { panic!("one finding") };
    let [sender, teller] = evidence(finding);
    assert!(sender.contains("16 other ends or more") && teller.contains("300 packets"), "{finding:?}");
    for time in 0..4_u64 {
        for (at, port) in (0..).zip(&ports) {
            sent(&mut world, 10_000 + time * 1_000, &[*port], 1_500, too_big(1_000 + at, 1_500));
        }
    }
    assert_eq!((findings(&mut world).len(), lost(&mut world, "findings_refused")), (64, 37));
}

#[test]
fn a_wrong_mtu_that_the_policy_file_knows_is_no_finding() {
    let accept = |from| {
        format!("[[accept]]\nrule = 'wrong-mtu'\nfrom = {{ container = '{from}' }}\nuntil = 2099-01-01\n")
    };
    for (from, found) in [("client", 0), ("server", 1)] {
        let mut world = scene_with(&accept(from));
        disobey(&mut world, 5);
        assert_eq!(findings(&mut world).len(), found, "{from}");
    }
}

#[test]
fn each_end_that_sends_what_does_not_fit_is_a_finding_of_its_own() {
    let mut world = scene();
    world.at(5_500);
    let [at_client, at_server] = [(1, CLIENT, SERVER, 102), (2, SERVER, CLIENT, 101)];
    let of = |(interface, local, remote, origin): (u32, &str, &str, u32)| {
        flow(interface, local, remote).and_received(origin).counted(counts(1, 1_500), counts(1, 1_500))
    };
    let (syn, syn_ack) = (Some(5_499_000), Some(5_499_500));
    world.flows(vec![
        of(at_client).tcp("SA", "SA", syn, syn_ack),
        of(at_server).received(101).tcp("SA", "SA", syn, syn_ack),
    ]);
    for second in 6..10 {
        world.at(second * 1_000);
        let ticks = [at_client, at_server].map(|end| of(end).not_new().tcp("A", "A", None, None));
        let told = too_big(1_300, 1_500);
        let signs =
            ticks.iter().map(|tick| sign(&world, tick.delta.key, Direction::Received, told)).collect();
        world.observe(Observation::Failures(signs));
        world.flows(ticks.into());
        world.observe(Observation::Resources(Resources::default()));
    }
    let mut ends: Vec<_> = findings(&mut world)
        .iter()
        .map(|finding| (name(&finding.source), name(&finding.destination), finding.ports.clone()))
        .collect();
    ends.sort();
    let both = [("client", "server"), ("server", "client")];
    assert_eq!(ends, both.map(|(from, to)| (from.to_owned(), to.to_owned(), vec![80])));
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
    tick(&mut world, 9_000, &[]);
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
