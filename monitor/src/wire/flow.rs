//! `flow` and `sample`.

use super::community::community_id;
use super::finding::VerdictPart;
use super::parts::{EndpointPart, NetworkPart, ObservedAtPart, OriginPart, TranslatedPart};
use super::{Body, Clock};
use crate::model::{Counts, Direction, FlowId, FlowPorts, Initiator, SafeText};
use crate::snapshot::{FlowRecord, SampleRecord, Tcp, TcpState};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;

/// One tick of one flow.
#[derive(Serialize)]
pub struct FlowBody<'a> {
    flow_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    community_id: Option<String>,
    epoch: u64,
    tick_start: String,
    tick_end: String,
    first_seen: String,
    last_seen: String,
    r#final: bool,
    observed_at: ObservedAtPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    initiator: Initiator,
    protocol: Cow<'static, str>,
    protocol_number: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpPart>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    later_fragment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    local: EndpointPart<'a>,
    remote: EndpointPart<'a>,
    sent: Counts,
    received: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    translated: Option<TranslatedPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpPart>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    several_source_macs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictPart<'a>>,
}

#[derive(Serialize)]
struct IcmpPart {
    r#type: u8,
    code: u8,
    id: u16,
}

#[derive(Serialize)]
struct TcpPart {
    sent_flags: String,
    received_flags: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_us: Option<u64>,
}

impl Body for FlowBody<'_> {
    const TYPE: &'static str = "flow";
}

impl<'a> FlowBody<'a> {
    /// The record's shape, its times on the wall clock.
    #[must_use]
    pub fn new(flow: &'a FlowRecord, clock: &Clock) -> Self {
        Self {
            flow_id: flow_id(flow.flow_id),
            community_id: name_of(flow),
            epoch: flow.epoch,
            tick_start: clock.rfc3339(flow.tick_start),
            tick_end: clock.rfc3339(flow.tick_end),
            first_seen: clock.rfc3339(flow.first_seen),
            last_seen: clock.rfc3339(flow.last_seen),
            r#final: flow.last,
            observed_at: (&flow.observed_at).into(),
            network: flow.network.as_ref().map(Into::into),
            initiator: flow.initiator,
            protocol: flow.protocol.name(),
            protocol_number: flow.protocol.0,
            icmp: icmp(flow.ports),
            later_fragment: flow.ports == FlowPorts::LaterFragment,
            vlan: flow.vlan,
            local: (&flow.local).into(),
            remote: EndpointPart::from(&flow.remote).asked_as(flow.remote_name.as_ref()),
            sent: flow.sent,
            received: flow.received,
            origin: flow.origin.as_ref().map(Into::into),
            translated: flow.translated.as_ref().map(Into::into),
            tcp: flow.tcp.map(Into::into),
            several_source_macs: flow.several_source_macs,
            verdict: flow.verdict.as_ref().map(Into::into),
        }
    }
}

/// The flow's number as 16 hexadecimal digits: it has more bits than a JSON reader's numbers may keep.
fn flow_id(id: FlowId) -> String {
    format!("{:016x}", id.0)
}

fn name_of(flow: &FlowRecord) -> Option<String> {
    let local_began = match flow.initiator {
        Initiator::Local => true,
        Initiator::Remote => false,
        Initiator::Unknown => !flow.sent.is_zero(),
    };
    let (local, remote) = (flow.local.address, flow.remote.address);
    let (source, destination) = if local_began { (local, remote) } else { (remote, local) };
    community_id(source, destination, flow.protocol, flow.ports, local_began)
}

fn icmp(ports: FlowPorts) -> Option<IcmpPart> {
    match ports {
        FlowPorts::Icmp { id, kind, code } => Some(IcmpPart { r#type: kind, code, id }),
        FlowPorts::Ports { .. } | FlowPorts::LaterFragment | FlowPorts::None => None,
    }
}

impl From<Tcp> for TcpPart {
    fn from(tcp: Tcp) -> Self {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            sent_flags: tcp.sent_flags.to_string(),
            received_flags: tcp.received_flags.to_string(),
            state: tcp_state(tcp.state),
            handshake_us: tcp.handshake.map(micros),
            first_byte_us: tcp.first_byte.map(micros),
        }
    }
}

const fn tcp_state(state: TcpState) -> &'static str {
    match state {
        TcpState::SynSent => "syn-sent",
        TcpState::SynReceived => "syn-received",
        TcpState::Established => "established",
        TcpState::Closing => "closing",
        TcpState::Closed => "closed",
        TcpState::Reset => "reset",
        TcpState::Refused => "refused",
    }
}

/// One sampled packet.
#[derive(Serialize)]
pub struct SampleBody<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<String>,
    observed_at: ObservedAtPart<'a>,
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a SafeText>,
    length: u32,
    bytes: String,
}

impl Body for SampleBody<'_> {
    const TYPE: &'static str = "sample";
}

impl<'a> SampleBody<'a> {
    /// The record's shape, its time on the wall clock.
    #[must_use]
    pub fn new(sample: &'a SampleRecord, clock: &Clock) -> Self {
        Self {
            time: clock.rfc3339(sample.at),
            flow_id: sample.flow_id.map(flow_id),
            observed_at: (&sample.observed_at).into(),
            direction: sample.direction,
            container: sample.container.as_ref(),
            length: sample.length,
            bytes: hex(&sample.bytes),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
