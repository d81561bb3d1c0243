//! Containers without an end on the host, watched at their own devices.

use crate::world::{Told, World, bridge_network, container, counts, flow, id, mac, network_id, text};
use monitor::engine::Ask;
use monitor::model::{
    AttachMode, DeviceCounters, Interface, InterfaceKind, InterfaceNumber, Mac, NetworkDriver, NetworkMode,
    Observation, PeerDevice,
};

/// The network `lan` of a driver, and `web` on the bridge network a.
fn lan(driver: NetworkDriver) -> World {
    let mut world = World::new();
    world.two_networks();
    let mut lan = bridge_network("lan", &[("192.0.2.0", 24)], &["192.0.2.1"]);
    (lan.driver, lan.bridge) = (driver, None);
    world.network(lan);
    world.host(&[(10, "br-a", "172.18.0.1")]);
    world.running("web", 1, "a", "172.18.0.2");
    world
}

/// A container on `lan` whose device is watched in its namespace.
pub(crate) fn inside(world: &mut World, name: &str, number: u32, address: &str, its_mac: Mac) {
    let mut container = container(name, &[("lan", address)]);
    container.endpoints[0].mac = Some(mac(address)).filter(|listed| *listed == its_mac);
    let sandbox = container.sandbox.clone().unwrap();
    world.container(container);
    let namespace = i32::try_from(number).unwrap();
    world.observe(Observation::Namespace { sandbox, namespace: Some(namespace), inode: Some(number) });
    let interface = Interface {
        number: InterfaceNumber(number),
        ifindex: 0,
        name: text(&format!("eth0 of {name}")),
        kind: InterfaceKind::Inside,
        mac: Some(its_mac),
        master: None,
        // An ifindex that the host has as well.
        peer: Some(PeerDevice { namespace: Some(namespace), ifindex: 101, name: None, mac: Some(its_mac) }),
    };
    let (before, after) = (Some(DeviceCounters::default()), Some(DeviceCounters::default()));
    let at = world.now;
    world.observe(Observation::Attached { interface, at, mode: AttachMode::Tcx, before, after });
}

/// Received at such a device, where nothing tells from where.
pub(crate) fn heard(interface: u32, local: &str, remote: &str) -> Told {
    let mut told = flow(interface, local, remote).received(0);
    told.delta.origin = None;
    told
}

fn rules(world: &mut World) -> Vec<String> {
    let rule = |record: &monitor::snapshot::FlowRecord| {
        record.verdict.as_ref().map(|verdict| verdict.rule.as_str().to_owned()).unwrap_or_default()
    };
    world.records().iter().map(rule).collect()
}

#[test]
fn siblings_are_named_at_both_devices_and_their_conversation_is_counted_once() {
    let mut world = lan(NetworkDriver::Macvlan);
    for (name, number, address) in [("one", 5, "192.0.2.5"), ("two", 6, "192.0.2.6")] {
        inside(&mut world, name, number, address, mac(address));
    }
    // Else what is heard first may be an answer to something from before.
    world.pass_until(20_000);
    world.flows(vec![
        flow(5, "192.0.2.5:4000", "192.0.2.6:80"),
        heard(6, "192.0.2.6:80", "192.0.2.5:4000"),
        // A neighbour, and somebody behind the gateway.
        heard(6, "192.0.2.6:80", "192.0.2.77:4000"),
        heard(6, "192.0.2.6:80", "198.51.100.9:4000"),
    ]);
    let expected =
        ["one:4000 -> two:80", "two:80 -> one:4000", "two:80 -> external:4000", "two:80 -> external:4000"];
    assert_eq!(world.names(), expected);
    assert_eq!(rules(&mut world), ["same-network", "same-network", "same-network", "exposed-port"]);
    let pairs = world.snapshot().pairs;
    let of_two = |pair: &&monitor::snapshot::PairRow| {
        pair.client.container.is_some() && pair.server.container.is_some()
    };
    let of_two: Vec<_> = pairs.iter().filter(of_two).collect();
    assert_eq!(of_two.len(), 1, "{pairs:#?}");
    assert_eq!(of_two[0].traffic.sent, counts(1, 100), "once, where it was sent");
    let row = world.row("one");
    assert!(row.watched && row.memberships[0].interface.as_ref().unwrap().1 == 0, "{row:#?}");
    assert!(!row.is_at_group() && !world.snapshot().missing.contains_key("containers"));
}

#[test]
fn a_container_on_a_bridge_crosses_into_a_network_that_docker_keeps_nobody_from() {
    let mut world = lan(NetworkDriver::Macvlan);
    inside(&mut world, "one", 5, "192.0.2.5", mac("192.0.2.5"));
    world.flows(vec![flow(1, "172.18.0.2:4000", "192.0.2.5:80")]);
    assert_eq!(world.names(), ["web:4000 -> one:80"]);
    assert_eq!(rules(&mut world), ["cross-network"]);
    let verdict = world.records()[0].verdict.clone().unwrap();
    assert_eq!(verdict.expected, monitor::snapshot::Expected::Allow);
}

#[test]
fn from_an_internal_network_there_is_no_way_into_it() {
    let mut world = lan(NetworkDriver::Macvlan);
    let mut internal = bridge_network("a", &[("172.18.0.0", 16)], &["172.18.0.1"]);
    internal.internal = true;
    world.network(internal);
    inside(&mut world, "one", 5, "192.0.2.5", mac("192.0.2.5"));
    world.flows(vec![flow(1, "172.18.0.2:4000", "192.0.2.5:80")]);
    assert_eq!(rules(&mut world), ["internal-egress"]);
    let verdict = world.records()[0].verdict.clone().unwrap();
    assert_eq!(verdict.expected, monitor::snapshot::Expected::Deny);
}

#[test]
fn an_address_that_the_lan_gave_is_not_spoofed_and_a_neighbours_is() {
    for (address, rule) in [("192.0.2.200", "same-network"), ("192.0.2.6", "spoofed-source")] {
        let mut world = lan(NetworkDriver::Macvlan);
        for (name, number, address) in [("one", 5, "192.0.2.5"), ("two", 6, "192.0.2.6")] {
            inside(&mut world, name, number, address, mac(address));
        }
        world.flows(vec![flow(5, &format!("{address}:4000"), "192.0.2.77:80")]);
        assert_eq!(rules(&mut world), [rule], "{address}");
    }
}

#[test]
fn an_ipvlan_device_is_known_by_its_namespace_since_all_have_the_parents_address() {
    for driver in [NetworkDriver::Ipvlan, NetworkDriver::Other(text("a-plugin"))] {
        let mut world = lan(driver);
        let parents = Mac([2, 0, 0, 0, 0, 9]);
        inside(&mut world, "one", 5, "192.0.2.5", parents);
        inside(&mut world, "two", 6, "192.0.2.6", parents);
        world.flows(vec![flow(5, "192.0.2.5:4000", "192.0.2.6:80"), flow(6, "192.0.2.6:9", "192.0.2.5:9")]);
        assert_eq!(world.names(), ["one:4000 -> two:80", "two:9 -> one:9"]);
        let networks: Vec<_> =
            world.records().iter().map(|record| record.network.clone().unwrap().id).collect();
        assert_eq!(networks, [network_id("lan"), network_id("lan")]);
    }
}

#[test]
fn only_containers_that_may_have_more_inside_are_looked_into_and_why_not_is_said() {
    let mut world = lan(NetworkDriver::Overlay);
    let mut alone = container("alone", &[]);
    alone.network_mode = NetworkMode::None;
    let mut host = container("host", &[]);
    host.network_mode = NetworkMode::Host;
    for container in [alone, host, container("both", &[("a", "172.18.0.9"), ("lan", "192.0.2.9")])] {
        world.container(container);
    }
    let now = world.now;
    let asks = world.state.asks(now).into_iter();
    let mut asked: Vec<String> = asks
        .filter_map(|ask| match ask {
            Ask::WatchInside { container, sandbox } => Some(format!("{} {sandbox}", container.as_str())),
            _ => None,
        })
        .collect();
    asked.sort_unstable();
    let expected = ["alone", "both"].map(|name| format!("{} /run/netns/{name}", id(name).as_str()));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(asked, expected);

    let reason = Some(text("it cannot be entered"));
    world.observe(Observation::InsideNotWatched { container: id("both"), reason });
    let row = world.row("both");
    assert!(row.unwatched_reason.unwrap().ends_with("network namespace: it cannot be entered"));
    assert!(world.snapshot().missing["containers"].as_str().contains("both (overlay)"));
    world.observe(Observation::InsideNotWatched { container: id("both"), reason: None });
    assert!(!world.row("both").unwatched_reason.unwrap().contains("entered"));
}
