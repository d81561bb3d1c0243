//! The series of findings: counted as each is told, because a snapshot has only those that are open.

use super::families as family;
use super::known::known;
use super::labels::Labels;
use super::page::Page;
use super::shelf::Budget;
use crate::model::{Counts, KernelTime};
use crate::snapshot::{Finding, Kind, Outcome, RuleName, Severity};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Series of one combination at most.
const COST: usize = 4;
/// A finding that was not told for so long is over: each is told as closed after a minute without a packet, but a
/// reader that is slow may lose that.
const OVER: Duration = Duration::from_secs(5 * 60);

/// What findings are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    kind: Kind,
    rule: RuleName,
    outcome: Outcome,
    severity: Severity,
}

/// An open finding, as it was last told.
#[derive(Debug)]
struct Open {
    group: Group,
    counts: Counts,
    last_seen: KernelTime,
}

#[derive(Debug, Default)]
struct Sum {
    findings: u64,
    counts: Counts,
}

/// All findings.
#[derive(Debug)]
pub(super) struct Findings {
    open: HashMap<u64, Open>,
    sums: HashMap<Group, Sum>,
    /// What there was no room for.
    refused: HashSet<Group>,
}

impl Findings {
    /// None yet. The combinations that are known have their sums, and take no room from others.
    pub(super) fn new() -> Self {
        let group = |(kind, rule, outcome, severity)| Group {
            kind,
            rule: RuleName::Topology(rule),
            outcome,
            severity,
        };
        let sums = known().map(|known| (group(known), Sum::default())).collect();
        Self { open: HashMap::new(), sums, refused: HashSet::new() }
    }

    /// Takes in one that was told, new or revised.
    pub(super) fn told(&mut self, finding: &Finding, budget: &mut Budget) {
        let group = Group {
            kind: finding.kind,
            rule: finding.rule.clone(),
            outcome: finding.outcome,
            severity: finding.severity,
        };
        let before = self.open.remove(&finding.id);
        let is_new = before.as_ref().is_none_or(|before| before.group != group);
        // One that began anew counts from nothing.
        let more = before.and_then(|before| finding.counts.since(&before.counts)).unwrap_or(finding.counts);
        if !self.sums.contains_key(&group) && !budget.take(COST) {
            budget.refused += if self.refused.insert(group) { COST as u64 } else { 0 };
            return;
        }
        let sum = self.sums.entry(group.clone()).or_default();
        sum.findings += u64::from(is_new);
        sum.counts += more;
        if finding.is_open {
            let open = Open { group, counts: finding.counts, last_seen: finding.last_seen };
            self.open.insert(finding.id, open);
        }
    }

    /// Lets go those of which no end was told.
    pub(super) fn tidy(&mut self, now: KernelTime) {
        self.open.retain(|_, open| now.since(open.last_seen) <= OVER);
    }

    /// Writes the series.
    pub(super) fn write(&self, page: &mut Page) {
        for (group, sum) in &self.sums {
            let Group { kind, rule, outcome, severity } = group;
            let by = Labels::one("rule", rule.as_str())
                .with("outcome", outcome.name())
                .with("severity", severity.name());
            let of_kind = match kind {
                Kind::Violation => &family::VIOLATIONS,
                Kind::Broken => &family::BROKEN,
                Kind::Crossing => &family::CROSSINGS,
            };
            page.add(of_kind, &by, sum.findings);
            let by = by.with("kind", kind.name());
            if sum.findings > 0 {
                page.add(&family::FINDING_BYTES, &by, sum.counts.bytes);
                page.add(&family::FINDING_PACKETS, &by, sum.counts.packets);
            }
            let open = self.open.values().filter(|open| open.group == *group).count();
            page.add(&family::FINDINGS_OPEN, &by, open);
        }
    }
}
