//! What is kept of the past: to the byte what the totals grew by, whoever comes, goes, and has no name yet.

use crate::world::{World, bridge_network, container, counts, flow, ip, mac, ms, network_id, text};
use monitor::model::{
    Change, DnsExchange, DnsPlace, DnsTransport, InterfaceNumber, Observation, Resources, Traffic,
};
use monitor::snapshot::{AskedPast, Interval, look_back};
use std::sync::Arc;

/// The last word of a tick.
fn tick(world: &mut World, numbers: &[u32], told: Vec<crate::world::Told>) {
    world.read(numbers);
    world.flows(told);
    world.observe(Observation::Resources(Resources::default()));
}

fn traffic_of(intervals: &[Arc<Interval>], name: &str) -> Traffic {
    let mut sum = Traffic::default();
    let all = intervals.iter().flat_map(|interval| &interval.containers);
    all.filter(|span| span.container.name.as_str() == name).for_each(|span| sum += span.traffic);
    sum
}

fn total(packets: u64, bytes: u64) -> Traffic {
    Traffic { sent: counts(packets, bytes), received: counts(packets * 2, bytes * 2) }
}

fn set(world: &mut World, number: u32, traffic: Traffic) {
    world.total(number, traffic.sent, traffic.received);
}

#[test]
fn what_containers_did_is_in_intervals_whoever_comes_goes_and_has_no_name_yet() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.attach(2, "a", Some(mac("172.18.0.3")), None);
    for second in 1..=400_u64 {
        world.pass_until(1_000 + second * 1_000);
        set(&mut world, 1, total(second, second * 1_000));
        if second <= 200 {
            set(&mut world, 2, total(second, second * 10));
        }
        if second == 3 {
            // What it did before it had a name is its own.
            world.container(container("late", &[("a", "172.18.0.3")]));
        }
        if second == 200 {
            world.detach(2);
            world.stopped("late");
        }
        let numbers: &[u32] = if second < 200 { &[1, 2] } else { &[1] };
        tick(&mut world, numbers, Vec::new());
    }
    let intervals = world.state.history();
    assert_eq!(traffic_of(&intervals, "web"), total(400, 400_000));
    assert_eq!(world.row("web").totals, total(400, 400_000));
    assert_eq!(traffic_of(&intervals, "late"), total(200, 2_000), "it is told of after it has gone");
    assert_eq!((intervals[0].start.kernel, intervals.last().unwrap().end.kernel), (ms(1_000), world.now));
    assert_eq!(intervals[0].length().as_secs(), 60);
    assert_eq!(intervals.last().unwrap().length().as_secs(), 1);
}

#[test]
fn what_another_agent_counted_before_is_not_of_now() {
    let mut world = World::new();
    world.two_networks();
    world.container(container("web", &[("a", "172.18.0.2")]));
    // It was watched before this began, and is taken over.
    let (now, before) = (world.now, ms(500));
    world.now = before;
    world.attach(1, "a", Some(mac("172.18.0.2")), None);
    world.now = now;
    for second in 1..=5_u64 {
        world.pass_until(1_000 + second * 1_000);
        set(&mut world, 1, total(1_000 + second, 1_000_000 + second));
        tick(&mut world, &[1], Vec::new());
    }
    let mut more = total(4, 4);
    more.received = counts(8, 8);
    assert_eq!(traffic_of(&world.state.history(), "web"), more, "from the first reading on");
    assert_eq!(world.row("web").totals, total(1_005, 1_000_005));
}

#[test]
fn pairs_and_names_of_a_time_are_those_that_were_in_it() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("app", 2, "a", "172.18.0.3");
    world.pass_until(5_000);
    for second in 6..=20_u64 {
        world.pass_until(second * 1_000);
        let app = flow(1, "172.18.0.2:4000", "172.18.0.3:80")
            .and_received(102)
            .counted(counts(1, 100), counts(1, 50));
        let told = match second {
            6 => vec![app],
            7..=9 => vec![app.not_new()],
            10 => vec![
                flow(1, "172.18.0.2:4001", "9.9.9.9:443").and_received(2).counted(counts(2, 7), counts(1, 9)),
            ],
            _ => Vec::new(),
        };
        if second == 12 {
            let unanswered = DnsExchange {
                place: DnsPlace::Interface(InterfaceNumber(1)),
                asked_at: ms(11_500),
                asked: 1,
                client: "172.18.0.2:40000".parse().unwrap(),
                resolver: "172.18.0.9:53".parse().unwrap(),
                transport: DnsTransport::Udp,
                forwarded: false,
                id: 7,
                name: text("nowhere"),
                record_type: text("A"),
                answer: None,
            };
            world.observe(Observation::Names(vec![unanswered; 3]));
        }
        tick(&mut world, &[1, 2], told);
    }
    // The wall clock is the kernel's, as this world has it.
    let booted = |second: i64| Some(monitor::model::WallTime(second * 1_000_000_000));
    let look = |since, until| {
        let asked = AskedPast { since: booted(since), until: booted(until), ..AskedPast::default() };
        look_back(&world.state.history(), &asked, &fresh(&world)).unwrap()
    };
    let pairs = |since, until| -> Vec<(u64, Option<u16>, u64)> {
        let past = look(since, until);
        past.snapshot
            .pairs
            .iter()
            .map(|row| (row.conversations, row.server.port, row.traffic.sent.bytes))
            .collect()
    };
    assert_eq!(pairs(5, 20), [(1, Some(80), 400), (1, Some(443), 7)]);
    assert_eq!(pairs(5, 7), [(1, Some(80), 200)]);
    assert_eq!(pairs(7, 10), [(0, Some(80), 200), (1, Some(443), 7)], "opened before");
    assert_eq!(pairs(13, 20), []);
    let names = |since, until| -> Vec<(String, u64, u64)> {
        let past = look(since, until);
        past.names.iter().map(|row| (row.name.to_string(), row.outcomes.sum(), row.failed())).collect()
    };
    assert_eq!(names(11, 12), [("nowhere".to_owned(), 3, 3)]);
    assert_eq!(names(13, 20), []);
    let web = look(5, 20).containers.into_iter().find(|span| span.container.name == text("web")).unwrap();
    assert_eq!(web.names_failed(), 3);
}

/// A snapshot to look back from.
fn fresh(world: &World) -> monitor::snapshot::Snapshot {
    let mut state = monitor::engine::State::new(
        monitor::engine::Settings::new(monitor::model::HostId {
            name: text("db-07"),
            boot_id: "boot".into(),
        }),
        world.now,
    );
    state.snapshot(world.now)
}

#[test]
fn what_crossed_both_interfaces_is_kept_whichever_of_them_is_told_first() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("app", 2, "a", "172.18.0.3");
    world.pass_until(5_000);
    let (web, app) = ("172.18.0.2:4000", "172.18.0.3:80");
    let sent = || flow(1, web, app).counted(counts(7, 700), Default::default());
    let arrived = || flow(2, app, web).received(101).counted(Default::default(), counts(6, 600));
    for second in 6..=9_u64 {
        world.pass_until(second * 1_000);
        let told = match second {
            6 => vec![arrived(), sent()],
            7 => vec![sent().not_new(), arrived().not_new()],
            8 => vec![
                arrived().not_new().counted(counts(2, 20), Default::default()),
                sent().not_new().and_received(102).counted(Default::default(), counts(1, 10)),
            ],
            _ => Vec::new(),
        };
        tick(&mut world, &[1, 2], told);
    }
    let look = |since, until| {
        let wall = |second: i64| Some(monitor::model::WallTime(second * 1_000_000_000));
        let asked = AskedPast { since: wall(since), until: wall(until), ..AskedPast::default() };
        look_back(&world.state.history(), &asked, &fresh(&world)).unwrap().snapshot
    };
    for (since, until, packets) in
        [(5, 6, [7, 6, 0, 0]), (6, 7, [7, 6, 0, 0]), (7, 8, [0, 0, 2, 1]), (5, 9, [14, 12, 2, 1])]
    {
        let snapshot = look(since, until);
        let [pair] = &*snapshot.pairs else { panic!("one pair from {since} to {until}") };
        let (traffic, hooks) = (pair.traffic, &pair.hooks);
        let crossed = [traffic.sent.packets, hooks.delivered, traffic.received.packets, hooks.came_back];
        assert_eq!(crossed, packets, "from {since} to {until}");
        assert!(hooks.devices.iter().all(Option::is_some), "{hooks:?}");
        assert_ne!(hooks.devices[0], hooks.devices[1]);
        // Where the network's traffic went is of the same time.
        let network = snapshot.networks.iter().find(|row| row.network.name.as_str() == "a").unwrap();
        assert_eq!(network.totals.inside.packets, traffic.sent.packets + traffic.received.packets);
    }
}

#[test]
fn a_network_that_is_gone_is_told_of_as_it_was() {
    let mut world = World::new();
    let mut closed = bridge_network("closed", &[("172.30.0.0", 24)], &["172.30.0.1"]);
    closed.internal = true;
    world.network(closed);
    world.running("web", 1, "closed", "172.30.0.2");
    for second in 6..=8_u64 {
        world.pass_until(second * 1_000);
        let asked = flow(1, "172.30.0.2:4000", "172.30.0.3:80").counted(counts(1, 100), counts(1, 50));
        tick(&mut world, &[1], vec![asked]);
    }
    world.detach(1);
    world.stopped("web");
    world.change(Change::NetworkGone { id: network_id("closed"), at: world.now });
    let of_then = |world: &World| {
        let past = look_back(&world.state.history(), &AskedPast::default(), &fresh(world)).unwrap();
        let row = past.snapshot.networks.iter().find(|row| row.network.id == network_id("closed"));
        row.map(|row| (row.is_internal(), row.subnets().to_vec()))
    };
    let as_it_was = Some((true, vec![(ip("172.30.0.0"), 24)]));
    assert_eq!(of_then(&world), as_it_was, "just now");
    for second in 9..=1_200_u64 {
        world.pass_until(second * 1_000);
        tick(&mut world, &[], Vec::new());
    }
    assert_eq!(of_then(&world), as_it_was, "when nothing else remembers it any more");
}
