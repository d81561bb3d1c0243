//! `status`: what is watched, what is not and why, and everything that was lost.

use super::history::KeptPart;
use super::parts::{BeforeWatchPart, NetworkPart, ObservedAtPart};
use super::{Body, Clock};
use crate::model::{AttachedBy, ContainerId, Counts, DockerState, Losses, NotWatched, Resources, SafeText};
use crate::snapshot::{BridgeRow, ContainerRow, Severity, Snapshot, UnattributedRow};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The agent's own state at one moment.
#[derive(Serialize)]
pub struct StatusBody<'a> {
    time: String,
    watching_since: String,
    watched_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<f64>,
    docker: DockerPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_refused: Option<&'a SafeText>,
    attached: AttachedBy,
    interfaces_watched: usize,
    interfaces_not_watched: Vec<NotWatchedPart<'a>>,
    containers_not_watched: Vec<UnwatchedContainerPart<'a>>,
    unattributed: Vec<UnattributedPart<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missing: &'a BTreeMap<&'static str, SafeText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bridges: Vec<BridgePart<'a>>,
    not_recorded: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    unaccounted_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posture: Option<PosturePart>,
    losses: &'a Losses,
    maps: MapsPart,
    history: KeptPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentPart>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum DockerPart<'a> {
    Connecting,
    Up { version: &'a SafeText, api_version: &'a SafeText, address: &'a SafeText, rootless: bool },
    Down { since: String, reason: SafeText },
}

#[derive(Serialize)]
struct NotWatchedPart<'a> {
    interface: &'a SafeText,
    ifindex: u32,
    reason: SafeText,
}

#[derive(Serialize)]
struct UnwatchedContainerPart<'a> {
    id: &'a ContainerId,
    name: &'a SafeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<SafeText>,
}

#[derive(Serialize)]
struct UnattributedPart<'a> {
    observed_at: ObservedAtPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    reason: &'static str,
    sent: Counts,
    received: Counts,
    before_watch: BeforeWatchPart,
}

#[derive(Serialize)]
struct BridgePart<'a> {
    observed_at: ObservedAtPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    into_host: Counts,
    out_of_host: Counts,
}

/// How many standing findings are open, by severity.
#[derive(Serialize)]
struct PosturePart {
    critical: usize,
    warning: usize,
    info: usize,
}

#[derive(Serialize)]
struct MapsPart {
    flows_kept: usize,
    #[serde(flatten)]
    read: Option<ReadPart>,
}

/// What the collector tells with each generation; absent before the first.
#[derive(Serialize)]
struct ReadPart {
    flows_last_tick: u64,
    ipv6_flows_last_tick: u64,
    flow_capacity: u64,
    interface_slots: u64,
    interface_slot_capacity: u64,
    generations: u64,
    drain_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    drops_last_tick: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_capacity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_last_tick: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_capacity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring_bytes_last_tick: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring_capacity: Option<u64>,
}

/// What the agent itself takes: processor time since it was started, and memory now.
#[derive(Serialize)]
struct AgentPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<u64>,
}

impl Body for StatusBody<'_> {
    const TYPE: &'static str = "status";
}

impl<'a> StatusBody<'a> {
    /// The state at a snapshot's moment, its times on the wall clock.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, clock: &Clock) -> Self {
        let unwatched = snapshot.containers.iter().filter(|row| !row.watched);
        Self {
            time: clock.rfc3339(snapshot.taken_at),
            watching_since: clock.rfc3339(snapshot.watching_since),
            watched_by: if snapshot.by_agent { "agent" } else { "command" },
            window_seconds: (!snapshot.window.is_zero()).then_some(snapshot.window.as_secs_f64()),
            docker: DockerPart::new(&snapshot.docker, clock),
            docker_refused: snapshot.docker_refused.as_ref(),
            attached: snapshot.attached,
            interfaces_watched: snapshot.interfaces_watched,
            interfaces_not_watched: snapshot.not_watched.iter().map(Into::into).collect(),
            containers_not_watched: unwatched.map(Into::into).collect(),
            unattributed: snapshot.unattributed.iter().map(Into::into).collect(),
            missing: &snapshot.missing,
            bridges: snapshot.bridges.iter().map(Into::into).collect(),
            not_recorded: snapshot.containers.iter().map(|row| row.not_recorded).sum(),
            unaccounted_bytes: unaccounted_bytes(&snapshot.containers),
            posture: (!snapshot.standing.is_empty()).then(|| snapshot.into()),
            losses: &snapshot.losses,
            history: snapshot.history.into(),
            maps: MapsPart::new(&snapshot.resources, snapshot.flows_kept),
            agent: AgentPart::new(&snapshot.resources),
        }
    }
}

/// The sum over the containers that could be checked; absent if none could.
fn unaccounted_bytes(containers: &[ContainerRow]) -> Option<u64> {
    containers.iter().filter_map(|row| row.unaccounted_bytes).reduce(u64::saturating_add)
}

impl<'a> DockerPart<'a> {
    fn new(docker: &'a DockerState, clock: &Clock) -> Self {
        match docker {
            DockerState::Connecting => Self::Connecting,
            DockerState::Up { version, api, host, rootless, .. } => {
                Self::Up { version, api_version: api, address: host, rootless: *rootless }
            }
            DockerState::Down { since, reason } => {
                Self::Down { since: clock.rfc3339(*since), reason: SafeText::new(reason) }
            }
        }
    }
}

impl<'a> From<&'a NotWatched> for NotWatchedPart<'a> {
    fn from(device: &'a NotWatched) -> Self {
        Self { interface: &device.name, ifindex: device.ifindex, reason: SafeText::new(&device.reason) }
    }
}

impl<'a> From<&'a ContainerRow> for UnwatchedContainerPart<'a> {
    fn from(row: &'a ContainerRow) -> Self {
        Self {
            id: &row.container.id,
            name: &row.container.name,
            reason: row.unwatched_reason.as_deref().map(SafeText::new),
        }
    }
}

impl<'a> From<&'a UnattributedRow> for UnattributedPart<'a> {
    fn from(row: &'a UnattributedRow) -> Self {
        Self {
            observed_at: (&row.observed_at).into(),
            network: row.network.as_ref().map(Into::into),
            reason: row.reason,
            sent: row.totals.sent,
            received: row.totals.received,
            before_watch: row.before_watch.into(),
        }
    }
}

impl<'a> From<&'a BridgeRow> for BridgePart<'a> {
    fn from(row: &'a BridgeRow) -> Self {
        Self {
            observed_at: (&row.observed_at).into(),
            network: row.network.as_ref().map(Into::into),
            into_host: row.totals.sent,
            out_of_host: row.totals.received,
        }
    }
}

impl From<&Snapshot> for PosturePart {
    fn from(snapshot: &Snapshot) -> Self {
        let [critical, warning, info] =
            [Severity::Critical, Severity::Warning, Severity::Info].map(|it| snapshot.standing_of(it));
        Self { critical, warning, info }
    }
}

impl MapsPart {
    fn new(resources: &Resources, flows_kept: usize) -> Self {
        Self { flows_kept, read: (resources.flips > 0).then(|| resources.into()) }
    }
}

impl From<&Resources> for ReadPart {
    fn from(resources: &Resources) -> Self {
        Self {
            flows_last_tick: resources.flows,
            ipv6_flows_last_tick: resources.flows_ipv6,
            flow_capacity: resources.flow_capacity,
            interface_slots: resources.slots,
            interface_slot_capacity: resources.slot_capacity,
            generations: resources.flips,
            drain_ns: resources.drain_ns,
            drops_last_tick: (resources.drop_capacity > 0).then_some(resources.drops),
            drop_capacity: Some(resources.drop_capacity).filter(|capacity| *capacity > 0),
            claims_last_tick: (resources.claim_capacity > 0).then_some(resources.claims),
            claim_capacity: Some(resources.claim_capacity).filter(|capacity| *capacity > 0),
            ring_bytes_last_tick: (resources.ring_capacity > 0).then_some(resources.ring_bytes),
            ring_capacity: Some(resources.ring_capacity).filter(|capacity| *capacity > 0),
        }
    }
}

impl AgentPart {
    fn new(resources: &Resources) -> Option<Self> {
        let cpu_seconds = resources.cpu_ns.map(|time| Duration::from_nanos(time).as_secs_f64());
        let resident_bytes = resources.resident_bytes;
        (cpu_seconds.is_some() || resident_bytes.is_some()).then_some(Self { cpu_seconds, resident_bytes })
    }
}
