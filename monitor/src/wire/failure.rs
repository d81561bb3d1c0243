//! `failure`.

use super::parts::ServicePart;
use super::{Body, Clock};
use crate::model::KernelTime;
use crate::snapshot::FailureRow;
use serde::Serialize;

/// What failed of one service's TCP connections with another, since `since`. `unanswered` are neither answered nor refused so
/// far. What an end sent again is absent where that cannot be seen.
#[derive(Serialize)]
pub struct FailureBody<'a> {
    client: ServicePart<'a>,
    server: ServicePart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: &'static str,
    since: String,
    connections: u64,
    answered: u64,
    refused: u64,
    unanswered: u64,
    reset: u64,
    reset_by_client: u64,
    reset_by_server: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_server: Option<u64>,
    not_served: bool,
}

impl Body for FailureBody<'_> {
    const TYPE: &'static str = "failure";
}

impl<'a> FailureBody<'a> {
    /// A row of what was seen since a moment.
    #[must_use]
    pub fn new(row: &'a FailureRow, since: KernelTime, clock: &Clock) -> Self {
        Self {
            client: (&row.client).into(),
            server: (&row.server).into(),
            port: row.port,
            protocol: "tcp",
            since: clock.rfc3339(since),
            connections: row.connections,
            answered: row.answers.answered,
            refused: row.answers.refused,
            unanswered: row.unanswered(),
            reset: row.answers.reset,
            reset_by_client: row.answers.reset_by_client,
            reset_by_server: row.answers.reset_by_server,
            retransmitted_by_client: row.sent_again_by_client,
            retransmitted_by_server: row.sent_again_by_server,
            not_served: row.is_not_served(),
        }
    }
}
