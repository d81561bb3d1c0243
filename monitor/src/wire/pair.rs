//! `pair`.

use super::failure::IcmpPart;
use super::finding::{EvidencePart, VerdictPart};
use super::parts::{EndpointPart, HandshakePart, NetworkPart};
use super::{Body, Clock};
use crate::model::{Counts, Protocol};
use crate::snapshot::{PairRow, Snapshot, Traced};
use serde::Serialize;
use std::borrow::Cow;

/// Who talks to whom about one service, since the watch began. Sent is what the client sent.
#[derive(Serialize)]
pub struct PairBody<'a> {
    client: EndpointPart<'a>,
    server: EndpointPart<'a>,
    protocol: Cow<'static, str>,
    protocol_number: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    sent: Counts,
    received: Counts,
    conversations: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    answers: Option<AnswersPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted_by_server: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icmp_errors: Vec<IcmpPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictPart<'a>>,
    last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowPart>,
    /// How far it came, where somebody asks why.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    course: Option<CoursePart<'a>>,
}

/// How far it came in a time that is over.
#[derive(Serialize)]
struct CoursePart<'a> {
    evidence: Vec<EvidencePart<'a>>,
    explanation: &'a str,
}

/// How TCP connections went.
#[derive(Serialize)]
struct AnswersPart {
    answered: u64,
    refused: u64,
    reset: u64,
    reset_by_client: u64,
    reset_by_server: u64,
    half_open: u64,
    silent_client: u64,
    silent_server: u64,
    zero_windows_by_client: u64,
    zero_windows_by_server: u64,
}

/// What fell into the snapshot's window; absent while there is none.
#[derive(Serialize)]
struct WindowPart {
    seconds: f64,
    sent: Counts,
    received: Counts,
}

impl Body for PairBody<'_> {
    const TYPE: &'static str = "pair";
}

impl<'a> PairBody<'a> {
    /// A row of a snapshot, its time on the wall clock.
    #[must_use]
    pub fn new(row: &'a PairRow, snapshot: &Snapshot, clock: &Clock) -> Self {
        let seconds = snapshot.window.as_secs_f64();
        let seen = snapshot.sees_retransmits();
        let [by_client, by_server] = row.sent_again().map(|segments| segments.filter(|_| seen));
        let window = WindowPart { seconds, sent: row.window.sent, received: row.window.received };
        Self {
            client: (&row.client).into(),
            server: (&row.server).into(),
            protocol: row.protocol.name(),
            protocol_number: row.protocol.0,
            network: row.network.as_ref().map(Into::into),
            sent: row.traffic.sent,
            received: row.traffic.received,
            conversations: row.conversations,
            answers: (row.protocol == Protocol::TCP).then(|| {
                let (answers, zero_windows) = (row.answers, row.zero_windows);
                AnswersPart {
                    answered: answers.answered,
                    refused: answers.refused,
                    reset: answers.reset,
                    reset_by_client: answers.reset_by_client,
                    reset_by_server: answers.reset_by_server,
                    half_open: answers.half_open,
                    silent_client: answers.silent_client,
                    silent_server: answers.silent_server,
                    zero_windows_by_client: zero_windows.by_client,
                    zero_windows_by_server: zero_windows.by_server,
                }
            }),
            retransmitted_by_client: by_client,
            retransmitted_by_server: by_server,
            icmp_errors: row.icmp.iter().map(Into::into).collect(),
            handshake: row.handshake.map(Into::into),
            verdict: row.verdict.as_ref().map(Into::into),
            last_seen: clock.rfc3339(row.last_seen),
            window: (!snapshot.window.is_zero()).then_some(window),
            course: None,
        }
    }

    /// The same, with how far it came.
    #[must_use]
    pub fn traced(row: &'a PairRow, traced: &'a Traced, snapshot: &Snapshot, clock: &Clock) -> Self {
        let evidence = traced.evidence.iter().map(Into::into).collect();
        let course = Some(CoursePart { evidence, explanation: &traced.course });
        Self { course, ..Self::new(row, snapshot, clock) }
    }
}
