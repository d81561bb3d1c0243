//! What is said of packets that were seen nowhere: that they were not delivered, if nothing was lost; else nothing.

use crate::world::{World, container, flow, ip, ms, text};
use monitor::model::{Container, Drop, DropBatch, DropWatch, Losses, Observation, Protocol, Resources};
use monitor::snapshot::Finding;

/// What crosses from `a` to `b` and arrives nowhere, with these drops and losses in its tick.
fn found(drops: Vec<Drop>, lost: &[(&'static str, u64)]) -> Finding {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    world.running("db", 2, "b", "172.19.0.2");
    world.observe(Observation::DropWatch(DropWatch::Watched));
    world.pass_until(5_000);
    tick(&mut world, &[]);
    let epoch = world.epoch + 1;
    world.at(6_000).observe(Observation::Drops(DropBatch { epoch, drops }));
    world.flows(vec![flow(1, "172.18.0.2:40000", "172.19.0.2:80")]);
    tick(&mut world, lost);
    for second in 7..10 {
        world.at(second * 1_000).flows(Vec::new());
        tick(&mut world, lost);
    }
    let findings = world.snapshot().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings[0].clone()
}

/// The end of a tick.
fn tick(world: &mut World, lost: &[(&'static str, u64)]) {
    let mut losses = Losses::default();
    for (name, count) in lost {
        losses.set(name, *count);
    }
    world.observe(Observation::Losses(losses));
    world.observe(Observation::Resources(Resources::default()));
}

fn dropped(port: u16) -> Drop {
    Drop {
        source: ip("172.18.0.2"),
        destination: ip("172.19.0.2"),
        protocol: Protocol::UDP,
        port: Some(port),
        reason: text("NETFILTER_DROP"),
        device: 10,
        ingress: 10,
        packets: 1,
        bytes: 100,
        first_seen: ms(6_000),
        last_seen: ms(6_000),
    }
}

fn check(drops: Vec<Drop>, lost: &[(&'static str, u64)], outcome: &str, reason: Option<&str>) {
    let finding = found(drops, lost);
    assert_eq!((finding.outcome.name(), finding.reason), (outcome, reason), "{finding:?}");
}

#[test]
fn nothing_seen_and_nothing_lost_is_undelivered() {
    check(Vec::new(), &[], "undelivered", None);
    check(vec![dropped(81)], &[("ring_full", 9), ("observations_dropped", 9)], "undelivered", None);
}

#[test]
fn a_drop_that_was_seen_proves_it_whatever_was_lost() {
    let lost = [("flow_map_full", 9), ("drop_map_full", 9), ("drain_failed", 1)];
    check(vec![dropped(80)], &lost, "blocked", None);
}

#[test]
fn a_loss_in_its_tick_makes_it_unknown() {
    for (name, reason) in [
        ("flow_map_full", "flows_not_recorded"),
        ("unknown_interface", "flows_not_recorded"),
        ("drain_failed", "flows_lost"),
        ("grace_period_failed", "flows_lost"),
        ("drop_map_full", "drops_lost"),
        ("drops_missed", "drops_lost"),
    ] {
        check(Vec::new(), &[(name, 1)], "unknown", Some(reason));
    }
}

#[test]
fn a_drop_that_found_no_room_to_be_remembered_is_a_loss() {
    // Its own comes first, and all others push it out.
    let many = [80].into_iter().chain(1_000..18_000).map(dropped).collect();
    check(many, &[], "unknown", Some("drops_lost"));
}

/// What asks a published port of the host, where the host's firewall drops what it makes of it.
#[test]
fn what_is_dropped_behind_a_published_port_is_blocked_though_conntrack_forgot_it() {
    for (drops, outcome) in [(vec![dropped(80)], "blocked"), (vec![dropped(81)], "unknown")] {
        let mut world = World::new();
        world.two_networks();
        world.running("web", 1, "a", "172.18.0.2");
        world.running("db", 2, "b", "172.19.0.2");
        let published = vec![(ip("0.0.0.0"), 8_080, 80, "udp".to_owned())];
        world.container(Container { published, ..container("db", &[("b", "172.19.0.2")]) });
        world.observe(Observation::DropWatch(DropWatch::Watched));
        world.pass_until(5_000);
        tick(&mut world, &[]);
        let epoch = world.epoch + 1;
        world.at(6_000).observe(Observation::Drops(DropBatch { epoch, drops }));
        world.flows(vec![flow(1, "172.18.0.2:40000", "172.18.0.1:8080")]);
        for second in 7..10 {
            tick(&mut world, &[]);
            world.at(second * 1_000).flows(Vec::new());
        }
        let findings = world.snapshot().findings;
        let told: Vec<_> = findings.iter().map(|it| (it.rule.as_str(), it.outcome.name())).collect();
        assert_eq!(told, [("published-port", outcome)]);
    }
}
