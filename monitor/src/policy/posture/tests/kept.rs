//! What is accepted, and what is told from look to look.

use super::super::look::MOST;
use super::super::{PostureRule, Standing, Standings};
use super::{Host, NET_ADMIN, NOW, container, in_mode, socket, with};
use crate::model::{Change, DockerState, KernelTime, NetworkMode, WallTime};
use crate::policy::file::Policy;
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

#[test]
fn what_a_policy_file_accepts_is_told_again_when_its_time_is_over() {
    let mut host = Host::new();
    host.run(in_mode("agent", NetworkMode::Host)).run(in_mode("other", NetworkMode::Host));
    let mut count = |policy: &str, wall| host.look(policy, wall).standing.len();
    let accept = "[[accept]]\nrule = 'host-mode'\nfrom = { container = 'agent' }\nuntil = 1970-01-01\n";
    assert_eq!((count(accept, DAY - 1), count(accept, DAY)), (1, 2));
    // An entry about traffic accepts nothing that stands.
    assert_eq!(count(&format!("{accept}to = {{ host = true }}\n"), 0), 2);
    let all = "[[accept]]\nrule = 'host-mode'\nuntil = 1970-01-01\n";
    assert_eq!(count(all, 0), 0);
}

#[test]
fn a_network_is_accepted_by_its_name() {
    let mut host = Host::with("20.10.24");
    host.run(container("c6", &["six"])).run(container("c7", &["seven"]));
    let mut left = |from: &str| {
        let accept = format!("[[accept]]\nrule = 'ipv6-not-isolated'\nfrom = {from}\nuntil = 1970-01-01\n");
        host.look(&accept, 0).standing.len()
    };
    assert_eq!(left("{ network = 's*x' }"), 1);
    assert_eq!(left("{ network = 's*' }"), 0);
    assert_eq!(left("{ container = '*' }"), 2);
}

/// What is told: rule, revision, and whether it is open.
fn told(standing: &[Arc<Standing>]) -> Vec<(&'static str, u32, bool)> {
    standing.iter().map(|one| (one.rule.name(), one.revision, one.is_open)).collect()
}

#[test]
fn it_is_told_when_it_is_new_when_it_changes_and_when_it_is_over() {
    let mut host = Host::new();
    let mut standings = Standings::default();
    let policy = Policy::default();
    let mut look = |host: &mut Host, at: u64, changed: bool| {
        host.0.settle(KernelTime(at));
        if changed {
            standings.changed();
        }
        let found = standings.look(&host.0, &policy, KernelTime(at), WallTime(0));
        (told(&found), found)
    };
    host.run(with(NET_ADMIN, container("vpn", &["a"]))).run(container("web", &["a"]));
    assert_eq!(look(&mut host, 10, true).0, [("strong-rights", 1, true)]);
    assert_eq!(look(&mut host, 11, true).0, []);
    host.run(container("db", &["a"]));
    assert_eq!(look(&mut host, 12, false).0, [], "nothing is looked at for nothing");
    let (news, found) = look(&mut host, 13, true);
    assert_eq!(news, [("strong-rights", 2, true)]);
    assert_eq!((found[0].first_seen, found[0].last_seen), (KernelTime(10), KernelTime(13)));
    assert!(found[0].explanation.contains("2 other containers"), "{}", found[0].explanation);
    // While Docker is away, what stood stands.
    host.gone("vpn");
    host.0.change(&Change::Docker(DockerState::Down { since: KernelTime(14), reason: "gone".into() }));
    assert_eq!(look(&mut host, 14, true).0, []);
    host.docker("28", Some(false));
    let (news, found) = look(&mut host, 15, true);
    assert_eq!(news, [("strong-rights", 3, false)]);
    assert_eq!(found[0].last_seen, KernelTime(15));
    assert_eq!(look(&mut host, 16, true).0, []);
}

#[test]
fn the_end_of_an_acceptance_needs_no_other_change() {
    let mut host = Host::new();
    host.run(in_mode("agent", NetworkMode::Host));
    host.0.settle(NOW);
    let policy = Policy::read(b"[[accept]]\nrule = 'host-mode'\nuntil = 1970-01-01\n").unwrap();
    let mut standings = Standings::default();
    let mut look = |wall| told(&standings.look(&host.0, &policy, NOW, WallTime(wall)));
    assert_eq!(look(DAY - 1), []);
    assert_eq!(look(DAY), [("host-mode", 1, true)]);
}

#[test]
fn a_host_with_very_many_keeps_the_worst_and_counts_the_rest() {
    let mut host = Host::new();
    for number in 0..10_000 {
        host.run(in_mode(&format!("c{number:05}"), NetworkMode::Host));
    }
    host.run(with(socket(), in_mode("zz", NetworkMode::Host)));
    host.0.settle(NOW);
    let mut standings = Standings::default();
    let first = standings.look(&host.0, &Policy::default(), NOW, WallTime(0));
    assert_eq!((first.len(), standings.open().len()), (MOST, MOST));
    assert_eq!(first[0].rule, PostureRule::DockerSocket);
    assert_eq!(standings.not_kept().get("standing_findings_refused"), 10_002 - MOST as u64);
    // The same ones are kept at the next look: nothing flaps.
    host.gone("zz");
    standings.changed();
    host.0.settle(NOW);
    let next = told(&standings.look(&host.0, &Policy::default(), NOW, WallTime(0)));
    assert_eq!(next, [("host-mode", 1, true), ("docker-socket", 2, false)]);
}
