//! What is to be told to a person: kept, revised, closed.

mod key;

pub(super) use key::Key;

use super::explain::{self, About};
use super::outcome::{Evidence, Found, Outcome};
use super::ports::Ports;
use super::rules::{Expected, Rule, RuleName};
use super::wrong_mtu::WrongMtu;
use crate::attribution::{Attribution, End};
use crate::model::{Counts, KernelTime, SafeText, Word, word};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// The most findings that are open at once.
const MOST: usize = 1_024;
/// How long after its last packet a finding is closed.
const QUIET: Duration = Duration::from_secs(60);
/// How long nothing is told of one at least of which nothing but the evidence changes.
const NEWS: Duration = Duration::from_secs(10);
/// What is said of those that end with the rules that found them.
const NO_LONGER: &str = "It ends because the policy was read anew.";

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Expected not to happen.
    Violation,
    /// Expected to work, and stopped or lost.
    Broken,
    /// Allowed, but round the isolation.
    Crossing,
}

impl Kind {
    /// Its name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Broken => "broken",
            Self::Crossing => "crossing",
        }
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// To know.
    Info,
    /// To look at.
    Warning,
    /// To act on.
    Critical,
}

impl Severity {
    /// Its name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// How much a finding matters where a policy file says nothing else.
    #[must_use]
    pub const fn of(kind: Kind, outcome: Outcome) -> Self {
        match kind {
            Kind::Violation if outcome.reached() => Self::Critical,
            Kind::Violation | Kind::Broken => Self::Warning,
            Kind::Crossing => Self::Info,
        }
    }
}

/// A finding, as of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The same for what is found again: kind, rule, both ends and the protocol make it.
    pub id: u64,
    /// Counted up each time it is told.
    pub revision: u32,
    /// Whether it goes on.
    pub is_open: bool,
    /// What kind it is.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// The rule that decided.
    pub rule: RuleName,
    /// What the policy file says about it.
    pub policy_comment: Option<SafeText>,
    /// What it expects.
    pub expected: Expected,
    /// What became of it, at its worst.
    pub outcome: Outcome,
    /// Why the outcome is unknown; one of [`super::why`].
    #[serde(deserialize_with = "word::read_some")]
    pub reason: Option<Word>,
    /// Who opened the conversation.
    pub source: End,
    /// Whom it addressed.
    pub destination: End,
    /// The protocol, by name.
    pub protocol: Cow<'static, str>,
    /// The first ports that were addressed.
    pub ports: Vec<u16>,
    /// How many there were.
    pub port_count: u32,
    /// What the source sent.
    pub counts: Counts,
    /// The first packet.
    pub first_seen: KernelTime,
    /// The last packet.
    pub last_seen: KernelTime,
    /// The kernel's reason for a drop.
    pub drop_reason: Option<SafeText>,
    /// What was seen, hook by hook.
    pub evidence: Vec<Evidence>,
    /// All of it in a sentence or two.
    pub explanation: String,
}

/// One conversation's share of a finding.
pub(super) struct Sighting<'a> {
    pub(super) kind: Kind,
    pub(super) rule: &'a RuleName,
    /// What the policy file says of how bad it is.
    pub(super) severity: Option<Severity>,
    /// What it says about it.
    pub(super) comment: Option<&'a SafeText>,
    pub(super) expected: Expected,
    pub(super) source: &'a End,
    pub(super) destination: &'a End,
    pub(super) protocol: Cow<'static, str>,
    pub(super) port: Option<u16>,
    pub(super) found: &'a Found,
    /// What was sent since the last sighting of the same conversation.
    pub(super) counts: Counts,
    pub(super) first_seen: KernelTime,
    pub(super) last_seen: KernelTime,
    pub(super) about: About,
}

#[derive(Debug)]
struct Kept {
    finding: Finding,
    ports: Ports,
    about: About,
    changed: bool,
    /// Whether the evidence changed since `told_at`.
    has_news: bool,
    told_at: KernelTime,
}

/// All open findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    open: HashMap<Key, Kept>,
    /// Sightings that made no finding because too many are open.
    pub(super) refused: u64,
}

impl Findings {
    /// Takes in a sighting; what changed is told by [`Findings::told`].
    pub(super) fn see(&mut self, sighting: &Sighting<'_>) {
        let Sighting { kind, rule, source, destination, .. } = *sighting;
        self.see_as(Key::new(kind, rule, source, destination, sighting.protocol.clone()), sighting);
    }

    /// Takes in a sighting of what is one finding by another key than that of its ends.
    pub(super) fn see_as(&mut self, key: Key, sighting: &Sighting<'_>) {
        if !self.open.contains_key(&key) && self.open.len() >= MOST {
            self.refused += 1;
            return;
        }
        let kept = self.open.entry(key).or_insert_with_key(|key| Kept::new(key, sighting));
        kept.add(sighting);
    }

    /// The findings that changed since they were last told, each with its new revision; those that have been quiet
    /// are told as closed and forgotten.
    pub(super) fn told(&mut self, facts: &Attribution, now: KernelTime) -> Vec<Arc<Finding>> {
        let mut told = Vec::new();
        self.open.retain(|_, kept| {
            let quiet = now.since(kept.finding.last_seen) > kept.quiet();
            if kept.changed || quiet || kept.has_news {
                kept.finding.explanation = explain::sentence(facts, &kept.about, &kept.finding);
            }
            if kept.changed || quiet || (kept.has_news && now.since(kept.told_at) >= NEWS) {
                (kept.changed, kept.has_news, kept.told_at) = (false, false, now);
                kept.finding.revision += 1;
                kept.finding.is_open = !quiet;
                told.push(Arc::new(kept.finding.clone()));
            }
            !quiet
        });
        told.sort_by_key(|finding| (finding.first_seen, finding.id));
        told
    }

    /// Closes what none of `founded` is about, because other rules came. What is claimed on a link needs no conversation.
    pub(super) fn close_unfounded(&mut self, founded: &HashSet<Key>) -> Vec<Arc<Finding>> {
        let (kept, over) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(key, kept)| kept.about.is_alone() || founded.contains(key));
        self.open = kept;
        let close = |Kept { finding, .. }: Kept| {
            let explanation = format!("{} {NO_LONGER}", finding.explanation).trim_start().to_owned();
            Arc::new(Finding { revision: finding.revision + 1, is_open: false, explanation, ..finding })
        };
        let over: HashMap<Key, Kept> = over;
        let mut told: Vec<Arc<Finding>> = over.into_values().map(close).collect();
        told.sort_by_key(|finding| (finding.first_seen, finding.id));
        told
    }

    /// All that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Finding> {
        self.open.values().map(|kept| &kept.finding)
    }
}

impl Kept {
    fn new(key: &Key, sighting: &Sighting<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let finding = Finding {
            id: hasher.finish(),
            revision: 0,
            is_open: true,
            kind: sighting.kind,
            severity: Severity::Info,
            rule: sighting.rule.clone(),
            policy_comment: sighting.comment.cloned(),
            expected: sighting.expected,
            outcome: Outcome::Unknown,
            reason: None,
            source: End { port: None, ..sighting.source.clone() },
            destination: End { port: None, ..sighting.destination.clone() },
            protocol: sighting.protocol.clone(),
            ports: Vec::new(),
            port_count: 0,
            counts: Counts::default(),
            first_seen: sighting.first_seen,
            last_seen: sighting.last_seen,
            drop_reason: None,
            evidence: Vec::new(),
            explanation: String::new(),
        };
        let about = sighting.about;
        Self {
            finding,
            ports: Ports::default(),
            about,
            changed: true,
            has_news: false,
            told_at: KernelTime(0),
        }
    }

    /// How long after its last packet it is closed.
    fn quiet(&self) -> Duration {
        match self.about.judgement.rule {
            Rule::WrongMtu => WrongMtu::QUIET,
            _ => QUIET,
        }
    }

    fn add(&mut self, sighting: &Sighting<'_>) {
        let Self { finding, ports, about, changed, has_news, .. } = self;
        *about = sighting.about;
        let found = sighting.found;
        let before = (finding.outcome, finding.counts, finding.port_count);
        if found.outcome >= finding.outcome {
            finding.outcome = found.outcome;
            finding.reason = found.reason;
            finding.drop_reason = found.drop_reason.clone().or(finding.drop_reason.take());
            // Of conversations the counts tell that they go on.
            *has_news |= about.is_alone() && finding.evidence != found.evidence;
            finding.evidence.clone_from(&found.evidence);
        }
        finding.counts += sighting.counts;
        finding.first_seen = finding.first_seen.min(sighting.first_seen);
        finding.last_seen = finding.last_seen.max(sighting.last_seen);
        if let Some(port) = sighting.port {
            ports.add(port);
            finding.ports = ports.first().to_vec();
            finding.port_count = ports.count();
        }
        let usual = Severity::of(finding.kind, finding.outcome);
        finding.severity = sighting.severity.unwrap_or(usual);
        *changed |= before != (finding.outcome, finding.counts, finding.port_count);
    }
}
