//! Both ends of what crosses an interface.

use crate::world::{World, bridge_network, container, flow, id, ip, mac, ms, name, text};
use monitor::model::{Change, ContainerState, Initiator, NetworkMode};
use monitor::snapshot::{OriginKind, TcpState};
use std::time::Duration;

/// Two networks; `web` (interface 1) and `app` (2) on `a`, `other` (3) on `b`; all announced long ago.
fn settled() -> World {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("app", 2, "a", "172.18.0.3");
    world.running("other", 3, "b", "172.19.0.2");
    world.pass_until(5_000);
    world
}

#[track_caller]
fn check(told: crate::world::Told, expected: &str) {
    let mut world = settled();
    world.flows(vec![told]);
    assert_eq!(world.names(), [expected]);
}

#[test]
fn nginx_to_flask_is_named_from_both_interfaces() {
    let mut world = settled();
    world.flows(vec![
        flow(1, "172.18.0.2:40000", "172.18.0.3:5000")
            .tcp("SAP", "SAP", Some(4_000_000), Some(4_000_150))
            .and_received(102),
        flow(2, "172.18.0.3:5000", "172.18.0.2:40000")
            .tcp("SAP", "SAP", Some(4_000_010), Some(4_000_120))
            .received(101),
    ]);
    assert_eq!(world.names(), ["web:40000 -> app:5000", "app:5000 -> web:40000"]);
    let [at_web, at_app] = world.records() else { panic!("two records") };
    assert_eq!((at_web.initiator, at_app.initiator), (Initiator::Local, Initiator::Remote));
    let tcp = at_web.tcp.unwrap();
    assert_eq!((tcp.state, tcp.handshake), (TcpState::Established, Some(Duration::from_micros(150))));
    let origin = at_app.origin.as_ref().unwrap();
    assert_eq!(origin.kind, OriginKind::Veth);
    assert_eq!(origin.container.as_ref().unwrap().as_str(), "web");
    assert_eq!(at_web.network.as_ref().unwrap().name.as_str(), "a");
    let container = at_web.remote.container.as_ref().unwrap();
    assert_eq!(container.service.as_ref().unwrap().as_str(), "app");

    // The client sees the service's port; the server sees the client without its ephemeral one.
    assert_eq!(name(&world.row("web").peers[0].end), "app:5000");
    assert_eq!(name(&world.row("app").peers[0].end), "web");
    let handshake = world.row("web").handshake.unwrap();
    assert_eq!((handshake.count, handshake.p50), (1, Duration::from_micros(150)));
    assert_eq!(world.row("app").handshake, None);
}

#[test]
fn a_published_port_shows_its_client_as_what_it_is() {
    // From outside: the uplink, source kept. From the host: docker-proxy, source the gateway, no device.
    check(flow(1, "172.18.0.2:80", "203.0.113.9:5555").received(2), "web:80 -> external:5555");
    check(flow(1, "172.18.0.2:80", "172.18.0.1:5555").received(0), "web:80 -> host:5555");
    check(flow(1, "172.18.0.2:80", "172.18.0.1:5555"), "web:80 -> host:5555");
    check(flow(1, "172.18.0.2:4000", "10.1.1.1:8080"), "web:4000 -> host:8080");
}

#[test]
fn a_masqueraded_sender_of_another_network_is_not_called_the_host() {
    let mut world = settled();
    world.flows(vec![flow(3, "172.19.0.2:80", "172.19.0.1:5555").received(10)]);
    world.at(6_000).flows(vec![flow(3, "172.19.0.2:80", "172.19.0.1:5555").not_new()]);
    let expected = "other:80 -> unknown(masqueraded):5555";
    assert_eq!(world.names(), [expected, expected], "a reply alone is named by the origin known before");
    let origin = world.records()[0].origin.clone().unwrap();
    assert_eq!((origin.kind, origin.network.unwrap().name.as_str()), (OriginKind::Bridge, "a"));
}

#[test]
fn a_masqueraded_client_from_the_uplink_is_external() {
    check(flow(1, "172.18.0.2:80", "172.18.0.1:5555").received(2), "web:80 -> external:5555");
}

#[test]
fn a_member_of_another_network_is_named_by_its_address() {
    check(flow(1, "172.18.0.2:4000", "172.19.0.2:80"), "web:4000 -> other:80");
    check(flow(3, "172.19.0.2:80", "172.18.0.2:4000").received(10), "other:80 -> web:4000");
}

#[test]
fn an_address_of_a_network_that_nobody_has_is_unknown() {
    check(flow(1, "172.18.0.2:4000", "172.18.0.99:80"), "web:4000 -> unknown(no_container_has_it):80");
    check(flow(1, "172.18.0.2:4000", "172.19.0.99:80"), "web:4000 -> unknown(no_container_has_it):80");
}

#[test]
fn outside_is_external_and_what_goes_to_many_is_multicast() {
    check(flow(1, "172.18.0.2:4000", "9.9.9.9:53"), "web:4000 -> external:53");
    check(flow(1, "172.18.0.2:4000", "224.0.0.251:5353"), "web:4000 -> multicast:5353");
    check(flow(1, "172.18.0.2:4000", "172.18.255.255:137"), "web:4000 -> multicast:137");
    check(flow(1, "172.18.0.2:4000", "255.255.255.255:67"), "web:4000 -> multicast:67");
    check(flow(1, "[fe80::1]:546", "[ff02::1:2]:547"), "web:546 -> multicast:547");
}

#[test]
fn a_forged_source_is_named_by_the_interface_it_came_from() {
    // `app` claims to be `web`: at the receiver, and at its own interface.
    let mut world = settled();
    world.running("victim", 4, "a", "172.18.0.4");
    world.pass_until(9_000);
    world.flows(vec![
        flow(4, "172.18.0.4:80", "172.18.0.2:9").received(102),
        flow(2, "172.18.0.2:9", "172.18.0.4:80"),
    ]);
    assert_eq!(world.names(), ["victim:80 -> app:9", "app:9 -> victim:80"]);
    assert!(world.row("web").peers.is_empty());
}

#[test]
fn several_origins_with_different_owners_cannot_be_told() {
    let mut world = settled();
    world.running("victim", 4, "a", "172.18.0.4");
    world.pass_until(9_000);
    world.flows(vec![flow(4, "172.18.0.4:80", "172.18.0.2:9").received(101).also_from(102)]);
    assert_eq!(world.names(), ["victim:80 -> unknown(several_origins):9"]);
    assert!(world.records()[0].origin.as_ref().unwrap().several);
}

#[test]
fn a_routing_container_is_the_origin_and_the_address_names_the_sender() {
    let mut world = settled();
    world.container(container("router", &[("a", "172.18.0.9"), ("b", "172.19.0.9")]));
    world.attach(8, "a", Some(mac("172.18.0.9")), None);
    world.attach(9, "b", Some(mac("172.19.0.9")), None);
    world.pass_until(9_000);
    world.flows(vec![flow(3, "172.19.0.2:80", "172.18.0.2:4000").received(109)]);
    assert_eq!(world.names(), ["other:80 -> web:4000"]);
    let origin = world.records()[0].origin.clone().unwrap();
    assert_eq!(origin.container.unwrap().as_str(), "router");
}

#[test]
fn ipv6_is_named_the_same_way() {
    let mut world = settled();
    world.running("six", 5, "a", "fd00:a::5");
    world.running("seven", 6, "b", "fd00:b::7");
    world.host(&[(10, "br-a", "fe80::1"), (2, "eth0", "2001:db8::1")]);
    world.pass_until(9_000);
    world.flows(vec![
        flow(5, "[fd00:a::5]:4000", "[fd00:b::7]:80"),
        flow(6, "[fd00:b::7]:80", "[fd00:a::5]:4000").received(10),
        flow(5, "[fd00:a::5]:4000", "[fe80::1]:53"),
        flow(5, "[fd00:a::5]:4000", "[2001:db8::9]:443"),
        flow(5, "[fd00:a::5]:4000", "[fd00:a::1]:53"),
        flow(5, "[fe80::5]:4000", "[fe80::77]:53"),
        flow(5, "[fe80::5]:4000", "[fe80::78]:53").received(101),
    ]);
    assert_eq!(
        world.names(),
        [
            "six:4000 -> seven:80",
            "seven:80 -> six:4000",
            "six:4000 -> host:53",
            "six:4000 -> external:443",
            "six:4000 -> host:53",
            "six:4000 -> unknown(link_local):53",
            "six:4000 -> web:53",
        ]
    );
}

#[test]
fn a_container_on_two_networks_is_one_container_with_two_interfaces() {
    let mut world = settled();
    world.container(container("both", &[("a", "172.18.0.9"), ("b", "172.19.0.9")]));
    world.attach(8, "a", Some(mac("172.18.0.9")), None);
    world.attach(9, "b", Some(mac("172.19.0.9")), None);
    world.pass_until(9_000);
    world.flows(vec![
        flow(8, "172.18.0.9:4000", "172.18.0.2:80"),
        flow(9, "172.19.0.9:4000", "172.19.0.2:80"),
        flow(1, "172.18.0.2:4000", "172.19.0.9:80"),
    ]);
    assert_eq!(world.names(), ["both:4000 -> web:80", "both:4000 -> other:80", "web:4000 -> both:80"]);
    let row = world.row("both");
    let networks: Vec<_> = row
        .memberships
        .iter()
        .map(|it| (it.network.name.as_str(), it.interface.as_ref().map(|(name, _)| name.as_str())))
        .collect();
    assert_eq!(networks, [("a", Some("veth8")), ("b", Some("veth9"))]);
}

#[test]
fn containers_in_one_namespace_are_one_owner_with_two_names() {
    let mut world = settled();
    let mut sidecar = container("sidecar", &[]);
    sidecar.network_mode = NetworkMode::SharedWith(id("web"));
    sidecar.sandbox = None;
    sidecar.namespace = Some(7);
    world.container(sidecar);
    world.peer_read(1, mac("172.18.0.2"), 7);
    world.flows(vec![flow(1, "172.18.0.2:4000", "172.18.0.3:80")]);
    assert_eq!(world.names(), ["web:4000 -> app:80"]);
    let web = world.records()[0].local.container.clone().unwrap();
    assert_eq!(web.shares_namespace_with, [text("sidecar")]);
    let row = world.row("sidecar");
    assert!(!row.watched);
    assert!(row.unwatched_reason.unwrap().contains("counted with web"));
    assert_eq!(row.container.shares_namespace_with, [text("web")]);
}

#[test]
fn host_mode_and_macvlan_say_why_they_are_not_watched() {
    let mut world = settled();
    let mut on_host = container("on-host", &[]);
    on_host.network_mode = NetworkMode::Host;
    world.container(on_host);
    let mut macvlan = bridge_network("m", &[("10.5.0.0", 24)], &["10.5.0.1"]);
    macvlan.driver = monitor::model::NetworkDriver::Macvlan;
    macvlan.bridge = None;
    world.network(macvlan);
    world.container(container("lan", &[("m", "10.5.0.2")]));
    assert!(world.row("on-host").unwatched_reason.unwrap().contains("host mode"));
    assert!(world.row("lan").unwatched_reason.unwrap().contains("macvlan"));
    let missing = world.snapshot().missing["containers"].to_string();
    assert_eq!(missing, "1 container is not watched, or not on all networks: lan (macvlan)");
    world.flows(vec![flow(1, "172.18.0.2:4000", "10.5.0.2:80"), flow(1, "172.18.0.2:4000", "10.5.0.1:80")]);
    let expected = ["web:4000 -> lan:80", "web:4000 -> external:80"];
    assert_eq!(world.names(), expected, "the gateway of a macvlan network is not this host");
}

#[test]
fn the_same_address_in_two_other_networks_is_ambiguous() {
    let mut world = settled();
    for (network, name) in [("c", "one"), ("d", "two")] {
        world.network(bridge_network(network, &[("10.7.0.0", 24)], &[]));
        let mut member = container(name, &[(network, "10.7.0.2")]);
        member.endpoints[0].addresses = vec![ip("10.7.0.2")];
        world.container(member);
    }
    world.flows(vec![flow(1, "172.18.0.2:4000", "10.7.0.2:80")]);
    assert_eq!(world.names(), ["web:4000 -> unknown(ambiguous_address):80"]);
}

#[test]
fn two_containers_with_one_ethernet_address_are_told_apart_by_the_namespace_only() {
    let mut world = World::new();
    world.two_networks();
    let same = mac("172.18.0.2");
    for (name, address, namespace) in [("one", "172.18.0.2", 5), ("two", "172.18.0.3", 6)] {
        let mut twin = container(name, &[("a", address)]);
        twin.endpoints[0].mac = Some(same);
        world.container(twin);
        world.state.observe(
            monitor::model::Observation::Namespace {
                sandbox: format!("/run/netns/{name}"),
                namespace: Some(namespace),
                inode: None,
            },
            world.now,
        );
    }
    world.attach(1, "a", Some(same), None);
    world.pass_until(5_000);
    assert_eq!(world.snapshot().unattributed.len(), 1);
    world.peer_read(1, same, 6);
    world.flows(vec![flow(1, "172.18.0.3:4000", "9.9.9.9:53")]);
    assert_eq!(world.names(), ["two:4000 -> external:53"]);
}

#[test]
fn a_changed_ethernet_address_does_not_move_an_interface_to_its_new_namesake() {
    let mut world = settled();
    world.peer_read(1, mac("172.18.0.3"), 7);
    world.pass_until(9_000);
    world.flows(vec![flow(1, "172.18.0.2:4000", "9.9.9.9:53")]);
    assert_eq!(world.names(), ["web:4000 -> external:53"]);
}

#[test]
fn a_container_that_joins_the_view_later_keeps_its_state() {
    let mut world = settled();
    let mut paused = container("web", &[("a", "172.18.0.2")]);
    paused.state = ContainerState::Paused;
    world.container(paused);
    assert_eq!(world.row("web").state, ContainerState::Paused);
    let at = ms(5_000);
    world.change(Change::EndpointGone { container: id("web"), network: crate::world::network_id("a"), at });
    assert!(world.row("web").memberships.is_empty());
}
