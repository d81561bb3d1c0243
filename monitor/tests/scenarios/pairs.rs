//! Who talks to whom, and where each network's traffic goes: sums worked out by hand, each byte once.

use crate::world::{Told, World, bridge_network, container, counts, flow, id, ip, text};
use monitor::model::{
    Counts, Drop, DropBatch, NetworkMode, Observation, Protocol, Traffic, Translation, TranslationChange,
    Tuple,
};
use monitor::snapshot::{Conversations, End, EndKind, NetworkRow, PairRow, Reach};

const WEB: &str = "172.18.0.2:4000";
const APP: &str = "172.18.0.3:80";

/// web and app on network a, db on b; nothing said yet.
fn three() -> World {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("app", 2, "a", "172.18.0.3");
    world.running("db", 3, "b", "172.19.0.2");
    world.pass_until(5_000);
    world
}

fn name(end: &End) -> String {
    let name = end.container.as_ref().map_or_else(|| end.address.to_string(), |it| it.name.to_string());
    end.port.map_or(name.clone(), |port| format!("{name}:{port}"))
}

/// Packets and bytes.
type Sum = (u64, u64);

/// `client -> server` with what the client sent and received, in packets and bytes.
fn told(row: &PairRow) -> (String, Sum, Sum) {
    let Traffic { sent, received } = row.traffic;
    let ends = format!("{} -> {}", name(&row.client), name(&row.server));
    (ends, (sent.packets, sent.bytes), (received.packets, received.bytes))
}

fn pairs(world: &mut World) -> Vec<(String, Sum, Sum)> {
    world.snapshot().pairs.iter().map(told).collect()
}

fn network(world: &mut World, name: &str) -> NetworkRow {
    let snapshot = world.snapshot();
    snapshot.networks.iter().find(|row| row.network.name.as_str() == name).unwrap().clone()
}

/// web asks app, as both interfaces see it.
fn asked(sent: Counts, received: Counts) -> Vec<Told> {
    vec![
        flow(1, WEB, APP).and_received(102).counted(sent, received),
        flow(2, APP, WEB).received(101).counted(received, sent),
    ]
}

#[test]
fn what_two_watched_interfaces_see_is_counted_once_at_its_sender() {
    let mut world = three();
    world.flows(asked(counts(7, 700), counts(5, 5_000)));
    assert_eq!(pairs(&mut world), [("web -> app:80".into(), (7, 700), (5, 5_000))]);
    let snapshot = world.snapshot();
    let row = &snapshot.pairs[0];
    assert_eq!((row.conversations, row.protocol, row.window), (1, Protocol::UDP, row.traffic));
    assert_eq!(row.network.as_ref().unwrap().name, text("a"));
    let [web, app] = ["web", "app"].map(|name| world.row(name).peers[0].traffic);
    assert_eq!((row.traffic.sent, row.traffic.received), (web.sent, app.sent));
    let a = network(&mut world, "a");
    assert_eq!(a.totals, Reach { inside: counts(12, 5_700), ..Reach::default() });
    assert_eq!(network(&mut world, "b").totals, Reach::default(), "a network without traffic has a row");
}

#[test]
fn what_was_lost_on_the_way_counts_where_it_was_sent() {
    let mut world = three();
    world.flows(vec![
        flow(1, WEB, APP).and_received(102).counted(counts(9, 900), counts(2, 200)),
        flow(2, APP, WEB).received(101).counted(counts(3, 300), counts(4, 400)),
    ]);
    assert_eq!(pairs(&mut world), [("web -> app:80".into(), (9, 900), (3, 300))]);
    assert_eq!(network(&mut world, "a").totals.inside, counts(12, 1_200));
}

#[test]
fn a_peer_without_a_watched_interface_is_counted_at_the_only_one() {
    let mut world = three();
    world.container(container("dark", &[("a", "172.18.0.9")]));
    world.flows(vec![
        flow(1, WEB, "9.9.9.9:443").and_received(2).counted(counts(3, 300), counts(4, 4_000)),
        flow(1, "172.18.0.2:80", "10.1.1.1:5000").received(0).counted(counts(1, 10), counts(2, 20)),
        flow(2, APP, "172.18.0.9:5000").received(109).counted(counts(5, 50), counts(6, 60)),
    ]);
    assert_eq!(
        pairs(&mut world),
        [
            ("web -> 9.9.9.9:443".into(), (3, 300), (4, 4_000)),
            ("dark -> app:80".into(), (6, 60), (5, 50)),
            ("10.1.1.1 -> web:80".into(), (2, 20), (1, 10)),
        ]
    );
    let traffic = |sent, received| Traffic { sent, received };
    assert_eq!(
        network(&mut world, "a").totals,
        Reach {
            inside: counts(11, 110),
            host: traffic(counts(1, 10), counts(2, 20)),
            outside: traffic(counts(3, 300), counts(4, 4_000)),
            ..Reach::default()
        }
    );
}

#[test]
fn a_forged_source_is_booked_to_whoever_sent_it() {
    let mut world = three();
    // web sends as app to app's own network, and as db, which is on another.
    world.running("victim", 4, "a", "172.18.0.8");
    world.flows(vec![
        flow(1, "172.18.0.3:4000", "172.18.0.8:53").counted(counts(100, 9_000), Counts::default()),
        flow(4, "172.18.0.8:53", "172.18.0.3:4000")
            .received(101)
            .counted(Counts::default(), counts(100, 9_000)),
        flow(1, "172.19.0.2:4000", "172.18.0.8:53").counted(counts(50, 4_000), Counts::default()),
        flow(4, "172.18.0.8:53", "172.19.0.2:4000")
            .received(101)
            .counted(Counts::default(), counts(50, 4_000)),
    ]);
    assert_eq!(pairs(&mut world), [("web -> victim:53".into(), (150, 13_000), (0, 0))]);
    assert!(world.row("app").peers.is_empty());
}

#[test]
fn one_end_that_nobody_saw_open_is_one_pair_without_a_port() {
    let mut world = three();
    let tcp = |told: Told| told.tcp("A", "A", None, None).not_new();
    world.flows(asked(counts(2, 200), counts(3, 300)).into_iter().map(tcp).collect());
    // By their ids, which are hexadecimal here: both interfaces come to the same order.
    assert_eq!(pairs(&mut world), [("app -> web".into(), (3, 300), (2, 200))]);
    assert_eq!(world.snapshot().pairs[0].conversations, 0);
}

#[test]
fn a_published_port_is_asked_at_the_host_and_answered_by_the_container() {
    let mut world = three();
    let tuple = |source: &str, destination: &str, ports| Tuple {
        source: ip(source),
        destination: ip(destination),
        protocol: Protocol::UDP,
        ports,
    };
    let original = tuple("172.18.0.2", "10.1.1.1", (4_000, 8_080));
    let reply = tuple("172.19.0.2", "172.19.0.1", (80, 4_000));
    world.observe(Observation::Translations(vec![TranslationChange::Known(Translation { original, reply })]));
    world.flows(vec![
        flow(1, WEB, "10.1.1.1:8080").and_received(20).counted(counts(4, 400), counts(3, 300)),
        flow(3, "172.19.0.2:80", "172.19.0.1:4000").received(10).counted(counts(3, 310), counts(4, 410)),
    ]);
    let mut found = pairs(&mut world);
    found.sort();
    assert_eq!(found[1], ("web -> db:80".into(), (4, 410), (3, 310)));
    assert_eq!((found[0].1, found[0].2), ((4, 400), (3, 300)), "{:?}", found[0]);
    let traffic = Traffic { sent: counts(3, 310), received: counts(4, 410) };
    assert_eq!(network(&mut world, "b").totals, Reach { networks: traffic, ..Reach::default() });
}

#[test]
fn a_window_has_what_the_latest_ticks_told() {
    let mut world = three();
    for second in 6..=30_u64 {
        world.at(second * 1_000).read(&[1, 2, 3]);
        let told = if second < 25 { asked(counts(1, 100), counts(2, 200)) } else { Vec::new() };
        world.flows(told);
        let pair = world.snapshot().pairs[0].clone();
        // The totals' window, ten seconds: until 11 s it is the whole watch, then it begins with a reading, the first
        // of which was at 6 s. What was told from 25 s on is nothing.
        let start = if second <= 11 { 5 } else { (second - 10).clamp(6, 24) };
        let ticks = second.min(24) - start;
        assert_eq!(pair.window.sent, counts(ticks, ticks * 100), "at {second} s");
        let a = network(&mut world, "a");
        assert_eq!(a.window.inside, counts(3 * ticks, ticks * 300), "at {second} s");
        assert_eq!(world.row("web").peers[0].window.sent, pair.window.sent, "at {second} s");
    }
    assert_eq!(pairs(&mut world), [("web -> app:80".into(), (19, 1_900), (38, 3_800))]);
    assert_eq!(network(&mut world, "a").totals.inside, counts(57, 5_700));
}

#[test]
fn pairs_are_bounded_and_the_one_seen_longest_ago_makes_room() {
    let mut world = three();
    world.flows(asked(counts(1, 100), counts(1, 100)));
    let scan = |from: u16, to: u16| {
        (from..to).map(|port| flow(1, WEB, &format!("9.9.9.9:{port}"))).collect::<Vec<_>>()
    };
    world.at(6_000).flows(scan(1, 4_096));
    let snapshot = world.snapshot();
    assert_eq!((snapshot.pairs.len(), snapshot.losses.get("pairs_forgotten")), (4_096, 0));
    // web and app talk again: they are not the ones seen longest ago any more.
    let again = asked(counts(1, 100), counts(1, 100)).into_iter().map(Told::not_new).collect();
    world.at(7_000).flows(again);
    world.at(8_000).flows(scan(10_000, 11_000));
    let snapshot = world.snapshot();
    assert_eq!((snapshot.pairs.len(), snapshot.losses.get("pairs_forgotten")), (4_096, 1_000));
    let kept = snapshot.pairs.iter().find(|row| row.server.container.is_some()).unwrap();
    assert_eq!(kept.traffic.sent, counts(2, 200));
    assert_eq!(kept.conversations, 1);
}

#[test]
fn the_pairs_of_a_removed_container_go_with_it() {
    let mut world = three();
    world.flows(asked(counts(1, 100), counts(1, 100)));
    world.flows(vec![flow(1, WEB, "9.9.9.9:443")]);
    assert_eq!(world.snapshot().pairs.len(), 2);
    let change = monitor::model::Change::ContainerGone { id: id("app"), at: world.now };
    world.change(change);
    world.at(200_000);
    world.state.housekeeping(world.now);
    world.flows(Vec::new());
    assert_eq!(pairs(&mut world), [("web -> 9.9.9.9:443".into(), (1, 100), (0, 0))]);
}

#[test]
fn rows_are_the_same_until_something_was_counted() {
    let mut world = three();
    world.flows(asked(counts(1, 100), counts(1, 100)));
    let (first, second) = (world.snapshot(), world.snapshot());
    assert!(std::sync::Arc::ptr_eq(&first.pairs, &second.pairs));
    assert!(std::sync::Arc::ptr_eq(&first.networks, &second.networks));
    world.network(bridge_network("c", &[("172.20.0.0", 16)], &[]));
    assert_eq!(world.snapshot().networks.len(), 3, "what Docker tells is news without any traffic");
    world.at(6_000).flows(Vec::new());
    assert!(!std::sync::Arc::ptr_eq(&first.pairs, &world.snapshot().pairs));
}

#[test]
fn what_waited_for_its_name_is_in_the_rows_without_another_tick() {
    let mut world = three();
    world.attach(7, "a", None, None);
    world.at(5_100).flows(vec![flow(7, "172.18.0.7:4000", APP)]);
    assert!(pairs(&mut world).is_empty());
    world.endpoint("late", "a", "172.18.0.7");
    world.peer_read(7, crate::world::mac("172.18.0.7"), 1);
    world.pass_until(5_700);
    assert_eq!(pairs(&mut world), [("late -> app:80".into(), (1, 100), (0, 0))]);
}

#[test]
fn members_are_the_running_containers_with_those_in_host_mode_on_the_hosts_network() {
    let mut world = three();
    let mut host = bridge_network("host", &[], &[]);
    (host.driver, host.bridge) = (monitor::model::NetworkDriver::Host, None);
    world.network(host);
    let mut agent = container("agent", &[]);
    agent.network_mode = NetworkMode::Host;
    world.container(agent);
    let members = |world: &mut World, name: &str| {
        let row = network(world, name);
        (row.members.iter().map(|it| it.name.to_string()).collect::<Vec<_>>(), row.interfaces_watched)
    };
    assert_eq!(members(&mut world, "a"), (vec!["app".to_owned(), "web".to_owned()], 2));
    assert_eq!(members(&mut world, "host"), (vec!["agent".to_owned()], 0));
    world.stopped("web");
    world.detach(1);
    assert_eq!(members(&mut world, "a"), (vec!["app".to_owned()], 1));
}

#[test]
fn a_crossing_is_told_of_both_networks() {
    let mut world = three();
    world.observe(Observation::DropWatch(monitor::model::DropWatch::Watched));
    let drop = Drop { protocol: Protocol::UDP, ..dropped("172.18.0.2", "172.19.0.2", 101, 10, 1) };
    world.observe(Observation::Drops(DropBatch { epoch: 1, drops: vec![drop] }));
    world.flows(vec![flow(1, WEB, "172.19.0.2:80")]);
    world.observe(Observation::Resources(monitor::model::Resources::default()));
    assert_eq!(world.snapshot().findings.len(), 1, "a violation: db is on another network");
    assert_eq!(["a", "b"].map(|name| network(&mut world, name).crossings), [1, 1]);
}

#[test]
fn conversations_are_counted_alive_and_since_the_watch_began() {
    let mut world = three();
    let tcp = |port: u16, sent: &str, received: &str| {
        let (web, app) = (format!("172.18.0.2:{port}"), APP);
        let (at_web, at_app) = (flow(1, &web, app).and_received(102), flow(2, app, &web).received(101));
        let syn = sent.contains('S').then_some(5_000_000);
        [at_web.tcp(sent, received, syn, syn), at_app.tcp(received, sent, syn, syn)]
    };
    let conversations = |world: &mut World| ["web", "app"].map(|name| world.row(name).conversations);
    let of = |alive, opened, accepted| Conversations { alive, opened, accepted };
    world.flows([tcp(1, "SA", "SA"), tcp(2, "SAF", "SAF")].into_iter().flatten().collect());
    assert_eq!(conversations(&mut world), [of(1, 2, 0), of(1, 0, 2)]);
    // The first is closed, the ports of the second are used again.
    world.at(6_000).flows([tcp(1, "AF", "AF"), tcp(2, "SA", "SA")].into_iter().flatten().collect());
    assert_eq!(conversations(&mut world), [of(1, 3, 0), of(1, 0, 3)]);
    world.at(6_100).flows(vec![flow(1, WEB, "9.9.9.9:53")]);
    assert_eq!(conversations(&mut world), [of(2, 3, 0), of(1, 0, 3)], "of every protocol");
    let pair = world.snapshot().pairs.iter().find(|it| it.protocol == Protocol::TCP).unwrap().clone();
    assert_eq!((pair.conversations, pair.handshake.map(|it| it.count)), (3, Some(3)));
    world.pass_until(2_000_000);
    assert_eq!(conversations(&mut world), [of(0, 3, 0), of(0, 0, 3)], "all are over");
}

fn dropped(source: &str, destination: &str, ingress: u32, device: u32, packets: u64) -> Drop {
    Drop {
        source: ip(source),
        destination: ip(destination),
        protocol: Protocol::TCP,
        port: Some(80),
        reason: text("NETFILTER_DROP"),
        device,
        ingress,
        packets,
        bytes: packets * 60,
        first_seen: monitor::model::KernelTime(5_000_000_000),
        last_seen: monitor::model::KernelTime(5_000_000_000),
    }
}

#[test]
fn a_drop_is_told_of_who_sent_it_and_of_who_was_to_get_it() {
    let mut world = three();
    world.observe(Observation::Drops(DropBatch {
        epoch: 1,
        drops: vec![
            // Between networks, at the bridge.
            dropped("172.18.0.2", "172.19.0.2", 101, 10, 3),
            // Forged in db's name by web, to outside.
            dropped("172.19.0.2", "9.9.9.9", 101, 101, 10),
            // From outside to app, at its veth.
            dropped("9.9.9.9", "172.18.0.3", 2, 102, 100),
            // From the host to nobody's address.
            dropped("10.1.1.1", "172.18.0.77", 0, 10, 1_000),
        ],
    }));
    assert_eq!(["web", "app", "db"].map(|name| world.row(name).dropped), [13, 100, 3]);
}

#[test]
fn ends_that_are_not_containers_keep_their_kind() {
    let mut world = three();
    world.flows(vec![flow(1, "172.18.0.2:5353", "224.0.0.251:5353")]);
    let row = world.snapshot().pairs[0].clone();
    assert_eq!((row.client.kind, row.server.kind), (EndKind::Container, EndKind::Multicast));
    assert_eq!((row.client.port, row.server.port), (None, Some(5_353)));
    assert_eq!(network(&mut world, "a").totals.other.sent, counts(1, 100));
}
