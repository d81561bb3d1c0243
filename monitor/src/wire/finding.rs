//! `finding`, and the verdict of a flow.

use super::parts::EndpointPart;
use super::{Body, Clock};
use crate::model::{Counts, SafeText};
use crate::snapshot::{Evidence, Expected, Finding, Verdict};
use serde::Serialize;

/// A finding, as of one revision.
#[derive(Serialize)]
pub struct FindingBody<'a> {
    id: String,
    revision: u32,
    state: &'static str,
    kind: &'static str,
    severity: &'static str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_comment: Option<&'a SafeText>,
    expected: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    source: EndpointPart<'a>,
    destination: EndpointPart<'a>,
    protocol: &'a str,
    ports: &'a [u16],
    port_count: u32,
    counts: Counts,
    first_seen: String,
    last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_reason: Option<&'a SafeText>,
    evidence: Vec<EvidencePart<'a>>,
    explanation: &'a str,
}

#[derive(Serialize)]
pub(super) struct EvidencePart<'a> {
    at: &'a SafeText,
    saw: &'a str,
}

impl<'a> From<&'a Evidence> for EvidencePart<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Self { at: &evidence.at, saw: &evidence.saw }
    }
}

impl Body for FindingBody<'_> {
    const TYPE: &'static str = "finding";
}

impl<'a> FindingBody<'a> {
    /// The finding's shape, its times on the wall clock.
    #[must_use]
    pub fn new(finding: &'a Finding, clock: &Clock) -> Self {
        Self {
            id: format!("{:016x}", finding.id),
            revision: finding.revision,
            state: if finding.is_open { "open" } else { "closed" },
            kind: finding.kind.name(),
            severity: finding.severity.name(),
            rule: finding.rule.as_str(),
            policy_comment: finding.policy_comment.as_ref(),
            expected: expected(finding.expected),
            outcome: finding.outcome.name(),
            reason: finding.reason,
            source: (&finding.source).into(),
            destination: (&finding.destination).into(),
            protocol: &finding.protocol,
            ports: &finding.ports,
            port_count: finding.port_count,
            counts: finding.counts,
            first_seen: clock.rfc3339(finding.first_seen),
            last_seen: clock.rfc3339(finding.last_seen),
            drop_reason: finding.drop_reason.as_ref(),
            evidence: finding.evidence.iter().map(Into::into).collect(),
            explanation: &finding.explanation,
        }
    }
}

/// The verdict of a flow.
#[derive(Serialize)]
pub(super) struct VerdictPart<'a> {
    rule: &'a str,
    expected: &'static str,
    outcome: &'static str,
}

impl<'a> From<&'a Verdict> for VerdictPart<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            rule: verdict.rule.as_str(),
            expected: expected(verdict.expected),
            outcome: verdict.outcome.name(),
        }
    }
}

pub(super) const fn expected(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
    }
}
