//! Other rules while conversations go on: what they say the same of stays, the rest ends and is judged anew.

use crate::world::{Told, World, container, counts, flow};
use monitor::engine::{Filter, Topic};
use monitor::model::{Container, Counts, DropWatch, NetworkMode, Observation, Resources};
use monitor::policy::file::Policy;
use monitor::snapshot::{Finding, Record};
use std::sync::Arc;
use tokio::sync::mpsc;

const DENY: &str = "[[rule]]\nname = 'no-db'\naction = 'deny'\nto = { container = 'db' }\n";
const REPORT: &str = "[[rule]]\nname = 'no-db'\naction = 'report'\nto = { container = 'db' }\n";
const WORSE: &str = "[[rule]]\nname = 'no-db'\naction = 'deny'\nto = { container = 'db' }\nseverity = 'info'\ncomment = 'x'\n";
const ANOTHER: &str = "[[rule]]\nname = 'other'\naction = 'deny'\nto = { container = 'nobody' }\n";
const ACCEPT: &str = "[[rule]]\nname = 'no-db'\naction = 'deny'\nto = { container = 'db' }\n\
                      [[accept]]\nrule = 'no-db'\nuntil = 2099-01-01\n";

/// Two containers of one network, one of which sends to the other in each tick, and a reader of findings.
struct Scene {
    world: World,
    findings: mpsc::Receiver<Record>,
    second: u64,
}

impl Scene {
    fn with(policy: &str) -> Self {
        let policy = Arc::new(Policy::read(policy.as_bytes()).unwrap());
        let mut world = World::without_docker(|settings| settings.policy = policy);
        world.docker_up();
        world.two_networks();
        world.running("web", 1, "a", "172.18.0.2");
        world.running("db", 2, "a", "172.18.0.3");
        world.observe(Observation::DropWatch(DropWatch::Watched));
        let (queue, findings) = mpsc::channel(1_000);
        world.state.subscribe(Filter { topic: Topic::Findings, ..Filter::default() }, queue);
        world.pass_until(5_000);
        Self { world, findings, second: 5 }
    }

    /// A tick in which the conversation has these packets more, if any.
    fn tick(&mut self, packets: u64) {
        self.second += 1;
        self.world.at(self.second * 1_000);
        let flows = if packets > 0 { conversation(packets, self.second) } else { Vec::new() };
        self.world.flows(flows);
        self.world.observe(Observation::Resources(Resources::default()));
    }

    fn judge_by(&mut self, policy: &str) {
        let policy = Arc::new(Policy::read(policy.as_bytes()).unwrap());
        self.world.state.judge_by(policy, self.world.now);
    }

    /// What was told since the last call.
    fn told(&mut self) -> Vec<Arc<Finding>> {
        let mut told = Vec::new();
        while let Ok(record) = self.findings.try_recv() {
            if let Record::Finding(finding) = record {
                told.push(finding);
            }
        }
        told
    }

    /// Kind, packets, revision, and whether it is open, of what was told since the last call.
    #[track_caller]
    fn check(&mut self, expected: &[(&str, u64, u32, bool)]) {
        let told = self.told();
        let told: Vec<_> =
            told.iter().map(|it| (it.kind.name(), it.counts.packets, it.revision, it.is_open)).collect();
        assert_eq!(told, expected);
    }
}

/// What both interfaces tell of it.
fn conversation(packets: u64, second: u64) -> Vec<Told> {
    let of = |told: Told, sent, received| {
        let told = told.counted(sent, received).seen(6_000, second * 1_000);
        if second > 6 { told.not_new() } else { told }
    };
    let (sent, none) = (counts(packets, packets * 100), Counts::default());
    vec![
        of(flow(1, "172.18.0.2:40000", "172.18.0.3:80"), sent, none),
        of(flow(2, "172.18.0.3:80", "172.18.0.2:40000").received(101), none, sent),
    ]
}

#[test]
fn a_rule_that_comes_finds_what_goes_on_and_counts_from_then_on() {
    let mut scene = Scene::with("");
    (0..3).for_each(|_| scene.tick(10));
    scene.check(&[]);
    scene.judge_by(DENY);
    scene.check(&[]);
    scene.tick(4);
    let changed = scene.world.now;
    let told = scene.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].rule.as_str(), told[0].outcome.name(), told[0].counts.packets),
        ("no-db", "delivered", 4)
    );
    assert!(told[0].first_seen.0 >= changed.0 - 1_000_000_000, "it was no violation before");
    scene.tick(2);
    scene.check(&[("violation", 6, 2, true)]);
}

#[test]
fn a_rule_that_goes_ends_what_it_found_at_once_and_says_why() {
    let mut scene = Scene::with(DENY);
    (0..3).for_each(|_| scene.tick(10));
    scene.check(&[("violation", 10, 1, true), ("violation", 20, 2, true), ("violation", 30, 3, true)]);
    scene.judge_by("");
    let told = scene.told();
    assert!(told.len() == 1 && !told[0].is_open && told[0].revision == 4, "{told:?}");
    assert!(
        told[0].explanation.ends_with("It ends because the policy was read anew."),
        "{}",
        told[0].explanation
    );
    assert!(scene.world.snapshot().findings.is_empty());
    (0..3).for_each(|_| scene.tick(10));
    scene.check(&[]);
}

#[test]
fn what_is_judged_the_same_goes_on_as_if_nothing_had_been() {
    let mut scene = Scene::with(DENY);
    (0..2).for_each(|_| scene.tick(10));
    scene.judge_by(&format!("{DENY}{ANOTHER}"));
    scene.tick(10);
    scene.check(&[("violation", 10, 1, true), ("violation", 20, 2, true), ("violation", 30, 3, true)]);
}

#[test]
fn a_rule_that_says_something_else_ends_one_finding_and_begins_another() {
    for (policy, kind, severity) in [(REPORT, "crossing", "info"), (WORSE, "violation", "info")] {
        let mut scene = Scene::with(DENY);
        scene.tick(10);
        scene.check(&[("violation", 10, 1, true)]);
        scene.judge_by(policy);
        scene.check(&[("violation", 10, 2, false)]);
        scene.tick(5);
        let told = scene.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].kind.name(), told[0].severity.name(), told[0].counts.packets),
            (kind, severity, 5)
        );
    }
}

#[test]
fn what_is_accepted_from_now_on_ends_and_what_is_accepted_no_longer_is_found() {
    let mut scene = Scene::with(DENY);
    scene.tick(10);
    scene.judge_by(ACCEPT);
    scene.check(&[("violation", 10, 1, true), ("violation", 10, 2, false)]);
    scene.tick(10);
    scene.check(&[]);
    scene.judge_by(DENY);
    scene.check(&[]);
    scene.tick(3);
    scene.check(&[("violation", 3, 1, true)]);
}

#[test]
fn what_arrives_nowhere_is_still_found_broken() {
    let mut scene = Scene::with("");
    scene.judge_by(ANOTHER);
    scene.second += 1;
    scene.world.at(scene.second * 1_000).flows(vec![flow(1, "172.18.0.2:40000", "172.18.0.3:80")]);
    scene.world.observe(Observation::Resources(Resources::default()));
    (0..3).for_each(|_| scene.tick(0));
    scene.check(&[("broken", 1, 1, true)]);
    scene.judge_by("");
    (0..3).for_each(|_| scene.tick(0));
    scene.check(&[]);
    assert_eq!(scene.world.snapshot().findings.len(), 1, "it goes on");
}

#[test]
fn what_stands_is_looked_at_again() {
    let mut scene = Scene::with("");
    let host_mode = Container { network_mode: NetworkMode::Host, ..container("agent", &[]) };
    scene.world.container(host_mode);
    scene.world.pass_until(6_000);
    assert_eq!(scene.world.snapshot().standing.len(), 1);
    scene.judge_by("[[accept]]\nrule = 'host-mode'\nuntil = 2099-01-01\n");
    scene.world.pass_until(7_000);
    assert!(scene.world.snapshot().standing.is_empty());
    scene.judge_by("");
    scene.world.pass_until(8_000);
    assert_eq!(scene.world.snapshot().standing.len(), 1);
}
