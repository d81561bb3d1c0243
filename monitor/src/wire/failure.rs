//! `failure`.

use super::parts::{EndpointPart, ServicePart};
use super::{Body, Clock};
use crate::model::{KernelTime, Protocol};
use crate::snapshot::{FailureRow, IcmpRow};
use serde::Serialize;
use std::borrow::Cow;

/// What failed of one service's conversations with another, since `since`. What is of connections is absent but of TCP.
#[derive(Serialize)]
pub struct FailureBody<'a> {
    client: ServicePart<'a>,
    server: ServicePart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: Cow<'static, str>,
    since: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    of_tcp: Option<ConnectionsPart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icmp_errors: Vec<IcmpPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_errors_others: Option<u64>,
    wrong_mtu: bool,
}

/// How TCP connections went. `unanswered` are neither answered nor refused so far. What an end sent again is absent where that
/// cannot be seen.
#[derive(Serialize)]
struct ConnectionsPart {
    connections: u64,
    answered: u64,
    refused: u64,
    unanswered: u64,
    reset: u64,
    reset_by_client: u64,
    reset_by_server: u64,
    half_open: u64,
    silent_client: u64,
    silent_server: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_server: Option<u64>,
    zero_windows_by_client: u64,
    zero_windows_by_server: u64,
    not_served: bool,
}

/// Errors of ICMP that are alike: `packets_of` says whose packets did not arrive.
#[derive(Serialize)]
pub(super) struct IcmpPart<'a> {
    reason: &'static str,
    #[serde(rename = "type")]
    kind: u8,
    code: u8,
    packets_of: &'static str,
    sender: EndpointPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    packets: u64,
    largest_bytes: u32,
    too_big_again: u64,
}

impl<'a> From<&'a IcmpRow> for IcmpPart<'a> {
    fn from(row: &'a IcmpRow) -> Self {
        Self {
            reason: row.kind.reason(),
            kind: row.kind.kind,
            code: row.kind.code,
            packets_of: if row.of_client { "client" } else { "server" },
            sender: (&row.sender).into(),
            mtu: row.mtu,
            packets: row.packets,
            largest_bytes: row.largest,
            too_big_again: row.again,
        }
    }
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
            protocol: row.protocol.name(),
            since: clock.rfc3339(since),
            of_tcp: (row.protocol == Protocol::TCP).then(|| ConnectionsPart {
                connections: row.connections,
                answered: row.answers.answered,
                refused: row.answers.refused,
                unanswered: row.unanswered(),
                reset: row.answers.reset,
                reset_by_client: row.answers.reset_by_client,
                reset_by_server: row.answers.reset_by_server,
                half_open: row.answers.half_open,
                silent_client: row.answers.silent_client,
                silent_server: row.answers.silent_server,
                retransmitted_by_client: row.sent_again_by_client,
                retransmitted_by_server: row.sent_again_by_server,
                zero_windows_by_client: row.zero_windows.by_client,
                zero_windows_by_server: row.zero_windows.by_server,
                not_served: row.is_not_served(),
            }),
            icmp_errors: row.icmp.iter().map(Into::into).collect(),
            icmp_errors_others: Some(row.icmp_others).filter(|others| *others > 0),
            wrong_mtu: row.is_wrong_mtu(),
        }
    }
}
