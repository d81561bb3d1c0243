//! What the host changes on the way, told by conntrack; and what is said where conntrack cannot be asked.

use crate::world::{World, flow, ip, text};
use monitor::model::{Conntrack, DropWatch, Observation, Protocol, Translation, TranslationChange, Tuple};
use monitor::snapshot::Translated;

/// web on network a (172.18.0.2) and db on network b (172.19.0.2), which sees b's gateway as the sender.
fn masqueraded() -> World {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("db", 2, "b", "172.19.0.2");
    world.pass_until(5_000);
    world
}

fn tuple(source: &str, destination: &str, ports: (u16, u16)) -> Tuple {
    Tuple { source: ip(source), destination: ip(destination), protocol: Protocol::UDP, ports }
}

/// The bridge of network a, from which db's packets come.
const BRIDGE: u32 = 10;

fn told_at_db(world: &mut World) -> (String, Option<Translated>) {
    world.flows(vec![flow(2, "172.19.0.2:80", "172.19.0.1:4000").received(BRIDGE)]);
    world.pass_until(9_000);
    let name = world.names().into_iter().next().expect("a record");
    let record = world.records().first().expect("a record");
    (name, record.translated)
}

#[test]
fn conntrack_names_who_is_behind_the_hosts_address() {
    let mut world = masqueraded();
    let original = tuple("172.18.0.2", "172.19.0.2", (4_000, 80));
    let reply = tuple("172.19.0.2", "172.19.0.1", (80, 4_000));
    let known = TranslationChange::Known(Translation { original, reply });
    world.observe(Observation::Translations(vec![known]));
    let (name, translated) = told_at_db(&mut world);
    assert_eq!(name, "db:80 -> web:4000");
    let (original, reply) = (Some(original), Some(reply));
    assert_eq!(translated, Some(Translated { kind: "masquerade", original, reply, evidence: "conntrack" }));
}

#[test]
fn without_conntrack_it_is_some_container_of_the_origins_network() {
    let mut world = masqueraded();
    let (name, translated) = told_at_db(&mut world);
    assert_eq!(name, "db:80 -> unknown(masqueraded):4000");
    let translated = translated.expect("the origin tells");
    assert_eq!((translated.kind, translated.evidence, translated.original), ("masquerade", "origin", None));
    let origin = world.records().first().and_then(|record| record.origin.clone()).expect("an origin");
    assert_eq!(origin.network.map(|network| network.name), Some(text("a")));
}

#[test]
fn after_an_overrun_only_what_is_told_anew_counts() {
    let mut world = masqueraded();
    let original = tuple("172.18.0.2", "172.19.0.2", (4_000, 80));
    let reply = tuple("172.19.0.2", "172.19.0.1", (80, 4_000));
    let known = TranslationChange::Known(Translation { original, reply });
    world.observe(Observation::Translations(vec![known]));
    world.observe(Observation::Conntrack(Conntrack::Overrun));
    assert_eq!(told_at_db(&mut world).0, "db:80 -> unknown(masqueraded):4000");
}

#[test]
fn what_cannot_be_seen_here_is_said_until_it_can() {
    let mut world = World::new();
    world.observe(Observation::DropWatch(DropWatch::Off(text("no BTF"))));
    world.observe(Observation::Conntrack(Conntrack::Off(text("no module"))));
    let missing = world.snapshot().missing;
    assert_eq!(
        missing.into_iter().collect::<Vec<_>>(),
        [("drops", text("no BTF")), ("translations", text("no module"))]
    );
    world.observe(Observation::Conntrack(Conntrack::Watched));
    assert_eq!(world.snapshot().missing.keys().copied().collect::<Vec<_>>(), ["drops"]);
}
