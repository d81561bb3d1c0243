//! The findings of a snapshot.

use super::{Finding, Kind, Severity, Snapshot};
use std::cmp::Reverse;

/// How many are kept.
const MOST: usize = 100;

/// The worst of some findings, worst first.
#[must_use]
pub fn findings<'a>(all: impl Iterator<Item = &'a Finding>) -> Vec<Finding> {
    let mut findings: Vec<&Finding> = all.collect();
    let rank = |kind: Kind| match kind {
        Kind::Violation => 2,
        Kind::Broken => 1,
        Kind::Crossing => 0,
    };
    findings.sort_by_key(|finding| {
        (Reverse(finding.severity), Reverse(rank(finding.kind)), finding.first_seen, finding.id)
    });
    findings.into_iter().take(MOST).cloned().collect()
}

impl Snapshot {
    /// How many standing findings there are of a severity.
    #[must_use]
    pub fn standing_of(&self, severity: Severity) -> usize {
        self.standing.iter().filter(|standing| standing.severity == severity).count()
    }
}
