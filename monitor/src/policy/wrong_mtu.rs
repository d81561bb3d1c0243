//! An end that sends packets that do not fit on the way, although it is told.

use super::explain::About;
use super::findings::{Finding, Findings, Key, Kind, Sighting};
use super::outcome::{Evidence, Found, Outcome};
use super::rules::{Expected, Judgement, Rule, RuleName};
use crate::attribution::{End, EndKind};
use crate::model::{Counts, KernelTime, Protocol};
use std::time::Duration;

/// What was found of an end.
#[derive(Clone, Debug)]
pub struct WrongMtu {
    /// Who sends what does not fit.
    pub source: End,
    /// One of those to whom it does.
    pub destination: End,
    /// How many these are.
    pub others: usize,
    /// Protocol.
    pub protocol: Protocol,
    /// The port that was asked, at either end.
    pub port: Option<u16>,
    /// Who says that it does not fit.
    pub told_by: End,
    /// What that one says, by the name that iptables has for it.
    pub reason: &'static str,
    /// Bytes that fit, from the IP header on.
    pub mtu: u32,
    /// How often it was said about a conversation that had been told it for a second or more, and had sent as much since.
    pub again: u64,
    /// When it was said last.
    pub at: KernelTime,
}

impl WrongMtu {
    /// How long after the last error it is over. A connection that hangs sends again every two minutes in the end.
    pub const QUIET: Duration = Duration::from_secs(130);
    /// Other ends that are told apart.
    pub const MOST_OTHERS: usize = 16;

    /// Makes a finding of it.
    pub(super) fn tell(&self, findings: &mut Findings) {
        let judgement = Judgement { rule: Rule::WrongMtu, expected: Expected::Allow, crossing: false };
        let rule = RuleName::Topology(Rule::WrongMtu);
        let Self { mtu, others, again, reason, .. } = self;
        let ends = match *others {
            1 => "another end".to_owned(),
            Self::MOST_OTHERS.. => format!("{others} other ends or more"),
            _ => format!("{others} other ends"),
        };
        let sent = format!(
            "sent on in connections with {ends}, a second or more after these had been told what fits"
        );
        let said = format!(
            "told it of {again} packets of theirs by ICMP ({reason}) that no more than {mtu} bytes fit"
        );
        let found = Found {
            // Who says that they do not fit has not passed them on.
            outcome: Outcome::Blocked,
            reason: None,
            drop_reason: None,
            evidence: vec![Evidence::new(name(&self.source), sent), Evidence::new(name(&self.told_by), said)],
        };
        let sighting = Sighting {
            kind: Kind::Broken,
            rule: &rule,
            severity: None,
            comment: None,
            expected: Expected::Allow,
            source: &self.source,
            destination: &self.destination,
            protocol: self.protocol.name(),
            port: self.port,
            found: &found,
            counts: Counts::default(),
            first_seen: self.at,
            last_seen: self.at,
            about: About::packets(judgement, None),
        };
        let key = Key::of_mtu(&rule, &self.source, (self.told_by.address, *mtu), self.protocol.name());
        findings.see_as(key, &sighting);
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
        "{} {}; {} {}. If that is so, small answers arrive and large ones hang: let errors of ICMP reach {}, or give \
         its network an MTU that fits.",
        sent.at, sent.saw, said.at, said.saw, sent.at
    )
}
