//! Who is on an overlay network beside this node's containers, as the swarm tells it.

use crate::inside::{heard, inside};
use crate::world::{Told, World, bridge_network, container, flow, id, ip, mac, network_id, text};
use monitor::model::{
    Change, Container, NetworkDriver, Observation, Overlay, Protocol, Resources, SwarmKind, SwarmMember,
};
use monitor::policy::{Asked, AskedEnd};
use monitor::snapshot::{EndKind, Finding, Meant, Outcome, Replica, failures, services};

/// `one` on the overlay network `lan`, watched at its own device.
fn mesh() -> World {
    let mut world = World::new();
    let mut mesh = bridge_network("lan", &[("10.0.1.0", 24)], &["10.0.1.1"]);
    (mesh.driver, mesh.bridge) = (NetworkDriver::Overlay, None);
    mesh.overlay = Some(Overlay { vxlan_ids: vec![4_097], ..Overlay::default() });
    world.network(mesh);
    inside(&mut world, "one", 5, "10.0.1.2", mac("10.0.1.2"));
    world
}

fn task(name: &str, address: &str) -> SwarmMember {
    SwarmMember {
        address: ip(address),
        kind: SwarmKind::Task,
        service: Some(text("web")),
        name: Some(text(name)),
        node: Some(ip("198.51.100.2")),
        mac: None,
    }
}

fn told(world: &mut World, members: &[SwarmMember]) {
    let pass = |world: &mut World, millis| world.pass_until(world.now.0 / 1_000_000 + millis);
    pass(world, 14_000);
    let (network, at) = (network_id("lan"), world.now);
    world.change(Change::Swarm { network, members: Some(members.to_vec()), at });
    pass(world, 1_000);
}

/// The names in the swarm that the remote ends of these flows have.
fn names(world: &mut World, flows: Vec<Told>) -> Vec<Option<String>> {
    world.flows(flows);
    let name = |record: &monitor::snapshot::FlowRecord| {
        record.remote.swarm.as_ref().and_then(|swarm| swarm.name().map(str::to_owned))
    };
    world.records().iter().map(name).collect()
}

#[test]
fn tasks_of_other_nodes_have_their_names_and_stay_outside_of_this_host() {
    let mut world = mesh();
    let vip = SwarmMember { kind: SwarmKind::VirtualIp, name: None, node: None, ..task("", "10.0.1.6") };
    // The swarm tells of this node's containers too.
    told(&mut world, &[task("one.1.aa", "10.0.1.2"), vip, task("web.3.bb", "10.0.1.8")]);
    world.container(container("two", &[("lan", "10.0.1.3")]));
    let flows = ["10.0.1.8:80", "10.0.1.6:80", "10.0.1.3:80", "10.0.1.9:80", "192.0.2.9:80"];
    world.flows(flows.map(|remote| flow(5, "10.0.1.2:4000", remote)).into());
    let records = world.records();
    let [to_task, to_vip, to_two, to_nobody, to_outside] = records else { panic!("{records:#?}") };
    let swarm = to_task.remote.swarm.as_ref().unwrap();
    assert_eq!((&swarm.member, swarm.vxlan_id), (&task("web.3.bb", "10.0.1.8"), Some(4_097)));
    assert_eq!(swarm.network.id, network_id("lan"));
    assert_eq!(to_task.remote.kind, EndKind::External);
    assert_eq!(to_task.verdict.as_ref().unwrap().rule.as_str(), "same-network");
    assert_eq!(to_vip.remote.swarm.as_ref().unwrap().member.kind, SwarmKind::VirtualIp);
    assert_eq!(to_two.remote.container.as_ref().unwrap().id, id("two"));
    for nobody in [to_two, to_nobody, to_outside] {
        assert_eq!(nobody.remote.swarm, None, "{nobody:#?}");
    }
    assert_eq!(records[0].local.container.as_ref().unwrap().id, id("one"));
    assert_eq!(records[0].local.swarm, None);
}

#[test]
fn an_address_that_went_to_another_task_has_its_own_pair_and_not_the_old_name() {
    let mut world = mesh();
    let to_it = || vec![flow(5, "10.0.1.2:4000", "10.0.1.8:80")];
    assert_eq!(names(&mut world, to_it()), [None]);
    told(&mut world, &[task("web.3.bb", "10.0.1.8")]);
    assert_eq!(names(&mut world, to_it()).last().unwrap().as_deref(), Some("web.3"));
    told(&mut world, &[task("web.4.cc", "10.0.1.8")]);
    assert_eq!(names(&mut world, to_it()).last().unwrap().as_deref(), Some("web.4"));
    told(&mut world, &[]);
    assert_eq!(names(&mut world, to_it()).last().unwrap(), &None);
    let pairs = world.snapshot().pairs;
    let mut told: Vec<(Option<&str>, u64)> = pairs
        .iter()
        .map(|pair| (pair.server.swarm.as_ref().and_then(|swarm| swarm.name()), pair.traffic.sent.packets))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(None, 2), (Some("web.3"), 1), (Some("web.4"), 1)]);
}

#[test]
fn a_task_that_went_is_no_replica_for_ever_and_its_service_has_no_latency_once_it_is_gone() {
    let mut world = mesh();
    let all = [task("web.3.bb", "10.0.1.8"), task("web.4.cc", "10.0.1.9")];
    told(&mut world, &all);
    let now = world.now.0 / 1_000;
    let to = |server| flow(5, "10.0.1.2:4000", server).tcp("SA", "SA", Some(now), Some(now + 70));
    world.flows(vec![to("10.0.1.8:80"), to("10.0.1.9:80")]);
    let seen = |world: &mut World| {
        let snapshot = world.snapshot();
        let rows = services(&snapshot.pairs, &[], &snapshot.containers);
        (rows.iter().map(|row| row.replicas.len()).sum::<usize>(), snapshot.latencies.len())
    };
    assert_eq!(seen(&mut world), (2, 1));
    // Docker answers every fifteen seconds, for twenty minutes.
    let answers = |world: &mut World, members: &[SwarmMember]| {
        for _ in 0..80 {
            told(world, members);
            world.flows(Vec::new());
        }
    };
    answers(&mut world, &all);
    assert_eq!(seen(&mut world), (2, 1), "idle, and still there");
    answers(&mut world, &all[1..]);
    assert_eq!(seen(&mut world), (1, 1));
    answers(&mut world, &[]);
    assert_eq!(seen(&mut world), (0, 0));
}

#[test]
fn what_is_for_another_and_only_came_by_makes_no_pair_and_no_verdict() {
    let mut world = mesh();
    inside(&mut world, "two", 6, "10.0.1.3", mac("10.0.1.3"));
    told(&mut world, &[task("web.3.bb", "10.0.1.8"), task("web.4.cc", "10.0.1.9")]);
    // For a task on another node, for a container of this one, for nobody, and for itself.
    let flooded = ["10.0.1.9:80", "10.0.1.3:80", "10.0.1.77:80", "10.0.1.2:80"];
    let flows = flooded.map(|local| heard(5, local, "10.0.1.8:4000"));
    world.flows(flows.into());
    let judged: Vec<bool> = world.records().iter().map(|record| record.verdict.is_some()).collect();
    assert_eq!(judged, [false, false, true, true]);
    let received: u64 = world.snapshot().pairs.iter().map(|pair| pair.traffic.sent.packets).sum();
    assert_eq!(received, 2, "{:#?}", world.snapshot().pairs);
    assert_eq!(world.snapshot().losses.get("flooded_not_booked"), 2);
}

/// Nothing is passed to all there: what comes for another's address was sent to this device.
#[test]
fn what_comes_for_another_on_a_macvlan_network_is_told() {
    let mut world = World::new();
    let mut lan = bridge_network("lan", &[("10.0.1.0", 24)], &["10.0.1.1"]);
    (lan.driver, lan.bridge) = (NetworkDriver::Macvlan, None);
    world.network(lan);
    inside(&mut world, "one", 5, "10.0.1.2", mac("10.0.1.2"));
    inside(&mut world, "two", 6, "10.0.1.3", mac("10.0.1.3"));
    world.pass_until(20_000);
    world.flows(vec![heard(5, "10.0.1.3:514", "10.0.1.77:4000")]);
    let snapshot = world.snapshot();
    assert_eq!(snapshot.pairs.len(), 1);
    assert!(world.records()[0].verdict.is_some());
    assert_eq!(snapshot.losses.get("flooded_not_booked"), 0);
}

#[test]
fn a_network_that_is_gone_has_nobody_and_what_is_told_of_an_unknown_one_is_not_kept() {
    let mut world = mesh();
    let to_it = || vec![flow(5, "10.0.1.2:4000", "10.0.1.8:80")];
    told(&mut world, &[task("web.3.bb", "10.0.1.8")]);
    assert_eq!(names(&mut world, to_it()), [Some("web.3".to_owned())]);
    let at = world.now;
    world.change(Change::NetworkGone { id: network_id("lan"), at });
    world.pass_until(world.now.0 / 1_000_000 + 5_000);
    assert_eq!(names(&mut world, to_it()).last().unwrap(), &None);
    // Nobody's answer is taken in for a network that Docker never told of.
    let (at, unknown) = (world.now, network_id("other"));
    let members = Some(vec![task("web.3.bb", "10.0.1.8")]);
    world.change(Change::Swarm { network: unknown.clone(), members, at });
    world.change(Change::Swarm { network: unknown, members: None, at });
    assert_eq!(names(&mut world, to_it()).last().unwrap(), &None);
}

#[test]
fn an_address_that_a_device_on_another_network_reaches_is_no_tasks() {
    let mut world = mesh();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    told(&mut world, &[task("web.3.bb", "10.0.1.8")]);
    let to_it = |interface, from: &str| vec![flow(interface, from, "10.0.1.8:443")];
    assert_eq!(names(&mut world, to_it(1, "172.18.0.2:4000")), [None]);
    assert_eq!(names(&mut world, to_it(5, "10.0.1.2:4000")).last().unwrap().as_deref(), Some("web.3"));
}

#[test]
fn a_load_balancer_on_a_bridge_network_and_its_device_have_their_name_as_long_as_answers_come() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.attach(7, "a", Some(mac("172.18.0.9")), None);
    let balancer = SwarmMember {
        kind: SwarmKind::LoadBalancer,
        service: None,
        name: None,
        node: None,
        mac: Some(mac("172.18.0.9")),
        ..task("", "172.18.0.9")
    };
    let answer = |world: &mut World, members| {
        let (network, at) = (network_id("a"), world.now);
        world.change(Change::Swarm { network, members, at });
    };
    let check = |world: &mut World, millis, has_name: bool| {
        world.pass_until(world.now.0 / 1_000_000 + millis);
        world.flows(vec![flow(1, "172.18.0.2:4000", "172.18.0.9:80")]);
        assert_eq!(world.records().last().unwrap().remote.swarm.is_some(), has_name);
        let reason = world.snapshot().unattributed[0].reason;
        assert_eq!(reason == "swarm_load_balancer", has_name, "{reason}");
    };
    answer(&mut world, Some(vec![balancer]));
    check(&mut world, 110_000, true);
    answer(&mut world, None);
    check(&mut world, 110_000, true);
    check(&mut world, 20_000, false);
    answer(&mut world, None);
    check(&mut world, 5_000, true);
    answer(&mut world, Some(Vec::new()));
    check(&mut world, 5_000, false);
}

/// A connection from `one` to a task, which the task answers or refuses.
fn connection(world: &World, port: u16, to: &str, is_answered: bool) -> Told {
    let syn = world.now.0 / 1_000;
    let from = format!("10.0.1.2:{port}");
    let told = flow(5, &from, to).and_received(0);
    if is_answered {
        told.tcp("SA", "SA", Some(syn), Some(syn + 400))
    } else {
        told.tcp("S", "RA", Some(syn), None)
    }
}

#[test]
fn services_failures_and_latency_tell_a_task_of_another_node_as_its_service() {
    let mut world = mesh();
    let labels = vec![(text(Container::SWARM_SERVICE), text("web"))];
    let near = Container {
        service: Some(text("web")),
        project: Some(text("stack")),
        labels,
        ..container("web.1.aa", &[("lan", "10.0.1.4")])
    };
    world.container(near);
    let far = [task("web.2.bb", "10.0.1.8"), task("web.3.cc", "10.0.1.9")];
    let vip = SwarmMember { kind: SwarmKind::VirtualIp, name: None, node: None, ..task("", "10.0.1.6") };
    let other = SwarmMember { kind: SwarmKind::Container, service: None, ..task("att", "10.0.1.7") };
    told(&mut world, &[&far[..], &[vip, other]].concat());
    let of = [
        ("10.0.1.4:80", true),
        ("10.0.1.8:80", true),
        ("10.0.1.8:80", true),
        ("10.0.1.9:80", false),
        ("10.0.1.6:80", true),
        ("10.0.1.7:80", false),
        ("192.0.2.9:80", true),
    ];
    let flows = (4_000..).zip(of).map(|(port, (to, is_answered))| connection(&world, port, to, is_answered));
    let flows = flows.collect();
    world.flows(flows);
    let snapshot = world.snapshot();

    let failed: Vec<_> = failures(&snapshot.pairs, &[], true, &Meant::by(None, []))
        .iter()
        .map(|row| (format!("{} {}", row.client, row.server), row.connections, row.answers.refused))
        .collect();
    let expected = [("shop/one web", 5, 1), ("shop/one att(10.0.1.7)", 1, 1)];
    assert_eq!(failed, expected.map(|(ends, connections, refused)| (ends.to_owned(), connections, refused)));
    let mut latencies: Vec<_> = snapshot
        .latencies
        .iter()
        .map(|row| (row.server.to_string(), row.at_client.map(|it| it.percentiles.count)))
        .collect();
    latencies.sort();
    assert_eq!(latencies, [("192.0.2.9".to_owned(), Some(1)), ("web".to_owned(), Some(4))]);

    let rows = services(&snapshot.pairs, &[], &snapshot.containers);
    let [row] = &*rows else { panic!("{rows:#?}") };
    assert_eq!((row.service.to_string(), row.port, row.connections()), ("web".to_owned(), 80, 4));
    let replicas: Vec<_> = row
        .replicas
        .iter()
        .map(|one| {
            let is_here = matches!(one.who, Replica::Here(_));
            (one.who.name().unwrap().to_string(), is_here, one.connections, one.answers.refused)
        })
        .collect();
    let expected = [("web.1.aa", true, 1, 0), ("web.2.bb", false, 2, 0), ("web.3.cc", false, 1, 1)];
    assert_eq!(
        replicas,
        expected.map(|(name, is_here, asked, refused)| (name.to_owned(), is_here, asked, refused))
    );
}

#[test]
fn why_tells_of_a_task_on_another_node_by_the_rule_of_its_network() {
    let mut world = mesh();
    // Whose addresses are the same, and nearer to the one that is asked about.
    for other in ["aa", "zz"] {
        let mut network = bridge_network(other, &[("10.0.1.0", 28)], &[]);
        (network.driver, network.bridge) = (NetworkDriver::Macvlan, None);
        world.network(network);
    }
    told(&mut world, &[task("web.3.bb", "10.0.1.8")]);
    let one = AskedEnd::Container { id: id("one"), address: None };
    let far = AskedEnd::Outside { address: Some(ip("10.0.1.8")) };
    for (from, to) in [(one.clone(), far.clone()), (far, one)] {
        let asked = Asked { from, to, protocol: Some(Protocol::TCP), port: Some(80) };
        let (told, answers) = tokio::sync::watch::channel(None);
        let now = world.now;
        world.state.inquire(asked, told, now);
        world.pass_until(now.0 / 1_000_000 + 1_000);
        world.flows(vec![flow(5, "10.0.1.2:4000", "10.0.1.8:80").tcp("S", "", Some(1), None)]);
        world.observe(Observation::Resources(Resources::default()));
        let answer = answers.borrow().clone().unwrap();
        let [way] = &*answer.ways else { panic!("{:#?}", answer.ways) };
        assert_eq!(way.decision.as_ref().unwrap().rule.as_str(), "same-network");
        assert_eq!(way.network.as_ref().map(|network| &network.id), Some(&network_id("lan")));
        assert_eq!(answer.conversations.len(), 1);
    }
}

/// What is found where one task answers, and two others refuse, or ignore, all that they are asked, if the swarm tells of
/// these before they are judged.
fn silent_tasks(is_refused: bool, later: &[SwarmMember]) -> Vec<Finding> {
    let mut world = mesh();
    told(
        &mut world,
        &[task("web.1.aa", "10.0.1.7"), task("web.2.bb", "10.0.1.8"), task("web.3.cc", "10.0.1.9")],
    );
    let tick = |world: &mut World, flows: &dyn Fn(&World) -> Vec<Told>| {
        let flows = flows(world);
        world.flows(flows);
        world.observe(Observation::Resources(Resources::default()));
        let next = world.now.0 / 1_000_000 + 10_100;
        world.pass_until(next);
    };
    tick(&mut world, &|_| Vec::new());
    tick(&mut world, &|world| {
        let answered = (4_000..4_005).map(|port| connection(world, port, "10.0.1.7:80", true));
        let not = ["10.0.1.8:80", "10.0.1.9:80"].into_iter().zip([5_000..5_004, 6_000..6_004]);
        let not = not.flat_map(|(to, ports)| ports.map(move |port| (to, port)));
        let not = not.map(|(to, port)| {
            let silent =
                || flow(5, &format!("10.0.1.2:{port}"), to).tcp("S", "", Some(world.now.0 / 1_000), None);
            if is_refused { connection(world, port, to, false) } else { silent() }
        });
        answered.chain(not).collect()
    });
    let (network, at) = (network_id("lan"), world.now);
    world.change(Change::Swarm { network, members: Some(later.to_vec()), at });
    (0..3).for_each(|_| tick(&mut world, &|_| Vec::new()));
    let mut found = world.snapshot().findings;
    found.retain(|finding| finding.rule.as_str() == "silent-replica");
    found.sort_by_key(|finding| finding.destination.address);
    found
}

#[test]
fn a_task_on_another_node_that_answers_nobody_while_others_do_is_found() {
    let all = [task("web.1.aa", "10.0.1.7"), task("web.2.bb", "10.0.1.8"), task("web.3.cc", "10.0.1.9")];
    for (is_refused, outcome, reason) in
        [(true, Outcome::Delivered, None), (false, Outcome::Unknown, Some("out_of_sight"))]
    {
        let found = silent_tasks(is_refused, &all);
        let [two, three] = &*found else { panic!("each is one: {found:#?}") };
        for (finding, name) in [(two, "web.2(10.0.1.8)"), (three, "web.3(10.0.1.9)")] {
            assert_eq!((finding.outcome, finding.reason), (outcome, reason));
            let says = format!("{name} answers nobody of this node although other replicas do");
            assert!(finding.explanation.starts_with(&says), "{}", finding.explanation);
            assert!(finding.explanation.contains("4 connections to port 80"), "{}", finding.explanation);
            assert!(finding.explanation.contains("1 other replica answered 5"), "{}", finding.explanation);
            assert_eq!(finding.explanation.contains("may be the way there"), !is_refused);
        }
    }
}

#[test]
fn a_task_that_is_gone_or_replaced_when_it_is_judged_is_not_found() {
    // The address of one is another task's, and that of the other one nobody's.
    let later = [task("web.1.aa", "10.0.1.7"), task("web.2.dd", "10.0.1.8")];
    assert_eq!(silent_tasks(true, &later), []);
    // One that has its address still is found.
    let later = [task("web.1.aa", "10.0.1.7"), task("web.2.dd", "10.0.1.8"), task("web.3.cc", "10.0.1.9")];
    let found = silent_tasks(true, &later);
    let [three] = &*found else { panic!("{found:#?}") };
    assert!(three.explanation.starts_with("web.3(10.0.1.9) answers nobody"), "{}", three.explanation);
}
