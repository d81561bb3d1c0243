//! Names that containers asked for: whose question it was, and which flows are to what was answered.

use crate::world::{World, flow, ip, ms, text};
use monitor::model::{
    DnsAnswer, DnsExchange, DnsPlace, DnsRecord, DnsTransport, InterfaceNumber, KernelTime, Observation,
};

/// `api`, asked for at a place, with an address for an answer.
fn api(place: DnsPlace, at: KernelTime) -> DnsExchange {
    DnsExchange {
        place,
        asked_at: at,
        asked: 1,
        client: "172.18.0.2:40000".parse().unwrap(),
        resolver: "172.18.0.9:53".parse().unwrap(),
        transport: DnsTransport::Udp,
        forwarded: false,
        id: 7,
        name: text("api"),
        record_type: text("A"),
        answer: Some(DnsAnswer {
            at,
            code: text("NOERROR"),
            truncated: false,
            records: vec![DnsRecord::Address(ip("172.18.0.3"))],
            left_out: 0,
        }),
    }
}

/// Who is told to have asked, by the time that everybody could be known.
fn askers(world: &mut World) -> Vec<String> {
    world.pass_until(20_000);
    let asked = world.snapshot().asked;
    asked.names.iter().map(|row| row.container.name.as_str().to_owned()).collect()
}

#[test]
fn a_name_is_not_that_of_a_container_that_got_the_address_later() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("db", 2, "a", "172.18.0.3");
    world.at(5_000);
    world.observe(Observation::Names(vec![api(DnsPlace::Interface(InterfaceNumber(1)), ms(5_000))]));
    world.pass_until(5_500);
    world.flows(vec![flow(1, "172.18.0.2:4000", "172.18.0.3:80")]);
    assert_eq!(world.records()[0].remote_name, Some(text("api")));
    world.at(6_000);
    world.stopped("db");
    world.detach(2);
    world.at(9_000);
    world.running("cache", 3, "a", "172.18.0.3");
    world.at(12_000);
    world.flows(vec![flow(1, "172.18.0.2:4001", "172.18.0.3:80").seen(11_500, 11_900)]);
    let last = world.records().last().unwrap().clone();
    assert_eq!(last.remote.container.unwrap().name, text("cache"));
    assert_eq!(last.remote_name, None);
}

#[test]
fn a_namespaces_number_that_is_given_again_is_nobodys_until_it_is_known() {
    let own = |world: &mut World, inode| {
        let sandbox = "/run/netns/web".to_owned();
        world.observe(Observation::Namespace { sandbox, namespace: Some(5), inode: Some(inode) });
    };
    let start = || {
        let mut world = World::new();
        world.two_networks();
        world.running("web", 1, "a", "172.18.0.2");
        world
    };
    let mut world = start();
    own(&mut world, 77);
    world.at(5_000);
    world.observe(Observation::Names(vec![api(DnsPlace::Namespace(77), ms(5_000))]));
    assert_eq!(askers(&mut world), ["web"]);

    let mut world = start();
    own(&mut world, 77);
    world.at(5_000);
    world.stopped("web");
    world.at(6_000);
    world.observe(Observation::Names(vec![api(DnsPlace::Namespace(77), ms(6_000))]));
    assert!(askers(&mut world).is_empty(), "it had ended");

    // Asked before the container had an address: whose it was is not known any more.
    let mut world = World::new();
    world.two_networks();
    world.at(5_000);
    world.observe(Observation::Names(vec![api(DnsPlace::Namespace(77), ms(4_900))]));
    world.running("web", 1, "a", "172.18.0.2");
    own(&mut world, 77);
    assert!(askers(&mut world).is_empty(), "it was another one's");
}
