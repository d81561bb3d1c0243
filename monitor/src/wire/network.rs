//! `network`.

use super::Body;
use super::parts::NetworkPart;
use crate::model::{ContainerId, Counts, Overlay, SafeText, Traffic};
use crate::snapshot::{ContainerRef, NetworkRow, Reach, Snapshot};
use serde::Serialize;
use std::net::IpAddr;

/// A Docker network, and where the traffic of its containers went since the watch began, by the flows at their
/// interfaces.
#[derive(Serialize)]
pub struct NetworkBody<'a> {
    #[serde(flatten)]
    network: NetworkPart<'a>,
    /// Absent, as `internal`, of a time in which nobody knew how the network was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    subnets: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<OverlayPart<'a>>,
    /// Absent of a time that is over: who was on it then is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberPart<'a>>>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    interfaces_watched: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<ReachPart>,
    crossings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowPart>,
}

/// What else there is to an overlay network. Nodes are those that this one knows to have containers on it.
#[derive(Serialize)]
struct OverlayPart<'a> {
    vxlan_ids: &'a [u32],
    encrypted: bool,
    ingress: bool,
    node_addresses: &'a [IpAddr],
}

#[derive(Serialize)]
struct MemberPart<'a> {
    id: &'a ContainerId,
    name: &'a SafeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a SafeText>,
}

/// Sent is what the network's containers sent.
#[derive(Serialize)]
struct ReachPart {
    inside: Counts,
    host: TrafficPart,
    outside: TrafficPart,
    other_networks: TrafficPart,
    other: TrafficPart,
}

#[derive(Serialize)]
struct TrafficPart {
    sent: Counts,
    received: Counts,
}

/// What fell into the snapshot's window; absent while there is none.
#[derive(Serialize)]
struct WindowPart {
    seconds: f64,
    #[serde(flatten)]
    reach: ReachPart,
}

impl Body for NetworkBody<'_> {
    const TYPE: &'static str = "network";
}

impl<'a> NetworkBody<'a> {
    /// A row of a snapshot.
    #[must_use]
    pub fn new(row: &'a NetworkRow, snapshot: &Snapshot) -> Self {
        let seconds = snapshot.window.as_secs_f64();
        let is_past = snapshot.past.is_some();
        let is_measured = is_past || row.is_measured();
        let traits = row.traits.as_deref();
        Self {
            network: (&row.network).into(),
            subnets: traits.map(|traits| {
                traits.subnets.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect()
            }),
            internal: traits.map(|traits| traits.internal),
            overlay: row.overlay().map(Into::into),
            members: (!is_past).then(|| row.members.iter().map(|member| (&**member).into()).collect()),
            interfaces_watched: (!is_past).then_some(row.interfaces_watched),
            totals: is_measured.then(|| row.totals.into()),
            crossings: row.crossings,
            window: (is_measured && !snapshot.window.is_zero())
                .then(|| WindowPart { seconds, reach: row.window.into() }),
        }
    }
}

impl<'a> From<&'a Overlay> for OverlayPart<'a> {
    fn from(overlay: &'a Overlay) -> Self {
        let Overlay { vxlan_ids, encrypted, ingress, nodes } = overlay;
        Self { vxlan_ids, encrypted: *encrypted, ingress: *ingress, node_addresses: nodes }
    }
}

impl<'a> From<&'a ContainerRef> for MemberPart<'a> {
    fn from(container: &'a ContainerRef) -> Self {
        Self {
            id: &container.id,
            name: &container.name,
            project: container.project.as_ref(),
            service: container.service.as_ref(),
        }
    }
}

impl From<Reach> for ReachPart {
    fn from(reach: Reach) -> Self {
        Self {
            inside: reach.inside,
            host: reach.host.into(),
            outside: reach.outside.into(),
            other_networks: reach.networks.into(),
            other: reach.other.into(),
        }
    }
}

impl From<Traffic> for TrafficPart {
    fn from(traffic: Traffic) -> Self {
        Self { sent: traffic.sent, received: traffic.received }
    }
}
