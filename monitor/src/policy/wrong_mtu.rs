//! An end that sends packets that do not fit on the way, although it is told.

use super::explain::About;
use super::findings::{Finding, Findings, Kind, Sighting};
use super::outcome::{Evidence, Found, Outcome};
use super::rules::{Expected, Judgement, Rule, RuleName};
use crate::attribution::{End, EndKind};
use crate::model::{Counts, KernelTime, Protocol};

/// What was found of one end of a pair.
#[derive(Clone, Debug)]
pub struct WrongMtu {
    /// Who opened the conversations.
    pub source: End,
    /// Who was asked.
    pub destination: End,
    /// Protocol.
    pub protocol: Protocol,
    /// Whether the source sends what does not fit, or else the destination.
    pub of_source: bool,
    /// Who says that it does not fit.
    pub told_by: End,
    /// What that one says, by the name that iptables has for it.
    pub reason: &'static str,
    /// Bytes that fit, from the IP header on.
    pub mtu: u32,
    /// How often it was said.
    pub told: u64,
    /// Of these, how often about a packet of somebody who had known it for a second or more.
    pub again: u64,
    /// When it was said last.
    pub at: KernelTime,
}

impl WrongMtu {
    /// Makes a finding of it.
    pub(super) fn tell(&self, findings: &mut Findings) {
        let judgement = Judgement { rule: Rule::WrongMtu, expected: Expected::Allow, crossing: false };
        let Self { mtu, told, again, reason, .. } = self;
        let sender = if self.of_source { &self.source } else { &self.destination };
        let sent =
            format!("{again} packets of more than {mtu} bytes after it had been told that these do not fit");
        let said = format!("told it {told} times by ICMP ({reason}) that no more than {mtu} bytes fit");
        let found = Found {
            // Who says that they do not fit has not passed them on.
            outcome: Outcome::Blocked,
            reason: None,
            drop_reason: None,
            evidence: vec![Evidence::new(name(sender), sent), Evidence::new(name(&self.told_by), said)],
        };
        findings.see(&Sighting {
            kind: Kind::Broken,
            rule: &RuleName::Topology(Rule::WrongMtu),
            severity: None,
            comment: None,
            expected: Expected::Allow,
            source: &self.source,
            destination: &self.destination,
            protocol: self.protocol.name(),
            port: self.destination.port,
            found: &found,
            counts: Counts::default(),
            first_seen: self.at,
            last_seen: self.at,
            about: About::packets(judgement, None),
        });
    }
}

/// An end in a word.
fn name(end: &End) -> String {
    match (&end.container, end.kind) {
        (Some(container), _) => container.name.as_str().to_owned(),
        (None, EndKind::Host) => "host".to_owned(),
        (None, _) => end.address.to_string(),
    }
}

/// What is said of it.
pub(super) fn sentence(finding: &Finding) -> String {
    let [sent, said] = finding.evidence.as_slice() else { return String::new() };
    format!(
        "{} sent {}; {} {}. Small answers arrive and large ones hang: let errors of ICMP reach {}, or give its network \
         an MTU that fits.",
        sent.at, sent.saw, said.at, said.saw, sent.at
    )
}
