//! Containers and interfaces come and go, and the news of it arrives in any order.

use crate::world::{World, container, counts, endpoint, flow, id, mac, ms, network_id, text};
use monitor::engine::Ask;
use monitor::model::{Change, ContainerState, DeviceCounters, NetworkMode, Observation, Resources};
use std::time::Duration;

fn networked() -> World {
    let mut world = World::new();
    world.two_networks();
    world
}

#[test]
fn a_late_announcement_names_the_first_packets() {
    let mut world = networked();
    world.at(2_000).attach(1, "a", Some(mac("172.18.0.2")), None);
    world.at(2_040).flows(vec![flow(1, "172.18.0.2:4000", "9.9.9.9:53")]);
    world.pass_until(2_100);
    assert!(world.names().is_empty(), "it waits");
    world.endpoint("web", "a", "172.18.0.2");
    world.pass_until(2_150);
    assert_eq!(world.names(), ["web:4000 -> external:53"]);
    assert_eq!(world.row("web").state, ContainerState::Unknown);
    world.container(container("web", &[("a", "172.18.0.2")]));
    assert_eq!(world.row("web").peers.len(), 1);
}

#[test]
fn why_an_answer_of_docker_was_refused_is_told_with_how_many() {
    let mut world = networked();
    assert_eq!(world.snapshot().docker_refused, None);
    for (answers, last) in [(1, "no name"), (3, "not a container id: ../x")] {
        world.change(Change::Refused { answers, last: last.to_owned() });
    }
    let snapshot = world.snapshot();
    assert_eq!(snapshot.docker_refused, Some(text("not a container id: ../x")));
    assert_eq!(snapshot.losses.get("docker_answers_refused"), 3);
}

#[test]
fn what_crosses_before_docker_answers_at_all_is_named_and_judged_once_it_does() {
    for (answers_at, named) in [(9_000, true), (13_000, false)] {
        let mut world = World::without_docker(|_| {});
        world.at(2_000).attach(1, "a", Some(mac("172.18.0.2")), None);
        world.attach(2, "b", Some(mac("172.19.0.2")), None);
        world.at(2_500).flows(vec![flow(1, "172.18.0.2:4000", "172.19.0.2:53")]);
        world.pass_until(answers_at);
        assert_eq!(world.names().is_empty(), named, "it waits ten seconds");
        world.docker_up();
        world.two_networks();
        for (name, network, address) in [("web", "a", "172.18.0.2"), ("db", "b", "172.19.0.2")] {
            world.container(container(name, &[(network, address)]));
        }
        for later in 1..4 {
            world.pass_until(answers_at + later * 1_000);
            world.flows(Vec::new());
            world.observe(Observation::Resources(Resources::default()));
        }
        let found: Vec<String> =
            world.snapshot().findings.iter().map(|finding| finding.rule.as_str().to_owned()).collect();
        assert_eq!(found.is_empty(), !named, "{found:?}");
        assert_eq!(world.names().iter().any(|name| name == "web:4000 -> db:53"), named);
    }
}

#[test]
fn a_container_that_ends_within_a_tick_is_named_after_its_end() {
    for announced_before in [true, false] {
        let mut world = networked();
        world.at(2_000).attach(1, "a", Some(mac("172.18.0.2")), None);
        if announced_before {
            world.endpoint("web", "a", "172.18.0.2");
        }
        world.at(2_300).peer_lost(1);
        if !announced_before {
            world.at(2_305).endpoint("web", "a", "172.18.0.2");
        }
        world.at(2_310).detach(1);
        world.at(2_320).stopped("web");
        world.flows(vec![flow(1, "172.18.0.2:4000", "9.9.9.9:53")]);
        world.pass_until(5_000);
        assert_eq!(world.names(), ["web:4000 -> external:53"], "announced before: {announced_before}");
    }
}

#[test]
fn the_other_end_waits_for_its_name_too() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.pass_until(5_000);
    world.attach(2, "a", Some(mac("172.18.0.3")), None);
    world.at(5_040).flows(vec![flow(1, "172.18.0.2:80", "172.18.0.3:4000").received(102)]);
    world.pass_until(5_100);
    assert!(world.names().is_empty());
    world.endpoint("app", "a", "172.18.0.3");
    world.pass_until(5_150);
    assert_eq!(world.names(), ["web:80 -> app:4000"]);
}

#[test]
fn what_is_never_announced_is_told_without_a_name_after_five_seconds() {
    let mut world = networked();
    world.at(2_000).attach(1, "a", Some(mac("172.18.0.2")), None);
    world.at(2_500).flows(vec![flow(1, "172.18.0.2:4000", "9.9.9.9:53")]);
    world.pass_until(6_950);
    assert!(world.names().is_empty());
    assert_eq!(world.state.settled(), 0);
    world.pass_until(7_050);
    assert_eq!(world.names(), ["unknown(not_a_container):4000 -> external:53"]);
    assert_eq!(world.state.settled(), 1);
    assert_eq!(world.snapshot().unattributed[0].reason, "not_a_container");
}

#[test]
fn a_reused_address_never_blames_the_wrong_container() {
    // `one` ends and `two` gets its address, hardware address and all, within one tick; the peer sees both.
    for die_first in [true, false] {
        let mut world = networked();
        world.running("peer", 9, "a", "172.18.0.9");
        world.running("one", 1, "a", "172.18.0.2");
        world.pass_until(5_000);
        if die_first {
            world.at(5_100).stopped("one");
            world.at(5_130).detach(1);
        } else {
            world.at(5_100).detach(1);
            world.at(5_130).stopped("one");
        }
        world.at(5_200).attach(2, "a", Some(mac("172.18.0.2")), None);
        world.at(5_300).endpoint("two", "a", "172.18.0.2");
        world.at(6_000).flows(vec![
            flow(1, "172.18.0.2:1", "172.18.0.9:80").seen(5_050, 5_090),
            flow(2, "172.18.0.2:2", "172.18.0.9:80").seen(5_250, 5_900),
            flow(9, "172.18.0.9:80", "172.18.0.2:1").seen(5_050, 5_090),
            flow(9, "172.18.0.9:80", "172.18.0.2:2").seen(5_250, 5_900),
            flow(9, "172.18.0.9:80", "172.18.0.2:3").received(101).seen(5_050, 5_090),
            flow(9, "172.18.0.9:80", "172.18.0.2:4").received(102).seen(5_250, 5_900),
            flow(9, "172.18.0.9:80", "172.18.0.2:5").seen(5_050, 5_900),
            flow(9, "172.18.0.9:80", "172.18.0.2:6").seen(5_150, 5_150),
        ]);
        assert_eq!(
            world.names(),
            [
                "one:1 -> peer:80",
                "two:2 -> peer:80",
                "peer:80 -> one:1",
                "peer:80 -> two:2",
                "peer:80 -> one:3",
                "peer:80 -> two:4",
                "peer:80 -> unknown(address_changed_hands):5",
                "peer:80 -> unknown(no_container_has_it):6",
            ],
            "die first: {die_first}"
        );
    }
}

#[test]
fn an_interface_recognised_by_a_stale_fact_is_given_to_its_real_owner() {
    // `one` was on nothing that is watched, so only Docker can tell that it ended; that comes last.
    let mut world = networked();
    world.container(container("one", &[("a", "172.18.0.2")]));
    world.at(5_000).attach(2, "a", Some(mac("172.18.0.2")), None);
    world.at(5_050).endpoint("two", "a", "172.18.0.2");
    world.at(5_060).change(Change::ContainerStopped { id: id("one"), at: ms(4_900) });
    world.at(8_000).flows(vec![flow(2, "172.18.0.2:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["two:1 -> external:80"]);
}

#[test]
fn a_reused_namespace_number_never_blames_the_wrong_container() {
    let mut world = networked();
    let mut one = container("one", &[("a", "172.18.0.2")]);
    one.namespace = Some(5);
    world.container(one);
    world.attach(1, "a", Some(mac("172.18.0.2")), Some(5));
    world.at(5_000).detach(1);
    world.at(5_100).attach(2, "a", Some(mac("172.18.0.3")), Some(5));
    world.at(5_110).endpoint("two", "a", "172.18.0.3");
    world.at(5_120).flows(vec![flow(2, "172.18.0.3:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["two:1 -> external:80"]);
    world.at(5_130).stopped("one");
    world.pass_until(5_200);
    world.flows(vec![flow(2, "172.18.0.3:1", "9.9.9.9:80").not_new()]);
    assert_eq!(world.names(), ["two:1 -> external:80"]);
}

#[test]
fn the_namespace_tells_before_the_address_does() {
    let mut world = networked();
    let mut web = container("web", &[]);
    web.namespace = Some(5);
    world.container(web);
    world.at(5_000).attach(1, "a", None, Some(5));
    world.at(5_010).flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["web:1 -> external:80"]);
}

#[test]
fn without_docker_everything_is_counted_and_named_later() {
    let mut world = World::without_docker(|_| {});
    world.docker_down();
    world.attach(1, "a", Some(mac("172.18.0.2")), None);
    world.total(1, counts(5, 500), counts(0, 0));
    world.at(2_000).read(&[1]);
    world.flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80")]);
    world.pass_until(7_100);
    assert_eq!(world.names(), ["unknown(docker_down):1 -> unknown(network_unknown):80"]);
    let snapshot = world.snapshot();
    assert_eq!(snapshot.unattributed[0].reason, "docker_down");
    assert_eq!(snapshot.unattributed[0].totals.sent, counts(5, 500));

    world.docker_up();
    world.two_networks();
    world.container(container("web", &[("a", "172.18.0.2")]));
    let row = world.row("web");
    assert_eq!(row.totals.sent, counts(5, 500));
    assert!(row.watched);
    world.flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80").not_new()]);
    assert_eq!(world.names(), ["web:1 -> external:80"]);
}

#[test]
fn names_stay_while_docker_is_down_and_what_went_meanwhile_is_pruned() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("app", 2, "a", "172.18.0.3");
    world.pass_until(5_000);
    world.docker_down();
    world.flows(vec![flow(1, "172.18.0.2:1", "172.18.0.3:80")]);
    assert_eq!(world.names(), ["web:1 -> app:80"]);
    world.at(6_000).detach(2);
    world.at(7_000).attach(3, "a", Some(mac("172.18.0.4")), None);
    world.pass_until(12_100);
    world.flows(vec![flow(3, "172.18.0.4:1", "172.18.0.2:80")]);
    assert_eq!(world.names(), ["unknown(docker_down):1 -> web:80"]);

    world.docker_up();
    world.container(container("web", &[("a", "172.18.0.2")]));
    world.container(container("new", &[("a", "172.18.0.4")]));
    let at = world.now;
    world.change(Change::Complete {
        containers: vec![id("web"), id("new")],
        networks: vec![network_id("a")],
        at,
    });
    world.pass_until(30_000);
    world.flows(vec![flow(3, "172.18.0.4:2", "172.18.0.2:80")]);
    assert!(world.names().ends_with(&["new:2 -> web:80".to_owned()]));
    let snapshot = world.snapshot();
    let names: Vec<_> = snapshot.containers.iter().map(|row| row.container.name.as_str()).collect();
    assert_eq!(names, ["new", "web"]);
    assert_eq!(snapshot.containers[0].container.networks.len(), 1, "network b is gone");
}

#[test]
fn a_rename_shows_at_once_and_keeps_the_figures() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.total(1, counts(5, 500), counts(4, 400));
    world.at(5_000).read(&[1]);
    let mut renamed = container("web", &[("a", "172.18.0.2")]);
    renamed.name = text("shop-front");
    world.container(renamed);
    assert_eq!(world.row("shop-front").totals.sent, counts(5, 500));
    world.flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["shop-front:1 -> external:80"]);
}

#[test]
fn a_restarted_container_goes_on_where_it_was() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.total(1, counts(5, 500), counts(4, 400));
    world.at(5_000).read(&[1]);
    world.at(5_100).stopped("web");
    world.at(5_130).detach(1);
    world.at(6_000).attach(2, "a", Some(mac("172.18.0.2")), None);
    world.at(6_050).endpoint("web", "a", "172.18.0.2");
    world.total(2, counts(1, 100), counts(1, 100));
    world.at(6_500).read(&[2]);
    world.container(container("web", &[("a", "172.18.0.2")]));
    let row = world.row("web");
    assert_eq!((row.totals.sent, row.totals.received), (counts(6, 600), counts(5, 500)));
    assert_eq!(row.state, ContainerState::Running);
    // Long after, the first interface is no longer remembered, but its figures are.
    for second in 7..200 {
        world.pass_until(second * 1_000);
        world.read(&[2]);
    }
    let row = world.row("web");
    assert_eq!(row.totals.sent, counts(6, 600));
    assert_eq!(row.window.sent, counts(0, 0));
    assert_eq!(world.state.sizes()[3], 1);
}

#[test]
fn a_stopped_container_leaves_the_screen_after_the_window() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.total(1, counts(5, 500), counts(4, 400));
    world.running("app", 2, "a", "172.18.0.3");
    world.at(5_000).read(&[1, 2]);
    world.at(5_100).stopped("web");
    world.at(5_130).detach(1);
    world.at(6_000).read(&[2]);
    assert_eq!(world.row("web").state, ContainerState::Exited);
    for second in 7..30 {
        world.pass_until(second * 1_000);
        world.read(&[2]);
    }
    let names: Vec<_> =
        world.snapshot().containers.iter().map(|row| row.container.name.to_string()).collect();
    assert_eq!(names, ["app"]);
}

#[test]
fn disconnect_and_connect_while_running() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.at(5_000).detach(1);
    world.at(5_024).change(Change::EndpointGone {
        container: id("web"),
        network: network_id("a"),
        at: ms(5_024),
    });
    world.change(Change::EndpointGone { container: id("web"), network: network_id("a"), at: ms(5_024) });
    assert!(!world.row("web").watched);
    world.at(6_000).attach(2, "b", Some(mac("172.19.0.5")), None);
    world.at(6_030).change(Change::Endpoint {
        container: id("web"),
        name: text("web"),
        endpoint: endpoint("b", "172.19.0.5"),
        at: ms(6_030),
    });
    world.flows(vec![flow(2, "172.19.0.5:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["web:1 -> external:80"]);
    let row = world.row("web");
    assert_eq!(row.memberships.len(), 1);
    assert_eq!(row.memberships[0].network.name.as_str(), "b");
    assert_eq!(row.container.name.as_str(), "web");
}

#[test]
fn hooks_that_come_back_find_the_owner_docker_still_lists() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.pass_until(5_000);
    world.detach(1);
    world.at(6_000).attach(2, "a", Some(mac("172.18.0.2")), None);
    world.pass_until(6_600);
    world.flows(vec![flow(2, "172.18.0.2:1", "9.9.9.9:80")]);
    assert_eq!(world.names(), ["web:1 -> external:80"]);
}

#[test]
fn an_answer_older_than_the_end_does_not_bring_a_container_back() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.at(5_000).stopped("web");
    let stale =
        Change::Container { container: Box::new(container("web", &[("a", "172.18.0.2")])), at: ms(4_990) };
    world.change(stale);
    world.detach(1);
    world.at(6_000).attach(2, "a", Some(mac("172.18.0.2")), None);
    world.pass_until(9_000);
    assert_eq!(world.snapshot().unattributed.len(), 1);
}

#[test]
fn what_crossed_before_the_watch_is_shown_apart() {
    let mut world = networked();
    world.container(container("web", &[("a", "172.18.0.2")]));
    let before = DeviceCounters {
        sent_skbs: 10,
        sent_bytes: 1_000,
        received_skbs: 20,
        received_bytes: 2_000,
        ..DeviceCounters::default()
    };
    world.attach_with(1, "a", Some(mac("172.18.0.2")), None, before);
    let row = world.row("web");
    assert_eq!((row.before_watch.sent.skbs, row.before_watch.received.skb_bytes), (10, 2_000));
    assert_eq!(row.unaccounted_bytes, None, "not read yet");
    // The device in this world counts from zero, so the figures cannot agree.
    world.at(2_000).read(&[1]);
    assert_eq!(world.row("web").unaccounted_bytes, Some(3_000));
}

#[test]
fn the_window_is_the_difference_of_two_readings() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    for second in 2..=30 {
        world.total(1, counts(second, second * 100), counts(0, 0));
        world.at(second * 1_000).read(&[1]);
    }
    let snapshot = world.snapshot();
    assert_eq!(snapshot.window, Duration::from_secs(10));
    let row = &snapshot.containers[0];
    assert_eq!((row.window.sent, row.totals.sent), (counts(10, 1_000), counts(30, 3_000)));
    assert_eq!(row.unaccounted_bytes, Some(0));
}

#[test]
fn the_engine_asks_for_what_it_does_not_know() {
    let mut world = networked();
    world.at(2_000).attach(1, "a", Some(mac("172.18.0.2")), None);
    assert_eq!(world.state.asks(world.now), [Ask::NetworkOfBridge(text("br-a"))]);
    assert!(world.state.asks(world.now).is_empty(), "once");
    world.at(2_200).container(container("web", &[("a", "172.18.0.2")]));
    world.state.housekeeping(world.now);
    let namespace = Ask::Namespace { sandbox: "/run/netns/web".into() };
    assert_eq!(world.state.asks(world.now), std::slice::from_ref(&namespace));
    world.observe(Observation::Namespace { sandbox: "/run/netns/web".into(), namespace: None, inode: None });
    assert_eq!(world.state.asks(ms(2_300)), [namespace], "no number yet: again");
    world.observe(Observation::Namespace {
        sandbox: "/run/netns/web".into(),
        namespace: Some(4),
        inode: None,
    });
    assert!(world.state.asks(ms(60_000)).is_empty());
}

#[test]
fn nothing_is_asked_of_a_docker_that_is_down_or_about_the_hosts_own_namespace() {
    let mut world = World::without_docker(|_| {});
    world.attach(1, "a", Some(mac("172.18.0.2")), None);
    let mut on_host = container("on-host", &[]);
    on_host.network_mode = NetworkMode::Host;
    world.container(on_host);
    let asks = world.state.asks(world.now);
    assert!(asks.iter().all(|ask| matches!(ask, Ask::WatchGroup { .. })), "{asks:?}");
}

#[test]
fn a_list_older_than_the_end_does_not_bring_a_container_back() {
    let mut world = networked();
    world.running("web", 1, "a", "172.18.0.2");
    world.at(5_000).detach(1);
    world.change(Change::ContainerGone { id: id("web"), at: ms(5_000) });
    let endpoint = endpoint("a", "172.18.0.2");
    world.change(Change::Endpoint { container: id("web"), name: text("web"), endpoint, at: ms(4_990) });
    world.pass_until(30_000);
    assert!(world.snapshot().containers.is_empty());
    world.pass_until(200_000);
    assert_eq!(world.state.sizes()[..2], [0, 0]);
}

#[test]
fn what_was_told_after_the_list_was_made_stays() {
    let mut world = networked();
    world.at(5_000).running("new", 1, "a", "172.18.0.2");
    world.change(Change::Complete { containers: Vec::new(), networks: Vec::new(), at: ms(4_900) });
    assert!(world.row("new").watched);
    world.change(Change::Complete { containers: Vec::new(), networks: Vec::new(), at: ms(5_000) });
    world.detach(1);
    world.pass_until(20_000);
    assert!(world.snapshot().containers.is_empty());
}
