//! Who sends what does not fit, though it was told: when that is a finding, and of whom.

use super::{CLIENT, OUTSIDE, SERVER, errors, lost, rows, scene, scene_with, sign, tick, too_big};
use crate::world::{Told as Tick, World, counts, flow, name};
use monitor::model::{Direction, Observation, Resources, Told};
use monitor::snapshot::Finding;

fn findings(world: &mut World) -> Vec<Finding> {
    let findings = world.snapshot().findings;
    findings.into_iter().filter(|finding| finding.rule.as_str() == "wrong-mtu").collect()
}

/// Connections that the client opens from these ports, to ends outside.
fn opened(world: &mut World, ports: &[(u16, &str)]) {
    world.at(5_500);
    let open = |(port, to): &(u16, &str)| {
        let tick = flow(1, &format!("172.18.0.2:{port}"), to).and_received(9);
        tick.tcp("SA", "SA", Some(5_499_000), Some(5_499_500))
    };
    world.flows(ports.iter().map(open).collect());
}

/// So many bytes are sent on these connections, each in a packet, and each is told this in the same tick.
fn sent(world: &mut World, millis: u64, ports: &[(u16, &str)], bytes: u64, told: Told) {
    world.at(millis);
    let tick = |(port, to): &(u16, &str)| {
        let tick = flow(1, &format!("172.18.0.2:{port}"), to).and_received(9).not_new();
        tick.counted(counts(1, bytes), counts(1, 60)).tcp("A", "A", None, None)
    };
    let ticks: Vec<Tick> = ports.iter().map(tick).collect();
    let signs = ticks.iter().map(|tick| sign(world, tick.delta.key, Direction::Received, told)).collect();
    world.observe(Observation::Failures(signs));
    world.flows(ticks);
    world.observe(Observation::Resources(Resources::default()));
}

/// A connection of the client is told the MTU, and after that so many times again, each time for a packet that it sent.
fn disobey(world: &mut World, times: u64) {
    opened(world, &[(4_000, OUTSIDE)]);
    for time in 0..=times {
        sent(world, 6_000 + time * 1_000, &[(4_000, OUTSIDE)], 1_500, too_big(1_300, 1_500));
    }
}

fn evidence(finding: &Finding) -> [String; 2] {
    let told: Vec<_> = finding.evidence.iter().map(|it| format!("{}: {}", it.at, it.saw)).collect();
    told.try_into().unwrap()
}

#[test]
fn a_wrong_mtu_is_one_finding_of_who_sends_that_is_told_anew_and_over_when_it_is() {
    let mut world = scene();
    disobey(&mut world, 2);
    assert_eq!(findings(&mut world), [], "once or twice may be a program that tries");
    let again = |second: u64, world: &mut World| {
        sent(world, second * 1_000, &[(4_000, OUTSIDE)], 1_500, too_big(1_300, 1_500));
        let [finding] = &*findings(world) else { panic!("one finding") };
        finding.clone()
    };
    let finding = again(9, &mut world);
    assert_eq!((finding.kind.name(), finding.outcome.name(), finding.revision), ("broken", "blocked", 1));
    let ends = [&finding.source, &finding.destination].map(name);
    assert_eq!((ends.each_ref().map(String::as_str), &*finding.ports), (["client", "external"], &[80][..]));
    for second in 10..=19 {
        let finding = again(second, &mut world);
        let told = format!(
            "192.0.2.1: told it of {} packets of theirs by ICMP (fragmentation-needed) that no more than 1300 bytes fit",
            second - 6
        );
        let sent = "client: sent on in connections with another end, a second or more after these had been told what fits";
        assert_eq!(evidence(&finding), [sent.to_owned(), told.clone()]);
        assert!(finding.explanation.contains(&told.replacen(':', "", 1)), "{finding:?}");
        // What is new is told every ten seconds.
        assert_eq!(finding.revision, if second < 19 { 1 } else { 2 }, "{second}");
    }
    // A connection that hangs tries again every two minutes.
    for (second, open) in [(145, 1), (151, 0)] {
        world.pass_until(second * 1_000);
        world.flows(vec![]);
        world.observe(Observation::Resources(Resources::default()));
        assert_eq!(findings(&mut world).len(), open, "{second}");
    }
}

#[test]
fn connections_that_are_told_an_mtu_once_each_are_no_finding_of_a_wrong_one() {
    // Each may be of another kernel behind the same end.
    let mut world = scene();
    let ports = [(4_000, OUTSIDE), (4_001, OUTSIDE), (4_002, OUTSIDE), (4_003, OUTSIDE)];
    opened(&mut world, &ports);
    for (second, port) in (6..).step_by(2).zip(ports) {
        sent(&mut world, second * 1_000, &[port], 1_500, too_big(1_300, 1_500));
    }
    let [row] = &*rows(&mut world) else { panic!("one row") };
    assert_eq!((row.icmp[0].packets, row.icmp[0].again, row.is_wrong_mtu()), (4, 0, false));
    assert_eq!(findings(&mut world), []);
}

#[test]
fn errors_about_what_was_not_sent_are_no_finding_of_a_wrong_mtu() {
    let mut world = scene();
    opened(&mut world, &[(4_000, OUTSIDE)]);
    for second in 6..30 {
        // Acknowledgements alone.
        sent(&mut world, second * 1_000, &[(4_000, OUTSIDE)], 60, too_big(1_300, 1_500));
    }
    assert_eq!((findings(&mut world), errors(&mut world)[0].again), (vec![], 0));
}

#[test]
fn datagrams_that_are_too_big_are_no_finding() {
    let mut world = scene();
    for second in 6..20 {
        tick(&mut world, second * 1_000, &[too_big(1_300, 1_500)]);
    }
    assert_eq!((findings(&mut world), errors(&mut world)[0].again), (vec![], 13));
}

#[test]
fn many_to_whom_something_does_not_fit_are_one_finding_and_many_mtus_find_no_room() {
    let clients: Vec<String> = (1..=100).map(|host| format!("192.0.2.{host}:80")).collect();
    let ports: Vec<(u16, &str)> = (4_000..).zip(clients.iter().map(String::as_str)).collect();
    let mut world = scene();
    opened(&mut world, &ports);
    for second in 6..10 {
        sent(&mut world, second * 1_000, &ports, 1_500, too_big(1_300, 1_500));
    }
    let [finding] = &*findings(&mut world) else { panic!("one finding") };
    let [sender, teller] = evidence(finding);
    assert!(sender.contains("16 other ends or more") && teller.contains("300 packets"), "{finding:?}");
    for time in 0..4_u64 {
        for (at, port) in (0..).zip(&ports) {
            sent(&mut world, 10_000 + time * 1_000, &[*port], 1_500, too_big(1_000 + at, 1_500));
        }
    }
    assert_eq!((findings(&mut world).len(), lost(&mut world, "findings_refused")), (64, 37));
}

#[test]
fn a_wrong_mtu_that_the_policy_file_knows_is_no_finding() {
    let accept = |from| {
        format!("[[accept]]\nrule = 'wrong-mtu'\nfrom = {{ container = '{from}' }}\nuntil = 2099-01-01\n")
    };
    for (from, found) in [("client", 0), ("server", 1)] {
        let mut world = scene_with(&accept(from));
        disobey(&mut world, 5);
        assert_eq!(findings(&mut world).len(), found, "{from}");
    }
}

#[test]
fn each_end_that_sends_what_does_not_fit_is_a_finding_of_its_own() {
    let mut world = scene();
    world.at(5_500);
    let [at_client, at_server] = [(1, CLIENT, SERVER, 102), (2, SERVER, CLIENT, 101)];
    let of = |(interface, local, remote, origin): (u32, &str, &str, u32)| {
        flow(interface, local, remote).and_received(origin).counted(counts(1, 1_500), counts(1, 1_500))
    };
    let (syn, syn_ack) = (Some(5_499_000), Some(5_499_500));
    world.flows(vec![
        of(at_client).tcp("SA", "SA", syn, syn_ack),
        of(at_server).received(101).tcp("SA", "SA", syn, syn_ack),
    ]);
    for second in 6..10 {
        world.at(second * 1_000);
        let ticks = [at_client, at_server].map(|end| of(end).not_new().tcp("A", "A", None, None));
        let told = too_big(1_300, 1_500);
        let signs =
            ticks.iter().map(|tick| sign(&world, tick.delta.key, Direction::Received, told)).collect();
        world.observe(Observation::Failures(signs));
        world.flows(ticks.into());
        world.observe(Observation::Resources(Resources::default()));
    }
    let mut ends: Vec<_> = findings(&mut world)
        .iter()
        .map(|finding| (name(&finding.source), name(&finding.destination), finding.ports.clone()))
        .collect();
    ends.sort();
    let both = [("client", "server"), ("server", "client")];
    assert_eq!(ends, both.map(|(from, to)| (from.to_owned(), to.to_owned(), vec![80])));
}
