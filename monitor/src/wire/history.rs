//! `history`, `lookup`, `past`: what was in a span of time.

use super::Body;
use super::parts::{ContainerPart, HandshakePart};
use super::time::wall_rfc3339;
use crate::model::{Counts, DnsOutcome, SafeText, WallTime};
use crate::snapshot::{
    Answers, Connections, ContainerSpan, Kept, NameSpan, Others, Outcomes, PairCounts, Point, Service, Told,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one container, or all of one service, did in a span of time.
#[derive(Serialize)]
pub struct HistoryBody<'a> {
    start: String,
    end: String,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    /// In place of a container, where it is of all of a service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<SafeText>,
    sent: Counts,
    received: Counts,
    /// Packets from or to it that the kernel dropped; absent where that is not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    connections_opened: ConnectionsPart,
    connections_accepted: ConnectionsPart,
    dns: DnsPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<FindingsPart>,
}

#[derive(Serialize)]
struct ConnectionsPart {
    connections: u64,
    answered: u64,
    refused: u64,
    reset: u64,
    half_open: u64,
    silent_client: u64,
    silent_server: u64,
}

#[derive(Serialize)]
struct DnsPart {
    questions: u64,
    codes: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<HandshakePart>,
}

#[derive(Serialize)]
struct FindingsPart {
    violation: u64,
    broken: u64,
    crossing: u64,
}

impl Body for HistoryBody<'_> {
    const TYPE: &'static str = "history";
}

impl From<Connections> for ConnectionsPart {
    fn from(of: Connections) -> Self {
        let Answers { answered, refused, reset, half_open, silent_client, silent_server, .. } = of.answers;
        Self { connections: of.opened, answered, refused, reset, half_open, silent_client, silent_server }
    }
}

/// How often each thing came of questions; what never did is left out.
fn codes(outcomes: &Outcomes) -> BTreeMap<&'static str, u64> {
    let all = DnsOutcome::ALL.into_iter().map(|outcome| (outcome.name(), outcomes.of(outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}

impl<'a> HistoryBody<'a> {
    /// A container in all of a span; `sees_drops`: whether what the kernel drops is seen.
    #[must_use]
    pub fn new(span: &'a ContainerSpan, told: &Told, sees_drops: bool) -> Self {
        let length = told.end.kernel.since(told.start.kernel);
        Self::of(span, [told.from, told.end.wall], length.as_secs_f64(), sees_drops)
    }

    /// A part of a course.
    #[must_use]
    pub fn of_point(point: &'a Point, sees_drops: bool) -> Self {
        let [violation, broken, crossing] = point.findings;
        let findings = Some(FindingsPart { violation, broken, crossing });
        let seconds = point.length.as_secs_f64();
        let body = Self { findings, ..Self::of(&point.span, [point.start, point.end], seconds, sees_drops) };
        if point.is_service {
            let service = SafeText::new(&Service::of_container(&point.span.container).to_string());
            return Self { container: None, service: Some(service), ..body };
        }
        body
    }

    fn of(span: &'a ContainerSpan, [start, end]: [WallTime; 2], seconds: f64, sees_drops: bool) -> Self {
        Self {
            start: wall_rfc3339(start),
            end: wall_rfc3339(end),
            seconds,
            container: Some(span.container.as_ref().into()),
            service: None,
            sent: span.traffic.sent,
            received: span.traffic.received,
            dropped: sees_drops.then_some(span.dropped),
            connections_opened: span.asked.into(),
            connections_accepted: span.served.into(),
            dns: DnsPart {
                questions: span.names.sum(),
                codes: codes(&span.names),
                latency: span.names_took.percentiles().map(Into::into),
            },
            findings: None,
        }
    }
}

/// A name that a container asked for in a span of time, and what came of it.
#[derive(Serialize)]
pub struct LookupBody<'a> {
    start: String,
    end: String,
    container: ContainerPart<'a>,
    name: &'a SafeText,
    record_type: &'a SafeText,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    questions: u64,
    codes: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<HandshakePart>,
}

impl Body for LookupBody<'_> {
    const TYPE: &'static str = "lookup";
}

impl<'a> LookupBody<'a> {
    /// A name in all of a span.
    #[must_use]
    pub fn new(span: &'a NameSpan, told: &Told) -> Self {
        Self {
            start: wall_rfc3339(told.from),
            end: wall_rfc3339(told.end.wall),
            container: span.container.as_ref().into(),
            name: &span.name,
            record_type: &span.record_type,
            forwarded: span.forwarded,
            questions: span.outcomes.sum(),
            codes: codes(&span.outcomes),
            latency: span.took.percentiles().map(Into::into),
        }
    }
}

/// Of which time the lines before are, how exactly, and what is in none of them.
#[derive(Serialize)]
pub struct PastBody {
    start: String,
    end: String,
    resolution_seconds: f64,
    /// Whether time was asked for that is not kept.
    is_cut: bool,
    others: OthersPart,
    history: KeptPart,
}

/// What found no room in rows.
#[derive(Serialize)]
struct OthersPart {
    pairs: u64,
    sent: Counts,
    received: Counts,
    conversations: u64,
    answers: OtherAnswersPart,
    icmp_errors: u64,
    service_pairs: u64,
    handshakes: u64,
    lookups: u64,
    questions: u64,
    networks: u64,
    findings: u64,
    standing: u64,
}

/// How their TCP connections went.
#[derive(Serialize)]
struct OtherAnswersPart {
    answered: u64,
    refused: u64,
    reset: u64,
    reset_by_client: u64,
    reset_by_server: u64,
    half_open: u64,
    silent_client: u64,
    silent_server: u64,
}

impl From<Answers> for OtherAnswersPart {
    fn from(of: Answers) -> Self {
        let Answers { answered, refused, reset, reset_by_client, reset_by_server, .. } = of;
        let Answers { half_open, silent_client, silent_server, .. } = of;
        Self {
            answered,
            refused,
            reset,
            reset_by_client,
            reset_by_server,
            half_open,
            silent_client,
            silent_server,
        }
    }
}

/// `history` of a status: how much is kept.
#[derive(Serialize)]
pub(super) struct KeptPart {
    since: String,
    intervals_of_seconds: usize,
    intervals_of_minutes: usize,
    bytes: usize,
}

impl From<Kept> for KeptPart {
    fn from(kept: Kept) -> Self {
        Self {
            since: wall_rfc3339(kept.since.wall),
            intervals_of_seconds: kept.seconds,
            intervals_of_minutes: kept.minutes,
            bytes: kept.bytes,
        }
    }
}

impl Body for PastBody {
    const TYPE: &'static str = "past";
}

impl PastBody {
    /// What is to be known of a look back.
    #[must_use]
    pub fn new(told: &Told, others: &Others, kept: Kept) -> Self {
        let Others {
            pairs, counts, services, handshakes, names, outcomes, networks, findings, standing, ..
        } = others;
        let PairCounts { traffic, conversations, answers, icmp_errors, .. } = counts;
        Self {
            start: wall_rfc3339(told.from),
            end: wall_rfc3339(told.end.wall),
            resolution_seconds: told.resolution.as_secs_f64(),
            is_cut: told.is_cut,
            others: OthersPart {
                pairs: *pairs,
                sent: traffic.sent,
                received: traffic.received,
                conversations: *conversations,
                answers: (*answers).into(),
                icmp_errors: *icmp_errors,
                service_pairs: *services,
                handshakes: *handshakes,
                lookups: *names,
                questions: outcomes.sum(),
                networks: *networks,
                findings: *findings,
                standing: *standing,
            },
            history: kept.into(),
        }
    }
}
