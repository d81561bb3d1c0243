//! Containers on the host's network, watched at their control groups.

use crate::world::{World, bridge_network, container, counts, flow, id};
use monitor::engine::Ask;
use monitor::model::{InterfaceNumber, NetworkDriver, NetworkMode, Observation, Resources};
use monitor::policy::{Asked, AskedEnd};
use tokio::sync::watch;

/// `db` at veth 2 on network b, and `agent` in host mode with its control group as number 9.
fn watched() -> World {
    let mut world = asked();
    let at = world.now;
    world.observe(Observation::GroupAttached { number: InterfaceNumber(9), container: id("agent"), at });
    world
}

/// The same before anything came of the question.
fn asked() -> World {
    let mut world = World::new();
    world.two_networks();
    let mut host = bridge_network("host", &[], &[]);
    (host.driver, host.bridge) = (NetworkDriver::Host, None);
    world.network(host);
    world.host(&[(2, "eth0", "192.0.2.1"), (20, "br-b", "172.19.0.1")]);
    world.running("db", 2, "b", "172.19.0.2");
    let mut agent = container("agent", &[]);
    agent.network_mode = NetworkMode::Host;
    world.container(agent);
    world
}

fn asks(world: &mut World) -> Vec<Ask> {
    let about_groups = |ask: &Ask| matches!(ask, Ask::WatchGroup { .. } | Ask::LeaveGroup { .. });
    let now = world.now;
    world.state.asks(now).into_iter().filter(about_groups).collect()
}

#[test]
fn a_control_group_is_asked_for_until_it_is_watched_and_left_when_the_container_ends() {
    let mut world = asked();
    assert_eq!(asks(&mut world), [Ask::WatchGroup { container: id("agent") }]);
    let at = world.now;
    world.observe(Observation::GroupAttached { number: InterfaceNumber(9), container: id("agent"), at });
    world.pass_until(9_000);
    assert_eq!(asks(&mut world), []);
    world.stopped("agent");
    assert_eq!(asks(&mut world), [Ask::LeaveGroup { container: id("agent") }]);
    world.detach(9);
    world.pass_until(10_000);
    assert_eq!(asks(&mut world), []);
}

#[test]
fn why_a_control_group_is_not_watched_is_said() {
    let mut world = asked();
    let reason = crate::world::text("control groups of version 2 are not mounted");
    world.observe(Observation::GroupNotWatched { container: id("agent"), reason });
    let row = world.row("agent");
    assert!(!row.watched && row.unwatched_reason.unwrap().ends_with("version 2 are not mounted"));
    assert!(world.snapshot().missing["containers"].as_str().ends_with(": agent (host mode)"));
    let at = world.now;
    world.observe(Observation::GroupAttached { number: InterfaceNumber(9), container: id("agent"), at });
    assert!(!world.snapshot().missing.contains_key("containers"));
}

#[test]
fn the_other_end_of_a_veths_flow_is_named_by_the_control_group_that_saw_it() {
    let mut world = watched();
    world.flows(vec![
        flow(2, "172.19.0.2:80", "172.19.0.1:4000").received(0),
        flow(9, "172.19.0.1:4000", "172.19.0.2:80"),
        flow(2, "172.19.0.2:80", "172.19.0.1:4001").received(0),
    ]);
    assert_eq!(world.names(), ["db:80 -> agent:4000", "agent:4000 -> db:80", "db:80 -> host:4001"]);
    let pairs = world.snapshot().pairs;
    let of_agent: Vec<_> = pairs.iter().filter(|pair| pair.client.container.is_some()).collect();
    assert_eq!((pairs.len(), of_agent.len()), (2, 1), "{pairs:#?}");
    assert_eq!(of_agent[0].traffic.sent, counts(1, 100), "once, where it was sent");
}

#[test]
fn the_host_may_reach_a_network_and_a_container_on_its_network_crosses_into_an_internal_one() {
    let judged = |internal| {
        let mut world = watched();
        let mut b = bridge_network("b", &[("172.19.0.0", 16)], &["172.19.0.1"]);
        b.internal = internal;
        world.network(b);
        world.flows(vec![
            flow(9, "172.19.0.1:4000", "172.19.0.2:80"),
            flow(2, "172.19.0.2:80", "172.19.0.1:4000").received(0),
            flow(9, "192.0.2.1:4000", "9.9.9.9:53"),
        ]);
        let verdict = |record: &monitor::snapshot::FlowRecord| {
            record.verdict.as_ref().map(|verdict| verdict.rule.as_str().to_owned()).unwrap_or_default()
        };
        world.records().iter().map(verdict).collect::<Vec<_>>()
    };
    assert_eq!(judged(false), ["host-access", "host-access", "egress"]);
    assert_eq!(judged(true), ["cross-network", "host-access", "egress"]);
}

#[test]
fn who_asks_about_a_container_on_the_hosts_network_is_told_its_own_conversations_alone() {
    let mut world = watched();
    world.at(6_000);
    let ends = ["agent", "db"].map(|name| AskedEnd::Container { id: id(name), address: None });
    let [agent, db] = ends;
    let answers = [(agent.clone(), db.clone()), (db, agent)].map(|(from, to)| {
        let (told, answers) = watch::channel(None);
        let asked = Asked { from, to, protocol: None, port: None };
        let now = world.now;
        world.state.inquire(asked, told, now);
        answers
    });
    world.at(7_000);
    world.flows(vec![
        flow(9, "172.19.0.1:4000", "172.19.0.2:80"),
        flow(2, "172.19.0.2:80", "172.19.0.1:4000").received(0),
        // Somebody else on the host.
        flow(2, "172.19.0.2:80", "172.19.0.1:4001").received(0),
        flow(2, "172.19.0.2:5000", "172.19.0.1:4711"),
        flow(9, "172.19.0.1:4711", "172.19.0.2:5000").received(20),
        // To nobody that is known.
        flow(2, "172.19.0.2:5001", "172.19.0.1:4712"),
    ]);
    world.observe(Observation::Resources(Resources::default()));
    let forward = answers.map(|answers| {
        let answer = answers.borrow().clone().unwrap();
        assert!(!answer.ways.is_empty() && (answer.from.on_host || answer.to.on_host));
        answer
            .forward()
            .map(|seen| (seen.source.port, seen.destination.port, seen.course.clone()))
            .collect::<Vec<_>>()
    });
    let [out, back] = &forward;
    let [(Some(4_000), Some(80), course)] = &**out else { panic!("{out:#?}") };
    assert!(course.starts_with("It left agent's sockets"), "{course}");
    let [(Some(5_000), Some(4_711), course)] = &**back else { panic!("{back:#?}") };
    assert!(course.contains("reached agent's sockets"), "{course}");
}
