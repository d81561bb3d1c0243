//! Nothing grows without a bound, nothing is counted twice, and what is lost is said.

use crate::world::{World, bridge_network, container, counts, flow, id, mac, ms, network_id};
use monitor::engine::Filter;
use monitor::model::{Change, Counts, FlowId, FlowKey, FlowPorts, InterfaceNumber, Observation, Traffic};
use monitor::snapshot::{EndKind, Record, TcpState};
use tokio::sync::mpsc;

fn networked() -> World {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.pass_until(5_000);
    world
}

#[test]
fn a_generation_handed_over_twice_counts_once() {
    let mut world = networked();
    let first = world.batch(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80")], false);
    let mut second = world.batch(vec![flow(1, "172.18.0.2:2", "9.9.9.9:80")], true);
    second.epoch = first.epoch;
    // The first part twice while the generation is open, then the whole of it again.
    for batch in [&first, &first, &second, &first, &second] {
        world.observe(Observation::Flows(batch.clone()));
    }
    assert_eq!(world.names(), ["web:1 -> external:80", "web:2 -> external:80"]);
    assert_eq!(world.row("web").peers[0].traffic.sent, counts(2, 200));
}

#[test]
fn a_slow_subscriber_loses_its_own_records_and_is_told() {
    let mut world = networked();
    let (queue, mut slow) = mpsc::channel(4);
    world.state.subscribe(Filter::default(), queue);
    let many = |from: u16| {
        (from..from + 10).map(|port| flow(1, &format!("172.18.0.2:{port}"), "9.9.9.9:80")).collect::<Vec<_>>()
    };
    world.flows(many(1));
    assert_eq!(world.records().len(), 10, "the other subscriber has all");
    for _ in 0..4 {
        assert!(matches!(slow.try_recv(), Ok(Record::Flow(_))));
    }
    world.at(6_000).flows(many(101));
    assert!(matches!(slow.try_recv(), Ok(Record::Lost(6))));
    for _ in 0..3 {
        assert!(matches!(slow.try_recv(), Ok(Record::Flow(_))));
    }
    world.state.housekeeping(world.now);
    assert!(matches!(slow.try_recv(), Ok(Record::Lost(13))));
    assert_eq!(world.snapshot().losses.get("records_lost_by_slow_readers"), 13);
    drop(slow);
    world.state.housekeeping(world.now);
    assert_eq!(world.snapshot().losses.get("records_lost_by_slow_readers"), 13);
}

#[test]
fn a_filter_picks_by_name_or_id_and_leaves_bridges_out() {
    let mut world = networked();
    world.running("app", 2, "a", "172.18.0.3");
    world.pass_until(9_000);
    let bridge = monitor::model::Interface {
        number: InterfaceNumber(50),
        ifindex: 10,
        name: crate::world::text("br-a"),
        kind: monitor::model::InterfaceKind::Bridge,
        mac: None,
        master: None,
        peer: None,
    };
    world.observe(Observation::Attached {
        interface: bridge,
        at: world.now,
        mode: monitor::model::AttachMode::Tcx,
        before: None,
        after: None,
    });
    let mut readers = Vec::new();
    for (who, bridges) in [(None, false), (None, true), (Some("app".to_owned()), true)] {
        let (queue, records) = mpsc::channel(64);
        world
            .state
            .subscribe(Filter { container: who, include_bridges: bridges, ..Filter::default() }, queue);
        readers.push(records);
    }
    let (queue, by_id) = mpsc::channel(64);
    let prefix = id("app").as_str()[..4].to_owned();
    world.state.subscribe(Filter { container: Some(prefix), ..Filter::default() }, queue);
    readers.push(by_id);
    world.flows(vec![
        flow(1, "172.18.0.2:1", "9.9.9.9:80"),
        flow(2, "172.18.0.3:1", "9.9.9.9:80"),
        flow(50, "172.18.0.3:1", "9.9.9.9:80"),
    ]);
    let counts: Vec<usize> = readers.iter_mut().map(|records| records.len()).collect();
    assert_eq!(counts, [2, 3, 1, 1]);
    assert!(
        world.row("app").peers[0].traffic.sent == Counts { packets: 1, bytes: 100, skbs: 1, skb_bytes: 100 }
    );
    assert_eq!(world.snapshot().bridges.len(), 1);
}

#[test]
fn a_flow_that_is_over_says_so_once_and_counts_nothing_more() {
    let mut world = networked();
    world.flows(vec![
        flow(1, "172.18.0.2:1", "9.9.9.9:80")
            .tcp("SAF", "SAF", Some(4_900_000), Some(4_900_100))
            .and_received(2),
        flow(1, "172.18.0.2:2", "9.9.9.9:80")
            .tcp("SAP", "SAP", Some(4_900_000), Some(4_900_100))
            .and_received(2),
        flow(1, "172.18.0.2:3", "9.9.9.9:53"),
    ]);
    world.at(6_000).flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80").tcp("A", "A", None, None).not_new()]);
    world.at(7_000).flows(Vec::new());
    world.pass_until(12_000);
    let last: Vec<_> = world.records().iter().filter(|record| record.last).cloned().collect();
    assert_eq!(last.len(), 1, "only the closed one");
    assert_eq!(last[0].tcp.unwrap().state, TcpState::Closed);
    assert!(last[0].sent.is_zero() && last[0].received.is_zero());
    world.pass_until(70_000);
    assert_eq!(world.records().iter().filter(|record| record.last).count(), 2, "the idle datagrams too");
    world.stopped("web");
    world.detach(1);
    world.pass_until(80_000);
    assert_eq!(
        world.records().iter().filter(|record| record.last).count(),
        3,
        "and what its interface took along"
    );
    assert_eq!(world.snapshot().flows_kept, 0);
}

#[test]
fn too_many_flows_make_room_and_are_counted() {
    let mut world = World::without_docker(|settings| settings.max_flows_kept = 100);
    world.docker_up();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.pass_until(5_000);
    let told = (1..=250).map(|port| flow(1, &format!("172.18.0.2:{port}"), "9.9.9.9:80")).collect();
    world.flows(told);
    let snapshot = world.snapshot();
    assert_eq!((snapshot.flows_kept, snapshot.losses.get("flows_forgotten")), (100, 150));
    assert_eq!(world.records().len(), 250);
    assert_eq!(world.row("web").peers[0].traffic.sent, counts(250, 25_000));
}

#[test]
fn too_many_peers_make_room_and_are_counted() {
    let mut world = networked();
    let told = (0..200).map(|last| flow(1, "172.18.0.2:1", &format!("9.9.9.{last}:80"))).collect();
    world.flows(told);
    let row = world.row("web");
    assert_eq!(row.peers.len(), 16);
    assert_eq!(world.snapshot().losses.get("peers_forgotten"), 200 - 64);
}

#[test]
fn two_hundred_restarts_leave_nothing_behind() {
    let mut world = networked();
    for cycle in 0..200_u64 {
        let start = 10_000 + cycle * 500;
        let (name, number) = (format!("c{cycle}"), 1_000 + u32::try_from(cycle).unwrap());
        world.pass_until(start);
        world.attach(number, "a", Some(mac("172.18.0.7")), Some(3));
        world.at(start + 50).endpoint(&name, "a", "172.18.0.7");
        let mut inspected = container(&name, &[("a", "172.18.0.7")]);
        inspected.namespace = Some(3);
        world.at(start + 60).container(inspected);
        let seen = |told: crate::world::Told| told.seen(start + 100, start + 110);
        world.at(start + 200).flows(vec![
            seen(flow(number, &format!("172.18.0.7:{}", cycle + 1), "172.18.0.2:80")),
            seen(flow(1, "172.18.0.2:80", &format!("172.18.0.7:{}", cycle + 1)).received(number + 100)),
        ]);
        assert_eq!(world.names().first().unwrap(), &format!("{name}:{} -> web:80", cycle + 1));
        world.at(start + 300).detach(number);
        world.at(start + 320).stopped(&name);
        world.change(Change::ContainerGone { id: id(&name), at: ms(start + 330) });
        world.read(&[1]);
    }
    for second in 120..400 {
        world.pass_until(second * 1_000);
        world.read(&[1]);
        world.flows(Vec::new());
    }
    assert_eq!(world.state.sizes(), [1, 1, 2, 1, 0, 0, 0, 0, 0]);
    // 200 peers within two minutes are more than a container's list has room for; that is said.
    let snapshot = world.snapshot();
    let losses: Vec<_> = snapshot.losses.iter().collect();
    assert_eq!(losses, [("peers_forgotten", 200 - 64)]);
    assert!(world.row("web").peers.is_empty(), "nothing is kept of peers that are forgotten");
}

#[test]
fn an_inventory_that_floods_is_bounded_and_counted() {
    let mut world = World::without_docker(|settings| settings.attribution.max_kept = 50);
    for number in 0..200 {
        world.container(container(&format!("c{number}"), &[("a", &format!("10.0.{number}.1"))]));
        world.network(bridge_network(&format!("n{number}"), &[], &[]));
    }
    let [facts, containers, networks, ..] = world.state.sizes();
    assert!(facts <= 50 && containers == 50 && networks == 50);
    let losses = world.snapshot().losses;
    assert_eq!((losses.get("containers_refused"), losses.get("networks_refused")), (150, 150));
}

#[test]
fn flows_that_wait_for_a_name_are_bounded() {
    let mut world = networked();
    world.attach(2, "a", Some(mac("172.18.0.3")), None);
    for part in 0..10_u32 {
        let told = (0..1_000_u32)
            .map(|index| {
                let port = 1 + part * 1_000 + index;
                flow(2, &format!("172.18.0.3:{port}"), "9.9.9.9:80")
            })
            .collect();
        world.flows(told);
    }
    assert_eq!(world.state.sizes()[5], 8_192);
    assert_eq!(world.snapshot().losses.get("names_given_up"), 10_000 - 8_192);
    world.container(container("late", &[("a", "172.18.0.3")]));
    world.state.housekeeping(world.now);
    let named = world.records().iter().filter(|record| record.local.kind == EndKind::Container).count();
    assert_eq!(named, 8_192);
}

#[test]
fn a_network_that_is_gone_is_forgotten_after_two_minutes() {
    let mut world = networked();
    let at = world.now;
    world.change(Change::NetworkGone { id: network_id("b"), at });
    world.pass_until(100_000);
    assert_eq!(world.state.sizes()[2], 2);
    world.pass_until(130_000);
    assert_eq!(world.state.sizes()[2], 1);
}

#[test]
fn two_keys_with_one_number_are_two_flows() {
    // The kernel promises that this does not happen; if it does, nothing is dropped.
    let mut world = networked();
    let mut batch =
        world.batch(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80"), flow(1, "172.18.0.2:2", "9.9.9.9:80")], true);
    for delta in &mut batch.flows {
        delta.flow_id = FlowId(7);
    }
    world.observe(Observation::Flows(batch));
    assert_eq!(world.names().len(), 2);
    let sum: Traffic = world.row("web").peers[0].traffic;
    assert_eq!(sum.sent, counts(2, 200));
}

#[test]
fn a_flow_key_of_an_unknown_interface_is_counted_nowhere_and_harms_nothing() {
    let mut world = networked();
    let mut told = flow(77, "172.18.0.2:1", "9.9.9.9:80");
    told.delta.key = FlowKey { ports: FlowPorts::None, ..told.delta.key };
    world.flows(vec![told]);
    assert!(world.records().is_empty());
}

#[test]
fn what_goes_to_many_is_no_loss_of_pairs() {
    let mut world = World::new();
    world.two_networks();
    for number in 1..=40 {
        world.running(&format!("c{number}"), number, "a", &format!("172.18.0.{}", number + 1));
    }
    world.pass_until(5_000);
    // What every container hears: multicast, the subnet's broadcast, and who asks for an address.
    for (to, from) in [
        ("224.0.0.251:5353", "172.18.0.9:5353"),
        ("172.18.255.255:9", "172.18.0.9:4000"),
        ("255.255.255.255:67", "0.0.0.0:68"),
    ] {
        world.flows((1..=40).map(|number| flow(number, to, from).received(8)).collect());
    }
    world.pass_until(9_000);
    assert_eq!(world.snapshot().losses.get("flows_not_paired"), 0);
    // The same of a conversation between two is one.
    world.flows((1..=40).map(|number| flow(number, "172.18.0.3:9", "172.18.0.9:4000").received(8)).collect());
    world.pass_until(12_000);
    assert_ne!(world.snapshot().losses.get("flows_not_paired"), 0);
}
