//! `why`: what is expected between two ends, what was seen, and where it stopped.

use super::finding::{EvidencePart, expected};
use super::parts::{ContainerPart, EndpointPart, NetworkPart, TranslatedPart};
use super::{Body, Clock};
use crate::model::{Counts, Losses, SafeText};
use crate::snapshot::{Answer, AskedEnd, Conversation, Decision, Look, Place, PlaceInterface, Stopped, Way};
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// Everything about two ends.
#[derive(Serialize)]
pub struct WhyBody<'a> {
    from: PlacePart<'a>,
    to: PlacePart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    since: String,
    until: String,
    summary: &'a str,
    #[serde(flatten)]
    decision: Option<DecisionPart<'a>>,
    ways: Vec<WayPart<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    more_ways: usize,
    conversations: Vec<ConversationPart<'a>>,
    conversation_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drops: Vec<StoppedPart<'a>>,
    losses: &'a Losses,
    look: Vec<LookPart<'a>>,
    notes: &'a [SafeText],
}

impl Body for WhyBody<'_> {
    const TYPE: &'static str = "why";
}

#[derive(Serialize)]
struct PlacePart<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<InterfacePart<'a>>,
}

#[derive(Serialize)]
struct InterfacePart<'a> {
    interface: &'a SafeText,
    ifindex: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    addresses: &'a [IpAddr],
}

#[derive(Serialize)]
struct DecisionPart<'a> {
    expected: &'static str,
    rule: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    crossing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_comment: Option<&'a SafeText>,
    because: &'a str,
}

#[derive(Serialize)]
struct WayPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_port_of: Option<u16>,
    #[serde(flatten)]
    decision: Option<DecisionPart<'a>>,
}

#[derive(Serialize)]
struct ConversationPart<'a> {
    direction: &'static str,
    source: EndpointPart<'a>,
    destination: EndpointPart<'a>,
    protocol: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(flatten)]
    decision: DecisionPart<'a>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_reason: Option<&'a SafeText>,
    refused: bool,
    sent: Counts,
    received: Counts,
    first_seen: String,
    last_seen: String,
    evidence: Vec<EvidencePart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    translated: Option<TranslatedPart>,
    explanation: &'a str,
}

#[derive(Serialize)]
struct StoppedPart<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    reason: &'a SafeText,
    at: &'a SafeText,
    packets: u64,
    last_seen: String,
}

#[derive(Serialize)]
struct LookPart<'a> {
    shows: SafeText,
    command: &'a str,
}

impl<'a> WhyBody<'a> {
    /// The answer's shape, its times on the wall clock. `losses` are those of the watch; `notes` what else is to be
    /// known of the ends.
    #[must_use]
    pub fn new(answer: &'a Answer, losses: &'a Losses, notes: &'a [SafeText], clock: &Clock) -> Self {
        let Answer { asked, .. } = answer;
        Self {
            from: place(&asked.from, &answer.from),
            to: place(&asked.to, &answer.to),
            protocol: asked.protocol.map(crate::model::Protocol::name),
            port: asked.port,
            since: clock.rfc3339(answer.since),
            until: clock.rfc3339(answer.until),
            summary: &answer.summary,
            decision: answer.decision.as_ref().map(Into::into),
            ways: answer.ways.iter().map(Into::into).collect(),
            more_ways: answer.more_ways,
            conversations: answer.conversations.iter().map(|seen| conversation(seen, clock)).collect(),
            conversation_count: answer.conversations.len() as u64 + answer.more,
            drops: answer.stopped.iter().map(|stopped| drop(stopped, clock)).collect(),
            losses,
            look: answer.look.iter().map(Into::into).collect(),
            notes,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn place<'a>(subject: &AskedEnd, place: &'a Place) -> PlacePart<'a> {
    PlacePart {
        kind: match subject {
            AskedEnd::Container { .. } => "container",
            AskedEnd::Host { .. } => "host",
            AskedEnd::Outside { .. } => "external",
            AskedEnd::Address(address) if address.is_multicast() => "multicast",
            AskedEnd::Address(_) => "unknown",
        },
        address: subject.address(),
        container: place.container.as_deref().map(Into::into),
        pid: place.pid,
        interfaces: place.interfaces.iter().map(Into::into).collect(),
    }
}

impl<'a> From<&'a PlaceInterface> for InterfacePart<'a> {
    fn from(place: &'a PlaceInterface) -> Self {
        Self {
            interface: &place.interface,
            ifindex: place.ifindex,
            network: place.network.as_ref().map(Into::into),
            addresses: &place.addresses,
        }
    }
}

impl<'a> From<&'a Decision> for DecisionPart<'a> {
    fn from(decision: &'a Decision) -> Self {
        Self {
            expected: expected(decision.expected),
            rule: decision.rule.as_str(),
            crossing: decision.crossing,
            policy_comment: decision.comment.as_ref(),
            because: &decision.because,
        }
    }
}

impl<'a> From<&'a Way> for WayPart<'a> {
    fn from(way: &'a Way) -> Self {
        Self {
            source_address: way.from,
            source_network: way.from_network.as_ref().map(Into::into),
            address: way.address,
            network: way.network.as_ref().map(Into::into),
            port: way.port,
            published_port_of: way.published,
            decision: way.decision.as_ref().map(Into::into),
        }
    }
}

fn conversation<'a>(seen: &'a Conversation, clock: &Clock) -> ConversationPart<'a> {
    ConversationPart {
        direction: seen.heading.name(),
        source: (&seen.source).into(),
        destination: (&seen.destination).into(),
        protocol: seen.protocol.name(),
        port: seen.destination.port,
        decision: (&seen.decision).into(),
        outcome: seen.outcome.name(),
        reason: seen.reason,
        drop_reason: seen.drop_reason.as_ref(),
        refused: seen.refused,
        sent: seen.sent,
        received: seen.came_back,
        first_seen: clock.rfc3339(seen.first_seen),
        last_seen: clock.rfc3339(seen.last_seen),
        evidence: seen.evidence.iter().map(Into::into).collect(),
        translated: seen.translated.as_ref().map(Into::into),
        explanation: &seen.course,
    }
}

fn drop<'a>(stopped: &'a Stopped, clock: &Clock) -> StoppedPart<'a> {
    StoppedPart {
        source: stopped.source,
        destination: stopped.destination,
        protocol: stopped.protocol.name(),
        port: stopped.port,
        reason: &stopped.reason,
        at: &stopped.at,
        packets: stopped.packets,
        last_seen: clock.rfc3339(stopped.last_seen),
    }
}

impl<'a> From<&'a Look> for LookPart<'a> {
    fn from(look: &'a Look) -> Self {
        Self { shows: SafeText::new(&look.shows), command: &look.command }
    }
}
