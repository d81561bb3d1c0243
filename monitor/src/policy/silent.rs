//! A container of a service, or behind a name, that answers nobody while the others do.

use super::explain::About;
use super::findings::{Finding, Findings, Kind, Sighting};
use super::outcome::{Evidence, Found, Outcome};
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
        let replica = self.destination.container.as_ref().map_or("", |container| container.name.as_str());
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
        let found = Found {
            // That something refused or ignored them says that they arrived; it did not let them in.
            outcome: Outcome::Delivered,
            reason: None,
            drop_reason: None,
            evidence: vec![Evidence::new(replica, asked), Evidence::new(&self.service, others)],
        };
        findings.see(&Sighting {
            kind: Kind::Broken,
            rule: &RuleName::Topology(Rule::SilentReplica),
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
        });
    }
}

/// What is said of it.
pub(super) fn sentence(finding: &Finding) -> String {
    let replica = finding.destination.container.as_ref().map_or("", |container| container.name.as_str());
    let facts: Vec<String> = finding.evidence.iter().map(|it| format!("{}: {}", it.at, it.saw)).collect();
    format!("{replica} answers nobody although other replicas do; {}.", facts.join("; "))
}
