//! Whatever the order of the news: every byte told by the kernel is in exactly one record.

use crate::world::{World, bridge_network, container, counts, endpoint, flow, id, mac, text};
use monitor::model::{Change, ContainerId, Counts};
use proptest::prelude::*;
use std::collections::HashMap;

/// Something that happens. Small numbers, so that addresses, interfaces and containers meet often.
#[derive(Clone, Debug)]
enum Event {
    Attach(u32, u8),
    Detach(u32),
    Container(u8, u8),
    Endpoint(u8, u8),
    Stopped(u8),
    Gone(u8),
    NetworkTold,
    DockerDown,
    DockerUp,
    Complete,
    Flow { interface: u32, local: u8, remote: u8, port: u16, bytes: u64, origin: u32 },
    Pass(u16),
    Repeat,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1..6_u32, 2..6_u8).prop_map(|(number, address)| Event::Attach(number, address)),
        1 => (1..6_u32).prop_map(Event::Detach),
        2 => (0..4_u8, 2..6_u8).prop_map(|(who, address)| Event::Container(who, address)),
        2 => (0..4_u8, 2..6_u8).prop_map(|(who, address)| Event::Endpoint(who, address)),
        1 => (0..4_u8).prop_map(Event::Stopped),
        1 => (0..4_u8).prop_map(Event::Gone),
        1 => Just(Event::NetworkTold),
        1 => Just(Event::DockerDown),
        1 => Just(Event::DockerUp),
        1 => Just(Event::Complete),
        8 => (1..6_u32, 2..6_u8, 1..8_u8, 1..4_u16, 1..2_000_u64, 0..106_u32).prop_map(
            |(interface, local, remote, port, bytes, origin)| Event::Flow {
                interface, local, remote, port, bytes, origin
            }
        ),
        3 => (1..3_000_u16).prop_map(Event::Pass),
        1 => Just(Event::Repeat),
    ]
}

fn name(who: u8) -> String {
    format!("c{who}")
}

fn apply(
    world: &mut World,
    event: &Event,
    told: &mut HashMap<u32, Counts>,
    last: &mut Option<monitor::model::FlowBatch>,
) {
    let at = world.now;
    match event {
        // A number is given once.
        Event::Attach(number, address) => {
            if !told.contains_key(number) {
                told.insert(*number, Counts::default());
                world.attach(*number, "a", Some(mac(&format!("172.18.0.{address}"))), None);
            }
        }
        Event::Detach(number) => world.detach(*number),
        Event::Container(who, address) => {
            world.container(container(&name(*who), &[("a", &format!("172.18.0.{address}"))]));
        }
        Event::Endpoint(who, address) => world.change(Change::Endpoint {
            container: id(&name(*who)),
            name: text(&name(*who)),
            endpoint: endpoint("a", &format!("172.18.0.{address}")),
            at,
        }),
        Event::Stopped(who) => world.stopped(&name(*who)),
        Event::Gone(who) => world.change(Change::ContainerGone { id: id(&name(*who)), at }),
        Event::NetworkTold => world.network(bridge_network("a", &[("172.18.0.0", 16)], &["172.18.0.1"])),
        Event::DockerDown => world.docker_down(),
        Event::DockerUp => world.docker_up(),
        Event::Complete => {
            let containers: Vec<ContainerId> = (0..2).map(|who| id(&name(who))).collect();
            world.change(Change::Complete { containers, networks: vec![crate::world::network_id("a")], at });
        }
        Event::Flow { interface, local, remote, port, bytes, origin } => {
            let Some(sum) = told.get_mut(interface) else { return };
            let delta =
                flow(*interface, &format!("172.18.0.{local}:{port}"), &format!("172.18.0.{remote}:80"))
                    .and_received(*origin)
                    .counted(counts(1, *bytes), counts(2, *bytes));
            *sum += counts(3, 2 * bytes);
            let batch = world.batch(vec![delta], true);
            *last = Some(batch.clone());
            world.observe(monitor::model::Observation::Flows(batch));
        }
        Event::Pass(millis) => {
            let until = world.now.0 / 1_000_000 + u64::from(*millis);
            world.pass_until(until);
        }
        Event::Repeat => {
            if let Some(batch) = last.clone() {
                world.observe(monitor::model::Observation::Flows(batch));
            }
        }
    }
}

proptest! {
    #[test]
    fn every_byte_is_in_exactly_one_record(events in proptest::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        let (mut told, mut last) = (HashMap::new(), None);
        for event in &events {
            apply(&mut world, event, &mut told, &mut last);
        }
        // Long enough for every name that still waits.
        let until = world.now.0 / 1_000_000 + 6_000;
        world.pass_until(until);
        let mut recorded: HashMap<u32, Counts> = told.keys().map(|number| (*number, Counts::default())).collect();
        for record in world.records() {
            *recorded.entry(record.observed_at.number.0).or_default() += record.sent + record.received;
        }
        prop_assert_eq!(recorded, told);
    }

    #[test]
    fn the_order_of_the_news_does_not_matter_once_all_is_told(seed in Just(()), order in Just([0_usize, 1, 2, 3, 4]).prop_shuffle()) {
        let () = seed;
        let mut world = World::new();
        for step in order {
            match step {
                0 => world.network(bridge_network("a", &[("172.18.0.0", 16)], &["172.18.0.1"])),
                1 => world.attach(1, "a", Some(mac("172.18.0.2")), None),
                2 => world.attach(2, "a", Some(mac("172.18.0.3")), None),
                3 => world.container(container("web", &[("a", "172.18.0.2")])),
                _ => world.endpoint("app", "a", "172.18.0.3"),
            }
            let next = world.now.0 / 1_000_000 + 30;
            world.pass_until(next);
        }
        world.flows(vec![flow(1, "172.18.0.2:1", "172.18.0.3:80"), flow(2, "172.18.0.3:80", "172.18.0.2:1").received(101)]);
        prop_assert_eq!(world.names(), ["web:1 -> app:80", "app:80 -> web:1"]);
    }
}
