//! `finding` of kind `posture`: what of the configuration stands.

use super::parts::{ContainerPart, NetworkPart};
use super::time::wall_rfc3339;
use super::{Body, Clock};
use crate::model::SafeText;
use crate::snapshot::{Standing, Subject};
use serde::Serialize;

/// A standing finding, as of one revision. It has no outcome, ends or counts: nothing needs to have been sent.
#[derive(Serialize)]
pub struct StandingBody<'a> {
    id: String,
    revision: u32,
    state: &'static str,
    kind: &'static str,
    severity: &'static str,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "<[SafeText]>::is_empty")]
    what: &'a [SafeText],
    #[serde(skip_serializing_if = "Option::is_none")]
    what_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    first_seen: String,
    last_seen: String,
    explanation: &'a str,
}

impl Body for StandingBody<'_> {
    const TYPE: &'static str = "finding";
}

impl<'a> StandingBody<'a> {
    /// Its shape, times on the wall clock.
    #[must_use]
    pub fn new(standing: &'a Standing, clock: &Clock) -> Self {
        let (container, network) = match &standing.subject {
            Subject::Container(container) => (Some(container.as_ref().into()), None),
            Subject::Network(network) => (None, Some(network.into())),
        };
        Self {
            id: format!("{:016x}", standing.id),
            revision: standing.revision,
            state: if standing.is_open { "open" } else { "closed" },
            kind: "posture",
            severity: standing.severity.name(),
            rule: standing.rule.name(),
            container,
            network,
            what: &standing.what,
            what_count: Some(standing.what_count).filter(|count| *count > 0),
            since: standing.since.map(wall_rfc3339),
            first_seen: clock.rfc3339(standing.first_seen),
            last_seen: clock.rfc3339(standing.last_seen),
            explanation: &standing.explanation,
        }
    }
}
