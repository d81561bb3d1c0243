//! Parts that several record types share.

use crate::model::{ContainerId, Counts, InterfaceKind, NetworkId, SafeText, Traffic, Tuple};
use crate::snapshot::{
    Alias, ContainerRef, End, EndKind, NetworkRef, ObservedAt, OriginEnd, OriginKind, Percentiles, Service,
    SwarmRef, Translated,
};
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// `network`.
#[derive(Serialize)]
pub(super) struct NetworkPart<'a> {
    id: &'a NetworkId,
    name: &'a SafeText,
    driver: &'a str,
}

impl<'a> From<&'a NetworkRef> for NetworkPart<'a> {
    fn from(network: &'a NetworkRef) -> Self {
        Self { id: &network.id, name: &network.name, driver: network.driver.name() }
    }
}

/// `container` inside an endpoint, or that a standing finding is about.
#[derive(Serialize)]
pub(super) struct ContainerPart<'a> {
    id: &'a ContainerId,
    name: &'a SafeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a SafeText>,
    networks: Vec<NetworkPart<'a>>,
}

impl<'a> From<&'a ContainerRef> for ContainerPart<'a> {
    fn from(container: &'a ContainerRef) -> Self {
        Self {
            id: &container.id,
            name: &container.name,
            image: container.image.as_ref(),
            project: container.project.as_ref(),
            service: container.service.as_ref(),
            networks: container.networks.iter().map(Into::into).collect(),
        }
    }
}

/// `endpoint`: one end of a conversation.
#[derive(Serialize)]
pub(super) struct EndpointPart<'a> {
    kind: &'static str,
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm: Option<SwarmPart<'a>>,
    #[serde(skip_serializing_if = "<[SafeText]>::is_empty")]
    shares_namespace_with: &'a [SafeText],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> From<&'a End> for EndpointPart<'a> {
    fn from(end: &'a End) -> Self {
        let container = end.container.as_deref();
        Self {
            kind: end_kind(end.kind),
            address: end.address,
            port: end.port,
            name: None,
            container: container.map(Into::into),
            swarm: end.swarm.as_deref().map(Into::into),
            shares_namespace_with: container.map_or(&[], |container| &container.shares_namespace_with),
            reason: end.reason,
        }
    }
}

/// `swarm`: whose an address on an overlay network is, as the swarm tells it.
#[derive(Serialize)]
pub(super) struct SwarmPart<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_address: Option<IpAddr>,
    network: NetworkPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vxlan_id: Option<u32>,
}

impl<'a> From<&'a SwarmRef> for SwarmPart<'a> {
    fn from(swarm: &'a SwarmRef) -> Self {
        let SwarmRef { member, network, vxlan_id } = swarm;
        Self {
            kind: member.kind.name(),
            service: member.service.as_ref(),
            name: member.name.as_ref(),
            node_address: member.node,
            network: network.into(),
            vxlan_id: *vxlan_id,
        }
    }
}

impl<'a> EndpointPart<'a> {
    /// The same with the name by which the other end came to its address.
    pub(super) fn asked_as(self, name: Option<&'a SafeText>) -> Self {
        Self { name, ..self }
    }
}

pub(super) const fn end_kind(kind: EndKind) -> &'static str {
    match kind {
        EndKind::Container => "container",
        EndKind::Host => "host",
        EndKind::External => "external",
        EndKind::Multicast => "multicast",
        EndKind::Unknown => "unknown",
    }
}

/// `client`, `server` or `service`, where containers of one service are one.
#[derive(Serialize)]
pub(super) struct ServicePart<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl<'a> From<&'a Service> for ServicePart<'a> {
    fn from(of: &'a Service) -> Self {
        let kind = match of {
            Service::Compose { .. } | Service::Swarm(_) => "service",
            Service::Container(_) => "container",
            Service::Elsewhere(..) => "swarm-container",
            Service::LoadBalancer => "load-balancer",
            Service::Alias(_) => "alias",
            Service::Host => "host",
            Service::Outside(_) => "external",
            Service::Unknown => "unknown",
        };
        let nobody = Self {
            kind,
            project: None,
            service: None,
            container: None,
            alias: None,
            network: None,
            address: None,
        };
        match of {
            Service::Compose { project, service } => {
                Self { project: project.as_ref(), service: Some(service), ..nobody }
            }
            Service::Swarm(service) => Self { service: Some(service), ..nobody },
            Service::Container(name) => Self { container: Some(name), ..nobody },
            Service::Elsewhere(name, address) => Self { container: Some(name), address: *address, ..nobody },
            Service::Alias(Alias { network, name }) => {
                Self { alias: Some(name), network: Some(network.into()), ..nobody }
            }
            Service::Outside(address) => Self { address: *address, ..nobody },
            Service::Host | Service::LoadBalancer | Service::Unknown => nobody,
        }
    }
}

/// `handshake`: how long TCP connections took to be answered, since the watch began.
#[derive(Serialize)]
pub(super) struct HandshakePart {
    count: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

impl From<Percentiles> for HandshakePart {
    fn from(handshake: Percentiles) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            count: handshake.count,
            p50_us: micros(handshake.p50),
            p90_us: micros(handshake.p90),
            p99_us: micros(handshake.p99),
            p999_us: micros(handshake.p999),
            max_us: micros(handshake.max),
        }
    }
}

/// `before_watch`: what the device counted before it was watched. A device counts no wire packets.
#[derive(Serialize)]
pub(super) struct BeforeWatchPart {
    sent: DeviceCountsPart,
    received: DeviceCountsPart,
}

#[derive(Serialize)]
struct DeviceCountsPart {
    skbs: u64,
    skb_bytes: u64,
}

impl From<Traffic> for BeforeWatchPart {
    fn from(before: Traffic) -> Self {
        let counted = |counts: Counts| DeviceCountsPart { skbs: counts.skbs, skb_bytes: counts.skb_bytes };
        Self { sent: counted(before.sent), received: counted(before.received) }
    }
}

/// `observed_at`: the device where something was seen.
#[derive(Serialize)]
pub(super) struct ObservedAtPart<'a> {
    kind: InterfaceKind,
    interface: &'a SafeText,
    /// Absent for a control group, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    ifindex: Option<u32>,
}

impl<'a> From<&'a ObservedAt> for ObservedAtPart<'a> {
    fn from(at: &'a ObservedAt) -> Self {
        Self { kind: at.kind, interface: &at.interface, ifindex: (at.ifindex != 0).then_some(at.ifindex) }
    }
}

/// `origin`: where received packets entered the host's stack.
#[derive(Serialize)]
pub(super) struct OriginPart<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    several: bool,
}

impl<'a> From<&'a OriginEnd> for OriginPart<'a> {
    fn from(origin: &'a OriginEnd) -> Self {
        let kind = match origin.kind {
            OriginKind::Veth => "veth",
            OriginKind::Bridge => "bridge",
            OriginKind::Host => "host",
            OriginKind::Uplink => "uplink",
            OriginKind::Other => "other",
        };
        Self {
            kind,
            interface: origin.interface.as_ref(),
            container: origin.container.as_ref(),
            network: origin.network.as_ref().map(Into::into),
            several: origin.several,
        }
    }
}

/// How the host changes a conversation, or passes it on.
#[derive(Serialize)]
pub(super) struct TranslatedPart {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<TuplePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<TuplePart>,
    evidence: &'static str,
}

impl From<&Translated> for TranslatedPart {
    fn from(translated: &Translated) -> Self {
        let Translated { kind, original, reply, evidence } = *translated;
        Self { kind, original: original.map(Into::into), reply: reply.map(Into::into), evidence }
    }
}

/// Both ends of what is sent in one direction; for ICMP both ports are the echo identifier.
#[derive(Serialize)]
pub(super) struct TuplePart {
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    destination_port: u16,
}

impl From<Tuple> for TuplePart {
    fn from(tuple: Tuple) -> Self {
        let Tuple { source, destination, ports: (source_port, destination_port), .. } = tuple;
        Self { source, source_port, destination, destination_port }
    }
}
