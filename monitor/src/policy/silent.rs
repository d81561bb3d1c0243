//! A replica of a service, or behind a name, that answers nobody while the others do.

use super::explain::About;
use super::findings::{Finding, Findings, Key, Kind, Sighting};
use super::outcome::{Evidence, Found, Outcome, why};
use super::rules::{Expected, Judgement, Rule, RuleName};
use crate::attribution::End;
use crate::model::{Counts, KernelTime, Protocol};

/// What was found of a replica in a span of time.
#[derive(Clone, Debug)]
pub struct SilentReplica {
    /// The service that it is of, or the name that leads to it.
    pub service: String,
    /// One of those that asked it.
    pub source: End,
    /// The replica.
    pub destination: End,
    /// The port that was asked.
    pub port: u16,
    /// Connections that were opened to it.
    pub connections: u64,
    /// Of these, those that were refused; the others have no answer.
    pub refused: u64,
    /// Other replicas that answered.
    pub others: usize,
    /// Connections that these answered.
    pub others_answered: u64,
    /// The last packet.
    pub at: KernelTime,
}

impl SilentReplica {
    /// Makes a finding of it.
    pub(super) fn tell(&self, findings: &mut Findings) {
        let judgement = Judgement { rule: Rule::SilentReplica, expected: Expected::Allow, crossing: false };
        let replica = name(&self.destination);
        let asked = format!(
            "{} connections to port {} in 10 s, {} refused, {} without an answer",
            self.connections,
            self.port,
            self.refused,
            self.connections.saturating_sub(self.refused)
        );
        let replicas = if self.others == 1 { "replica" } else { "replicas" };
        let others =
            format!("{} other {replicas} answered {} connections", self.others, self.others_answered);
        // That something here refused or ignored them says that they arrived; it did not let them in. Of another node only a
        // refusal says so.
        let arrived = self.destination.container.is_some() || self.refused > 0;
        let found = Found {
            outcome: if arrived { Outcome::Delivered } else { Outcome::Unknown },
            reason: (!arrived).then_some(why::OUT_OF_SIGHT),
            drop_reason: None,
            evidence: vec![Evidence::new(replica, asked), Evidence::new(&self.service, others)],
        };
        let rule = RuleName::Topology(Rule::SilentReplica);
        let sighting = Sighting {
            kind: Kind::Broken,
            rule: &rule,
            severity: None,
            comment: None,
            expected: Expected::Allow,
            source: &self.source,
            destination: &self.destination,
            protocol: Protocol::TCP.name(),
            port: Some(self.port),
            found: &found,
            counts: Counts::default(),
            first_seen: self.at,
            last_seen: self.at,
            about: About::packets(judgement, None),
        };
        findings.see_as(Key::of_replica(&rule, &self.source, &self.destination), &sighting);
    }
}

/// What a replica is called.
fn name(end: &End) -> String {
    match (&end.container, &end.swarm) {
        (Some(container), _) => container.name.to_string(),
        (None, Some(swarm)) => swarm.to_string(),
        (None, None) => end.address.to_string(),
    }
}

/// What is said of it.
pub(super) fn sentence(finding: &Finding) -> String {
    let replica = name(&finding.destination);
    let mut facts: Vec<String> = finding.evidence.iter().map(|it| format!("{}: {}", it.at, it.saw)).collect();
    // Of a task on another node it is known what this node's containers asked it.
    let is_here = finding.destination.container.is_some();
    let nobody = if is_here { "nobody" } else { "nobody of this node" };
    if finding.outcome == Outcome::Unknown {
        facts.push("whether they arrived is not seen from here, so that it may be the way there".to_owned());
    }
    format!("{replica} answers {nobody} although other replicas do; {}.", facts.join("; "))
}
