//! What the configuration says, from what Docker tells to what a reader of findings gets.

use crate::world::{World, bridge_network, container, flow, id};
use monitor::engine::{Filter, Topic};
use monitor::model::{Change, Container, NetworkMode, Rights};
use monitor::policy::file::Policy;
use monitor::snapshot::Record;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A world with a reader of findings, and a policy file.
struct Told {
    world: World,
    findings: mpsc::Receiver<Record>,
}

impl Told {
    fn with(policy: &str) -> Self {
        let policy = Arc::new(Policy::read(policy.as_bytes()).unwrap());
        let mut world = World::without_docker(|settings| settings.policy = policy);
        let (queue, findings) = mpsc::channel(100);
        world.state.subscribe(Filter { topic: Topic::Findings, ..Filter::default() }, queue);
        world.docker_up();
        world.network(bridge_network("a", &[("172.18.0.0", 16)], &["172.18.0.1"]));
        Self { world, findings }
    }

    /// Lets a second pass, and checks what was told in it: rule, name, revision, and whether it is open.
    #[track_caller]
    fn check(&mut self, expected: &[(&str, &str, u32, bool)]) {
        self.world.pass_until(self.world.now.0 / 1_000_000 + 1_000);
        let mut told = Vec::new();
        while let Ok(record) = self.findings.try_recv() {
            let Record::Standing(one) = record else { panic!("nothing else was to be found: {record:?}") };
            told.push((one.rule.name(), one.subject.name().to_string(), one.revision, one.is_open));
        }
        let told: Vec<_> = told
            .iter()
            .map(|(rule, name, revision, open)| (*rule, name.as_str(), *revision, *open))
            .collect();
        assert_eq!(told, expected);
    }
}

fn in_host_mode(name: &str) -> Container {
    Container { network_mode: NetworkMode::Host, ..container(name, &[]) }
}

#[test]
fn who_takes_in_all_gets_flows_and_findings_and_nobody_gets_what_he_did_not_ask_for() {
    let mut world = World::new();
    world.two_networks();
    world.running("web", 1, "a", "172.18.0.2");
    let mut readers = [Topic::Flows, Topic::Findings, Topic::All].map(|topic| {
        let (queue, records) = mpsc::channel(100);
        world.state.subscribe(Filter { topic, ..Filter::default() }, queue);
        records
    });
    world.container(in_host_mode("agent"));
    world.pass_until(5_000);
    world.flows(vec![flow(1, "172.18.0.2:1", "9.9.9.9:80")]);
    let told = readers.each_mut().map(|records| {
        let mut told = [0, 0];
        while let Ok(record) = records.try_recv() {
            told[usize::from(!matches!(record, Record::Flow(_)))] += 1;
        }
        told
    });
    assert_eq!(told, [[1, 0], [0, 1], [1, 1]], "flows, and others");
}

#[test]
fn what_stands_is_told_once_and_closed_when_the_container_goes() {
    let mut told = Told::with("");
    told.world.container(in_host_mode("agent"));
    told.check(&[("host-mode", "agent", 1, true)]);
    assert_eq!(told.world.snapshot().standing.len(), 1);
    told.check(&[]);
    let at = told.world.now;
    told.world.change(Change::ContainerStopped { id: id("agent"), at });
    told.check(&[("host-mode", "agent", 2, false)]);
    assert!(told.world.snapshot().standing.is_empty());
    told.world.container(in_host_mode("agent"));
    told.check(&[("host-mode", "agent", 1, true)]);
    assert!(told.world.records().is_empty(), "who reads flows gets no findings");
}

#[test]
fn rights_are_told_as_soon_as_they_are_known_and_no_sooner() {
    let mut told = Told::with("");
    told.world.container(container("vpn", &[("a", "172.18.0.2")]));
    told.world.container(container("web", &[("a", "172.18.0.3")]));
    told.check(&[]);
    assert_eq!(told.world.snapshot().rights_unknown, 2);
    let rights = Some(Rights { net_admin: true, ..Rights::default() });
    told.world.container(Container { rights, ..container("vpn", &[("a", "172.18.0.2")]) });
    told.check(&[("strong-rights", "vpn", 1, true)]);
    assert_eq!(told.world.snapshot().rights_unknown, 1);
    // The network's list tells of another one first.
    told.world.endpoint("db", "a", "172.18.0.4");
    told.check(&[("strong-rights", "vpn", 2, true)]);
}

#[test]
fn what_is_accepted_is_not_told() {
    let accept = "[[accept]]\nrule = 'host-mode'\nfrom = { container = 'agent' }\nuntil = 2099-01-01\n";
    let mut told = Told::with(accept);
    told.world.container(in_host_mode("agent"));
    told.world.container(in_host_mode("other"));
    told.check(&[("host-mode", "other", 1, true)]);
}
