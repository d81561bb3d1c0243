//! Both ends of a conversation, named.

use super::SwarmRef;
use crate::model::{
    ContainerId, FlowPorts, InterfaceKind, InterfaceNumber, NetworkDriver, NetworkId, SafeText, Word, word,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A Docker network, as far as an endpoint needs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkRef {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: SafeText,
    /// Its driver.
    pub driver: NetworkDriver,
}

/// A container, as far as an endpoint needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRef {
    /// Its full id.
    pub id: ContainerId,
    /// Its name.
    pub name: SafeText,
    /// Its image.
    pub image: Option<SafeText>,
    /// Compose project.
    pub project: Option<SafeText>,
    /// Compose service, or else the Swarm service that it is a task of.
    pub service: Option<SafeText>,
    /// Whether the service is a Swarm's, whose name means the same on all nodes.
    #[serde(default)]
    pub of_swarm: bool,
    /// The networks it is on.
    pub networks: Vec<NetworkRef>,
    /// Names of the containers in the same network namespace.
    pub shares_namespace_with: Vec<SafeText>,
    /// Names on networks that lead to other containers too.
    pub aliases: Vec<Alias>,
}

/// A name that several containers have on a network (`--network-alias`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Alias {
    /// The network.
    pub network: NetworkRef,
    /// The name, in small letters.
    pub name: SafeText,
}

impl Alias {
    /// Whether it is what was asked for: it alone, or with the network's name behind it, in whatever letters.
    #[must_use]
    pub fn is_meant(&self, asked: &str) -> bool {
        let (alias, network) = (self.name.as_str(), self.network.name.as_str());
        let rest = asked.get(alias.len()..).filter(|_| asked[..alias.len()].eq_ignore_ascii_case(alias));
        rest.is_some_and(|rest| {
            let with_network = rest.strip_prefix('.');
            rest.is_empty() || with_network.is_some_and(|rest| rest.eq_ignore_ascii_case(network))
        })
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}.{}", self.name, self.network.name)
    }
}

/// The shortest beginning of a container's id that is taken for one.
const SHORTEST_ID: usize = 4;

impl ContainerRef {
    /// Whether it uses the host's own network, and so is seen at its sockets alone.
    #[must_use]
    pub fn is_on_host_network(&self) -> bool {
        self.networks.iter().any(|network| network.driver == NetworkDriver::Host)
    }

    /// Whether it is meant by a name, its own or that of one in the same namespace, or by the beginning of its id (four
    /// characters at least).
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let mut names = std::iter::once(&self.name).chain(&self.shares_namespace_with);
        let by_id = name.len() >= SHORTEST_ID && self.id.as_str().starts_with(name);
        by_id || names.any(|its| its.as_str() == name)
    }

    /// The name that it shares with others on a network, if that is what was asked for there.
    #[must_use]
    pub fn alias(&self, asked: &str, network: &NetworkId) -> Option<&Alias> {
        self.aliases_on(network).find(|alias| alias.is_meant(asked))
    }

    /// The names that it shares with others on a network.
    pub fn aliases_on(&self, network: &NetworkId) -> impl Iterator<Item = &Alias> {
        self.aliases.iter().filter(move |alias| alias.network.id == *network)
    }
}

/// What kind of peer an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndKind {
    /// A container of this host.
    Container,
    /// The host itself: its addresses, its processes, docker-proxy, a host-mode container.
    Host,
    /// Outside this host; also the namespaces of a swarm's load balancer, wherever they are.
    External,
    /// A multicast or broadcast address.
    Multicast,
    /// Cannot be told.
    Unknown,
}

/// Why an end or an interface cannot be named. Fixed words: they are part of the JSON.
pub mod reason {
    /// Docker does not answer, so what is new has no name.
    pub const DOCKER_DOWN: &str = "docker_down";
    /// The interface is there, but Docker has not told whose it is yet.
    pub const NOT_ANNOUNCED_YET: &str = "not_announced_yet";
    /// Docker answers and knows no container behind the interface.
    pub const NOT_A_CONTAINER: &str = "not_a_container";
    /// The interface is that of the swarm's load balancer on this node, which is no container.
    pub const SWARM_LOAD_BALANCER: &str = "swarm_load_balancer";
    /// The address is in a Docker network, and no container had it at that time.
    pub const NO_CONTAINER_HAS_IT: &str = "no_container_has_it";
    /// Another container got the address between the first and the last packet.
    pub const ADDRESS_CHANGED_HANDS: &str = "address_changed_hands";
    /// Several networks have that address, each with another container.
    pub const AMBIGUOUS_ADDRESS: &str = "ambiguous_address";
    /// The source was rewritten to an address of the host; it is some container of the origin's network.
    pub const MASQUERADED: &str = "masqueraded";
    /// Packets came from several interfaces with different owners.
    pub const SEVERAL_ORIGINS: &str = "several_origins";
    /// An IPv6 link-local address, and no interface tells whose.
    pub const LINK_LOCAL: &str = "link_local";
    /// 0.0.0.0 or `::`: a sender that has no address yet, and no interface tells who it is.
    pub const NO_ADDRESS_YET: &str = "no_address_yet";
    /// The interface's network is not known, so neither is what an address in it means.
    pub const NETWORK_UNKNOWN: &str = "network_unknown";
    /// The interface itself is not known.
    pub const INTERFACE_UNKNOWN: &str = "interface_unknown";
}

/// Kind, address, and the name in the swarm that the address has: it may have another one later.
pub type Identity = (EndKind, IpAddr, Option<SafeText>);

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What it is.
    pub kind: EndKind,
    /// Its address in the flow.
    pub address: IpAddr,
    /// Its port, for protocols with ports.
    pub port: Option<u16>,
    /// The container, when `kind` says so.
    pub container: Option<Arc<ContainerRef>>,
    /// Whose the swarm says that the address is, on an overlay network; it is no container of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Arc<SwarmRef>>,
    /// Why it cannot be told, when `kind` is unknown; one of [`reason`].
    #[serde(deserialize_with = "word::read_some")]
    pub reason: Option<Word>,
}

impl End {
    /// An end without a container.
    #[must_use]
    pub fn plain(kind: EndKind, address: IpAddr) -> Self {
        Self { kind, address, port: None, container: None, swarm: None, reason: None }
    }

    /// A container.
    #[must_use]
    pub fn of_container(container: Arc<ContainerRef>, address: IpAddr) -> Self {
        Self { container: Some(container), ..Self::plain(EndKind::Container, address) }
    }

    /// An end that cannot be told, and why.
    #[must_use]
    pub fn unknown(reason: &'static str, address: IpAddr) -> Self {
        Self { reason: Some(reason), ..Self::plain(EndKind::Unknown, address) }
    }

    /// The name of the container, of this node or of another one of the swarm.
    #[must_use]
    pub fn container_name(&self) -> Option<&SafeText> {
        let here = self.container.as_ref().map(|container| &container.name);
        here.or_else(|| self.swarm.as_ref()?.member.name.as_ref())
    }

    /// The service of Compose or Swarm that it is of, on this node or on another one.
    #[must_use]
    pub fn service_name(&self) -> Option<&SafeText> {
        match &self.container {
            Some(container) => container.service.as_ref(),
            None => self.swarm.as_ref()?.member.service.as_ref(),
        }
    }

    /// What makes an end that is no container of this host the same as another.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let member = self.swarm.as_ref().map(|swarm| &swarm.member);
        let of_swarm = member.and_then(|member| member.name.as_ref().or(member.service.as_ref()));
        (self.kind, self.address, of_swarm.cloned())
    }

    /// The same end with its port: the local or the remote one of `ports`.
    #[must_use]
    pub fn with_port(mut self, ports: FlowPorts, local_side: bool) -> Self {
        self.port = match ports {
            FlowPorts::Ports { local, remote } => Some(if local_side { local } else { remote }),
            FlowPorts::Icmp { .. } | FlowPorts::LaterFragment | FlowPorts::None => None,
        };
        self
    }
}

/// Where a flow was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedAt {
    /// Kind of device.
    pub kind: InterfaceKind,
    /// The agent's number of it.
    pub number: InterfaceNumber,
    /// Its name.
    pub interface: SafeText,
    /// Its ifindex.
    pub ifindex: u32,
}

/// What the origin interface of received packets is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OriginKind {
    /// A container's veth: the sender's, or a routing container's.
    Veth,
    /// A bridge: routed from another network.
    Bridge,
    /// The host itself, docker-proxy, or a host-mode container.
    Host,
    /// Any other device that has an address of the host: outside.
    Uplink,
    /// Another device.
    Other,
}

/// Where received packets entered the host's stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginEnd {
    /// What it is.
    pub kind: OriginKind,
    /// The device's name; absent for the host itself.
    pub interface: Option<SafeText>,
    /// Name of the container behind a veth.
    pub container: Option<SafeText>,
    /// The Docker network of a veth or a bridge: "some container of that network" when the source is masqueraded.
    pub network: Option<NetworkRef>,
    /// Whether other packets of the flow had another origin.
    pub several: bool,
}
