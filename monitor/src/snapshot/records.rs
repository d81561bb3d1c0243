//! The records that stream past the views.

use super::{
    ContainerRef, End, Finding, NetworkRef, ObservedAt, OriginEnd, Standing, Tcp, Translated, Verdict,
};
use crate::model::{
    Counts, Direction, DnsExchange, FlowId, FlowPorts, Initiator, KernelTime, Protocol, SafeText,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One tick of one flow, both ends named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// Number of the flow.
    pub flow_id: FlowId,
    /// Number of the generation it was drained with.
    pub epoch: u64,
    /// The tick's start.
    pub tick_start: KernelTime,
    /// The tick's end.
    pub tick_end: KernelTime,
    /// The flow's first packet.
    pub first_seen: KernelTime,
    /// The tick's last packet.
    pub last_seen: KernelTime,
    /// Whether the flow is over (closed, reset, or idle too long): no record of it follows.
    pub last: bool,
    /// Where it was seen.
    pub observed_at: ObservedAt,
    /// The Docker network of that interface; absent while it is not known.
    pub network: Option<NetworkRef>,
    /// Who opened it.
    pub initiator: Initiator,
    /// Protocol.
    pub protocol: Protocol,
    /// Ports, or what stands for them.
    pub ports: FlowPorts,
    /// VLAN id of the outermost tag.
    pub vlan: Option<u16>,
    /// The container's end.
    pub local: End,
    /// The other end.
    pub remote: End,
    /// The name that the container asked for last of those whose answer was the other end's address; absent where the other
    /// end opened it.
    pub remote_name: Option<SafeText>,
    /// What the container's end sent in this tick.
    pub sent: Counts,
    /// What it received in this tick.
    pub received: Counts,
    /// Where received packets came from.
    pub origin: Option<OriginEnd>,
    /// How the host changes it, or passes it on.
    pub translated: Option<Translated>,
    /// TCP only.
    pub tcp: Option<Tcp>,
    /// Whether sent frames carried several source MACs.
    pub several_source_macs: bool,
    /// What is expected of it, and what became of it so far; absent where no rule says anything.
    pub verdict: Option<Verdict>,
}

/// A sampled packet, tied to its flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// When.
    pub at: KernelTime,
    /// Its flow.
    pub flow_id: Option<FlowId>,
    /// Where it was seen.
    pub observed_at: ObservedAt,
    /// Which way.
    pub direction: Direction,
    /// The container behind the interface, once known.
    pub container: Option<SafeText>,
    /// Length in bytes, Ethernet header included.
    pub length: u32,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRecord {
    /// The question, and what came of it.
    pub told: DnsExchange,
    /// The container that asked, once known.
    pub container: Option<Arc<ContainerRef>>,
    /// The Docker network of the interface that it was seen at; absent where it was seen at none, or while it is not known.
    pub network: Option<NetworkRef>,
    /// Where it was seen; absent for Docker's own resolver, which is asked inside the container's namespace.
    pub observed_at: Option<ObservedAt>,
    /// Who was asked.
    pub resolver: End,
}

/// What streams past the views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// One tick of one flow.
    Flow(Arc<FlowRecord>),
    /// Something to tell a person, new or revised.
    Finding(Arc<Finding>),
    /// Something that the configuration itself says, new or revised.
    Standing(Arc<Standing>),
    /// A sampled packet.
    Sample(Arc<SampleRecord>),
    /// A name that was asked for.
    Name(Arc<NameRecord>),
    /// Records that this subscriber lost because it was slow, since it subscribed.
    Lost(u64),
}
