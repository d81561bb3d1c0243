//! Latency between services, and how connections are spread over replicas: figures worked out by hand.

use crate::world::{Told, World, container, flow, mac, text};
use monitor::model::{
    Change, Container, DnsAnswer, DnsExchange, DnsPlace, DnsRecord, DnsTransport, InterfaceNumber,
    Observation, Resources, Rights,
};
use monitor::snapshot::{Finding, Kind, LatencyRow, Outcome, PairRow, ServiceRow, services};
use std::time::Duration;

/// A client at 172.18.0.2, and containers of one service from 172.18.0.3 on.
fn scene(replicas: u32) -> World {
    let mut world = World::new();
    world.two_networks();
    world.running("client", 1, "a", "172.18.0.2");
    for number in 1..=replicas {
        let address = address(number);
        let replica = container(&format!("web-{number}"), &[("a", address.as_str())]);
        world.container(Container { service: Some(text("web")), ..replica });
        world.attach(number + 1, "a", Some(mac(&address)), None);
    }
    world.at(5_000);
    world
}

fn address(replica: u32) -> String {
    format!("172.18.0.{}", replica + 2)
}

/// What becomes of a connection.
#[derive(Clone, Copy)]
enum Fate {
    /// Answered after so many microseconds at the client, and at the server.
    Answered(u64, u64),
    Refused,
    NoAnswer,
}

/// A connection from a port of the client to port 80 of a replica, at both interfaces.
fn connection(world: &World, replica: u32, from: u16, fate: Fate) -> [Told; 2] {
    let (client, server) = (format!("172.18.0.2:{from}"), format!("{}:80", address(replica)));
    let now = world.now.0 / 1_000;
    let at_client = flow(1, &client, &server).and_received(replica + 101);
    let at_server = flow(replica + 1, &server, &client).received(101);
    let syn = Some(now);
    match fate {
        Fate::Answered(whole, peer) => [
            at_client.tcp("SA", "SA", syn, Some(now + whole)),
            at_server.tcp("SA", "SA", syn, Some(now + peer)),
        ],
        Fate::Refused => [at_client.tcp("S", "RA", syn, None), at_server.tcp("RA", "S", syn, None)],
        Fate::NoAnswer => [at_client.tcp("S", "", syn, None), at_server.tcp("", "S", syn, None)],
    }
}

/// What both interfaces see of several, in one tick; each from a port of its own.
fn tick(world: &mut World, millis: u64, ports: &mut u16, told: &[(u32, u64, Fate)]) {
    world.at(millis);
    let mut flows = Vec::new();
    for (replica, count, fate) in told {
        for _ in 0..*count {
            *ports += 1;
            flows.extend(connection(world, *replica, *ports, *fate));
        }
    }
    world.flows(flows);
    world.observe(Observation::Resources(Resources::default()));
}

fn rows(world: &mut World) -> Vec<ServiceRow> {
    let snapshot = world.snapshot();
    services(&snapshot.pairs, &[], &snapshot.containers)
}

fn silent(world: &mut World) -> Vec<Finding> {
    let findings = world.snapshot().findings;
    findings.into_iter().filter(|finding| finding.rule.as_str() == "silent-replica").collect()
}

#[test]
fn the_way_and_the_peer_are_told_apart() {
    let mut world = scene(2);
    let told = [(1, 10, Fate::Answered(900, 300)), (2, 10, Fate::Answered(5_000, 400))];
    tick(&mut world, 6_000, &mut 1_000, &told);
    let latencies = world.snapshot().latencies;
    let [row] = &*latencies else { panic!("replicas of one service are one: {latencies:?}") };
    assert_eq!(
        (row.client.to_string(), row.server.to_string(), row.port),
        ("shop/client".into(), "shop/web".into(), Some(80))
    );
    let ends = [row.at_client, row.at_server, row.between].map(|seen| seen.unwrap().percentiles);
    let near = |took: Duration, micros: u64| {
        took.as_micros().abs_diff(u128::from(micros)) * 1_000 <= u128::from(micros)
    };
    for (seen, p50, max) in [(ends[0], 900, 5_000), (ends[1], 300, 400), (ends[2], 600, 4_600)] {
        assert_eq!(seen.count, 20);
        assert!(near(seen.p50, p50) && near(seen.max, max), "{seen:?} is not {p50} and {max}");
    }
}

#[test]
fn an_end_that_nobody_watches_is_absent() {
    let mut world = scene(1);
    let now = world.now.0 / 1_000;
    world.flows(vec![
        flow(1, "172.18.0.2:4000", "9.9.9.9:443").and_received(2).tcp("SA", "SA", Some(now), Some(now + 70)),
        flow(2, "172.18.0.3:80", "9.9.9.8:4000").received(2).tcp("SA", "SA", Some(now), Some(now + 80)),
        flow(2, "172.18.0.3:80", "9.9.9.7:4000").received(2).tcp("SA", "SA", Some(now), Some(now + 80)),
        flow(1, "172.18.0.2:4001", "9.9.9.9:444").and_received(2).tcp("S", "", Some(now), None),
    ]);
    let told: Vec<_> = world
        .snapshot()
        .latencies
        .iter()
        .map(|LatencyRow { client, server, at_client, at_server, between, .. }| {
            let count = |seen: &Option<monitor::snapshot::Measured>| seen.map(|it| it.percentiles.count);
            (format!("{client} {server}"), count(at_client), count(at_server), count(between))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("outside shop/web".to_owned(), None, Some(2), None),
            ("shop/client 9.9.9.9".to_owned(), Some(1), None, None),
        ]
    );
}

#[test]
fn latencies_are_bounded_and_what_is_in_none_is_counted() {
    let mut world = scene(1);
    for tick in 0..5_u16 {
        let now = world.now.0 / 1_000;
        let scan = (1..=1_000).map(|port| {
            let server = format!("9.9.9.9:{}", tick * 1_000 + port);
            flow(1, "172.18.0.2:4000", &server).and_received(2).tcp("SA", "SA", Some(now), Some(now + 70))
        });
        world.flows(scan.collect());
    }
    let snapshot = world.snapshot();
    assert_eq!((snapshot.latencies.len(), snapshot.losses.get("handshakes_not_kept")), (128, 5_000 - 128));
    // A quarter of an hour later the one that was idle longest makes room.
    tick(&mut world, 905_000, &mut 1_000, &[(1, 1, Fate::Answered(500, 100))]);
    let snapshot = world.snapshot();
    assert_eq!((snapshot.latencies.len(), snapshot.losses.get("latencies_forgotten")), (128, 1));
    assert!(snapshot.latencies.iter().any(|row| row.server.to_string() == "shop/web"));
    // And those of containers that are gone go with them.
    world.change(Change::ContainerGone { id: crate::world::id("client"), at: world.now });
    world.at(2_000_000);
    world.state.housekeeping(world.now);
    world.flows(Vec::new());
    assert!(world.snapshot().latencies.is_empty());
}

#[test]
fn each_replica_has_what_it_was_asked_and_how_that_went() {
    let mut world = scene(4);
    let mut ports = 1_000;
    let told = [(1, 7, Fate::Answered(500, 100)), (2, 3, Fate::Refused), (3, 2, Fate::NoAnswer)];
    tick(&mut world, 6_000, &mut ports, &told);
    let service = rows(&mut world).pop().unwrap();
    let told: Vec<_> = service
        .replicas
        .iter()
        .map(|replica| {
            let answers = replica.answers;
            let counted = [replica.connections, answers.answered, answers.refused, replica.unanswered()];
            (replica.who.name().unwrap().to_string(), counted, service.gets_none(replica))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("web-1".into(), [7, 7, 0, 0], false),
            ("web-2".into(), [3, 0, 3, 0], false),
            ("web-3".into(), [2, 0, 0, 2], false),
            ("web-4".into(), [0, 0, 0, 0], true),
        ]
    );
    assert_eq!((service.service.to_string(), service.port), ("shop/web".into(), 80));
    assert_eq!(service.replicas[0].clients, [text("shop/client")]);
    // What came on top of an earlier picture.
    let before = world.snapshot();
    tick(&mut world, 7_000, &mut ports, &[(4, 5, Fate::Answered(500, 100))]);
    let after = world.snapshot();
    let more = services(&after.pairs, &before.pairs, &after.containers).pop().unwrap();
    assert_eq!(more.replicas.iter().map(|it| it.connections).collect::<Vec<_>>(), [0, 0, 0, 5]);
}

#[test]
fn a_connection_that_is_reset_later_was_answered_too() {
    let mut world = scene(1);
    tick(&mut world, 6_000, &mut 1_000, &[(1, 1, Fate::Answered(500, 100))]);
    world.at(7_000);
    let reset = |told: Told, [sent, received]: [&str; 2]| told.not_new().tcp(sent, received, None, None);
    let (client, server) = ("172.18.0.2:1001", "172.18.0.3:80");
    for _ in 0..2 {
        world.flows(vec![
            reset(flow(1, client, server).and_received(102), ["A", "R"]),
            reset(flow(2, server, client).received(101), ["R", "A"]),
        ]);
    }
    let PairRow { answers, conversations, .. } = world.snapshot().pairs[0].clone();
    assert_eq!((conversations, answers.answered, answers.refused, answers.reset), (1, 1, 0, 1));
}

/// Twelve seconds of the same, then as long nothing.
fn found_after(told: &[(u32, u64, Fate)], later: &[(u32, u64, Fate)]) -> Vec<Finding> {
    let mut world = scene(4);
    let mut ports = 1_000;
    tick(&mut world, 6_000, &mut ports, &[]);
    tick(&mut world, 7_000, &mut ports, told);
    tick(&mut world, 16_500, &mut ports, later);
    tick(&mut world, 26_600, &mut ports, &[]);
    tick(&mut world, 36_700, &mut ports, &[]);
    silent(&mut world)
}

#[test]
fn a_replica_that_answers_nobody_while_others_do_is_found() {
    let answered = Fate::Answered(500, 100);
    for fate in [Fate::Refused, Fate::NoAnswer] {
        let found = found_after(&[(1, 20, answered), (2, 9, answered), (3, 5, fate)], &[]);
        let [finding] = &*found else { panic!("{found:?}") };
        assert_eq!((finding.kind, finding.outcome), (Kind::Broken, Outcome::Delivered));
        assert_eq!(finding.destination.container.as_ref().unwrap().name, text("web-3"));
        assert_eq!((finding.ports.as_slice(), finding.protocol.as_ref()), (&[80][..], "tcp"));
        assert!(finding.explanation.contains("web-3 answers nobody"), "{}", finding.explanation);
        assert!(finding.explanation.contains("5 connections to port 80"), "{}", finding.explanation);
        assert!(finding.explanation.contains("2 other replicas answered 29"), "{}", finding.explanation);
    }
}

#[test]
fn what_may_be_chance_or_has_another_reason_is_not_found() {
    let answered = Fate::Answered(500, 100);
    let none = |told: &[(u32, u64, Fate)], later: &[(u32, u64, Fate)], why: &str| {
        assert_eq!(found_after(told, later), [], "{why}");
    };
    none(&[(1, 20, answered), (2, 2, Fate::Refused)], &[], "two may be chance");
    none(&[(1, 20, Fate::Refused), (2, 20, Fate::NoAnswer)], &[], "nobody of the service answers");
    none(&[(1, 20, answered), (2, 20, Fate::Refused), (2, 1, answered)], &[], "it answers somebody");
    none(&[(1, 20, answered), (2, 20, Fate::Refused)], &[(2, 1, answered)], "it has only just been started");
    none(&[(1, 200, answered), (2, 200, answered)], &[], "that two are not asked breaks nothing");
}

#[test]
fn one_that_is_stopped_or_gone_when_it_is_judged_is_not_found() {
    let found = |end: &dyn Fn(&mut World)| {
        let mut world = scene(3);
        let mut ports = 1_000;
        tick(&mut world, 6_000, &mut ports, &[]);
        let told = [(1, 20, Fate::Answered(500, 100)), (3, 5, Fate::Refused)];
        tick(&mut world, 7_000, &mut ports, &told);
        tick(&mut world, 16_500, &mut ports, &[]);
        end(&mut world);
        tick(&mut world, 26_600, &mut ports, &[]);
        tick(&mut world, 36_700, &mut ports, &[]);
        silent(&mut world).len()
    };
    assert_eq!(found(&|_| {}), 1, "it runs still");
    let stop = |world: &mut World| {
        world.change(Change::ContainerStopped { id: crate::world::id("web-3"), at: world.now });
    };
    assert_eq!(found(&stop), 0);
    let go = |world: &mut World| {
        world.change(Change::ContainerGone { id: crate::world::id("web-3"), at: world.now });
    };
    assert_eq!(found(&go), 0);
}

/// A container behind a name, and of a service or not.
fn behind(world: &mut World, name: &str, address: &str, alias: &str, service: Option<&str>) {
    let container = container(name, &[("a", address)]);
    let aliases = vec![(container.endpoints[0].network.clone(), text(alias))];
    let project = container.project.clone().filter(|_| service.is_some());
    let rights = Some(Rights::default());
    world.container(Container { service: service.map(text), project, aliases, rights, ..container });
}

#[test]
fn a_name_that_several_share_is_one_unless_it_is_their_services_own() {
    let names = |world: &mut World| -> Vec<String> {
        tick(world, 6_000, &mut 1_000, &[(1, 3, Fate::Answered(500, 100))]);
        rows(world).iter().map(|row| row.service.to_string()).collect()
    };
    let mut world = scene(2);
    (1..=2).for_each(|it| behind(&mut world, &format!("web-{it}"), &address(it), "web", Some("web")));
    assert_eq!(names(&mut world), ["shop/web"], "the service's name leads to all of it");
    let mut world = scene(2);
    (1..=2).for_each(|it| behind(&mut world, &format!("web-{it}"), &address(it), "pool", None));
    assert_eq!(names(&mut world), ["pool.a"]);
    let mut world = scene(2);
    behind(&mut world, "web-1", &address(1), "web", Some("web"));
    behind(&mut world, "web-2", &address(2), "web", None);
    assert_eq!(
        names(&mut world),
        ["shop/web", "web.a"],
        "the name of a service leads to another container too"
    );
    let mut world = scene(2);
    behind(&mut world, "web-1", &address(1), "pool", None);
    behind(&mut world, "web-2", &address(2), "other", None);
    assert!(names(&mut world).is_empty(), "a name of one is no service");
}

#[test]
fn a_dead_one_behind_a_name_is_found_once() {
    let mut world = scene(3);
    let of_service = |world: &mut World| {
        (1..=3).for_each(|it| behind(world, &format!("web-{it}"), &address(it), "pool", Some("web")));
    };
    of_service(&mut world);
    let mut ports = 1_000;
    let answered = Fate::Answered(500, 100);
    tick(&mut world, 6_000, &mut ports, &[]);
    tick(&mut world, 7_000, &mut ports, &[(1, 20, answered), (2, 9, answered), (3, 5, Fate::Refused)]);
    tick(&mut world, 16_500, &mut ports, &[]);
    tick(&mut world, 26_600, &mut ports, &[]);
    let [finding] = &*silent(&mut world) else { panic!("one") };
    assert!(
        finding.explanation.contains("shop/web: 2 other replicas answered 29"),
        "{}",
        finding.explanation
    );
    assert_eq!(finding.revision, 1);
}

/// The container behind an interface asked for a name and was told addresses.
fn asked_for(world: &mut World, interface: u32, client: &str, name: &str, addresses: &[&str]) {
    let at = world.now;
    world.observe(Observation::Names(vec![DnsExchange {
        place: DnsPlace::Interface(InterfaceNumber(interface)),
        asked_at: at,
        asked: 1,
        client: client.parse().unwrap(),
        resolver: "172.18.0.99:53".parse().unwrap(),
        transport: DnsTransport::Udp,
        forwarded: false,
        id: 7,
        name: text(name),
        record_type: text("A"),
        answer: Some(DnsAnswer {
            at,
            code: text("NOERROR"),
            truncated: false,
            records: addresses.iter().map(|it| DnsRecord::Address(crate::world::ip(it))).collect(),
            left_out: 0,
        }),
    }]));
}

#[test]
fn one_that_answers_by_its_own_name_is_not_silent_behind_another() {
    let mut world = scene(2);
    (1..=2).for_each(|it| behind(&mut world, &format!("web-{it}"), &address(it), "pool", None));
    world.running("probe", 9, "a", "172.18.0.30");
    asked_for(&mut world, 1, "172.18.0.2:40000", "pool", &["172.18.0.3", "172.18.0.4"]);
    asked_for(&mut world, 9, "172.18.0.30:40000", "web-2", &["172.18.0.4"]);
    world.pass_until(9_000);
    let mut ports = 1_000;
    // The client's connections to web-2 are dropped inside of it; the probe's are answered, all the time.
    let probe = |world: &mut World, from: u16| {
        let now = world.now.0 / 1_000;
        let (client, server) = (format!("172.18.0.30:{from}"), "172.18.0.4:80");
        world.flows(vec![
            flow(9, &client, server).and_received(103).tcp("SA", "SA", Some(now), Some(now + 500)),
            flow(3, server, &client).received(109).tcp("SA", "SA", Some(now), Some(now + 100)),
        ]);
    };
    for second in 10..=40_u16 {
        let told: &[(u32, u64, Fate)] =
            if second < 15 { &[(1, 4, Fate::Answered(500, 100)), (2, 4, Fate::NoAnswer)] } else { &[] };
        tick(&mut world, u64::from(second) * 1_000, &mut ports, told);
        probe(&mut world, 20_000 + second);
        world.observe(Observation::Resources(Resources::default()));
    }
    let found: Vec<String> = silent(&mut world).iter().map(|it| it.explanation.clone()).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_replica_that_goes_on_to_answer_nobody_is_told_with_the_latest_figures() {
    let mut world = scene(3);
    let mut ports = 1_000;
    let mut asked = |world: &mut World, millis: u64, refused: u64| {
        let answered = if refused > 0 { 9 } else { 0 };
        tick(
            world,
            millis,
            &mut ports,
            &[(1, answered, Fate::Answered(500, 100)), (3, refused, Fate::Refused)],
        );
    };
    for (millis, refused) in [(10_000, 0), (12_000, 5), (20_100, 0), (25_000, 7), (30_200, 0)] {
        asked(&mut world, millis, refused);
    }
    for (millis, revision, said) in [(31_000, 1, "5 connections"), (40_300, 2, "7 connections")] {
        asked(&mut world, millis, 0);
        let [finding] = &*silent(&mut world) else { panic!("one") };
        assert!(
            finding.explanation.contains(said) && finding.evidence[0].saw.starts_with(said),
            "{finding:?}"
        );
        assert_eq!(finding.revision, revision, "{millis}");
    }
}

#[test]
fn a_service_in_capitals_is_told_once() {
    let mut world = scene(2);
    // What the inventory makes of Compose's alias `Web`.
    (1..=2).for_each(|it| behind(&mut world, &format!("web-{it}"), &address(it), "web", Some("Web")));
    tick(&mut world, 6_000, &mut 1_000, &[(1, 3, Fate::Answered(500, 100))]);
    let names: Vec<String> = rows(&mut world).iter().map(|row| row.service.to_string()).collect();
    assert_eq!(names, ["shop/Web"]);
}

#[test]
fn a_shared_name_keeps_how_long_those_behind_it_took_as_long_as_it_is_one() {
    let mut world = scene(2);
    (1..=2).for_each(|it| behind(&mut world, &format!("web-{it}"), &address(it), "pool", None));
    let told = [(1, 3, Fate::Answered(500, 100)), (2, 4, Fate::Answered(500, 100))];
    tick(&mut world, 6_000, &mut 1_000, &told);
    world.pass_until(60_000);
    world.flows(Vec::new());
    let counted = |world: &mut World| -> Vec<(String, u64)> {
        let latencies = world.snapshot().latencies;
        latencies
            .iter()
            .map(|row| (row.server.to_string(), row.at_client.unwrap().percentiles.count))
            .collect()
    };
    let all = [("pool.a", 7), ("web-2", 4), ("web-1", 3)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted(&mut world), all);
    let gone = crate::world::id("web-2");
    world.change(Change::ContainerGone { id: gone, at: world.now });
    world.at(2_000_000);
    world.state.housekeeping(world.now);
    world.flows(Vec::new());
    assert_eq!(counted(&mut world), all[2..], "one alone shares no name");
}
