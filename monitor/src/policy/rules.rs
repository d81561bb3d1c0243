//! What Docker's own facts make one expect of a conversation: the topology rules, in their order.
//!
//! Judged by the network of the addresses used, not by which networks the two containers are on: a container on A
//! that addresses the B address of a container on A and B crosses from A to B.

use crate::attribution::{Attribution, End, EndKind, Known, KnownNetwork};
use crate::model::{GatewayMode, KernelTime, NetworkId, Protocol, SafeText};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A topology rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// A source address or Ethernet address that is not the sender's own.
    SpoofedSource,
    /// A cloud's metadata service.
    MetadataService,
    /// `--link` between the two.
    Linked,
    /// One network whose containers may not talk to each other.
    IccDisabled,
    /// Both addresses are of one network.
    SameNetwork,
    /// Through a published port of the host.
    PublishedPort,
    /// An address of another Docker network.
    CrossNetwork,
    /// From an `--internal` network to outside.
    InternalEgress,
    /// An address of the host.
    HostAccess,
    /// From outside to a port of a container.
    ExposedPort,
    /// To outside.
    Egress,
    /// A container of a service that answers nobody while the others do; of many conversations, and never one's verdict.
    SilentReplica,
    /// An end sends packets that do not fit on the way, although it is told; of a pair, and never a conversation's verdict.
    WrongMtu,
    /// One of the policy file, see [`RuleName::File`].
    Policy,
}

impl Rule {
    /// Its name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpoofedSource => "spoofed-source",
            Self::MetadataService => "metadata-service",
            Self::Linked => "linked",
            Self::IccDisabled => "icc-disabled",
            Self::SameNetwork => "same-network",
            Self::PublishedPort => "published-port",
            Self::CrossNetwork => "cross-network",
            Self::InternalEgress => "internal-egress",
            Self::HostAccess => "host-access",
            Self::ExposedPort => "exposed-port",
            Self::Egress => "egress",
            Self::SilentReplica => "silent-replica",
            Self::WrongMtu => "wrong-mtu",
            Self::Policy => "policy",
        }
    }
}

/// The rule that decided: one of the topology, or one of the policy file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RuleName {
    /// Of the topology.
    Topology(Rule),
    /// Of the policy file, by its name.
    File(SafeText),
}

impl RuleName {
    /// Its name in JSON and on screen.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Topology(rule) => rule.name(),
            Self::File(name) => name.as_str(),
        }
    }
}

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Expected {
    /// It may happen.
    Allow,
    /// It may not.
    Deny,
}

/// What a rule says of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// The rule that decided.
    pub rule: Rule,
    /// What it expects.
    pub expected: Expected,
    /// Allowed, but round the isolation: worth telling.
    pub crossing: bool,
}

impl Judgement {
    const fn allow(rule: Rule) -> Self {
        Self { rule, expected: Expected::Allow, crossing: false }
    }

    const fn crossing(rule: Rule) -> Self {
        Self { rule, expected: Expected::Allow, crossing: true }
    }

    const fn deny(rule: Rule) -> Self {
        Self { rule, expected: Expected::Deny, crossing: false }
    }
}

/// A conversation to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who opened it.
    pub from: &'a End,
    /// The network of the interface it left by, for a container.
    pub from_network: Option<&'a NetworkId>,
    /// Whom it addressed.
    pub to: &'a End,
    /// The protocol.
    pub protocol: Protocol,
    /// The addressed port.
    pub port: Option<u16>,
    /// When.
    pub at: KernelTime,
}

/// The metadata services of the clouds.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// What the topology makes one expect; `None` where it says nothing: what goes to many, and ends that are not known.
#[must_use]
pub fn judge(facts: &Attribution, question: &Question<'_>) -> Option<Judgement> {
    if question.to.kind == EndKind::Multicast {
        return None;
    }
    if METADATA.contains(&question.to.address) && question.from.kind == EndKind::Container {
        return Some(Judgement::deny(Rule::MetadataService));
    }
    match question.from.kind {
        EndKind::Container => from_container(facts, question),
        EndKind::External => from_outside(facts, question),
        EndKind::Host => Some(from_host(question)),
        EndKind::Multicast | EndKind::Unknown => None,
    }
}

fn from_container(facts: &Attribution, question: &Question<'_>) -> Option<Judgement> {
    let Question { from, to, from_network, at, .. } = *question;
    let opener = from.container.as_ref().and_then(|container| facts.container(&container.id));
    if opener.is_some_and(|known| facts.is_on_host_network(known)) {
        return from_host_network(facts, question);
    }
    let own = facts.network(from_network?)?;
    if facts.is_of_host(to.address, at) {
        return Some(to_host(facts, question, own));
    }
    match facts.network_of_end(to, at) {
        Some(other) if other.network.id == own.network.id => Some(within(facts, question, own)),
        Some(other) if is_local(other) => Some(across(facts, question, other)),
        // What leaves an internal network is dropped, wherever it goes.
        Some(_) if own.network.internal && is_local(own) => Some(Judgement::deny(Rule::InternalEgress)),
        // Docker keeps nobody from one whose device is not behind a bridge of this host.
        Some(_) if to.kind == EndKind::Container => Some(Judgement::crossing(Rule::CrossNetwork)),
        // A container's address that no network holds, such as one it gave itself.
        _ if to.kind == EndKind::Container => Some(across(facts, question, own)),
        _ if to.kind == EndKind::Unknown => None,
        _ if own.network.internal => Some(Judgement::deny(Rule::InternalEgress)),
        _ => Some(Judgement::allow(Rule::Egress)),
    }
}

/// Whether a network's addresses are behind a bridge of this host.
fn is_local(known: &KnownNetwork) -> bool {
    known.network.bridge.is_some()
}

fn within(facts: &Attribution, question: &Question<'_>, network: &KnownNetwork) -> Judgement {
    if are_linked(facts, question) {
        Judgement::allow(Rule::Linked)
    } else if network.network.inter_container || question.to.kind != EndKind::Container {
        Judgement::allow(Rule::SameNetwork)
    } else {
        Judgement::deny(Rule::IccDisabled)
    }
}

/// Whether one of the two was started with a link to the other.
fn are_linked(facts: &Attribution, question: &Question<'_>) -> bool {
    let known = |end: &End| end.container.as_ref().and_then(|container| facts.container(&container.id));
    let (Some(from), Some(to)) = (known(question.from), known(question.to)) else { return false };
    let links = |one: &Known, other: &Known| one.container.links.contains(&other.container.name);
    links(from, to) || links(to, from)
}

fn across(facts: &Attribution, question: &Question<'_>, to: &KnownNetwork) -> Judgement {
    let mode = match question.to.address {
        IpAddr::V4(_) => to.network.gateway_mode_ipv4,
        IpAddr::V6(_) => to.network.gateway_mode_ipv6,
    };
    match mode {
        GatewayMode::Routed if is_published(facts, question) => Judgement::crossing(Rule::CrossNetwork),
        // That of `nat-unprotected` is about who comes from outside: other networks of this host stay apart.
        GatewayMode::Nat | GatewayMode::NatUnprotected | GatewayMode::Isolated | GatewayMode::Routed => {
            Judgement::deny(Rule::CrossNetwork)
        }
    }
}

/// Whether the addressed container published the addressed port, at whatever address of the host.
fn is_published(facts: &Attribution, question: &Question<'_>) -> bool {
    let container = question.to.container.as_ref().and_then(|to| facts.container(&to.id));
    let (Some(known), Some(port)) = (container, question.port) else { return false };
    let name = question.protocol.name();
    known.container.published.iter().any(|(_, _, inner, protocol)| *inner == port && *protocol == name)
}

fn to_host(facts: &Attribution, question: &Question<'_>, own: &KnownNetwork) -> Judgement {
    let publisher =
        question.port.and_then(|port| facts.publisher(question.to.address, port, question.protocol));
    if let Some((known, _)) = publisher {
        let same = known.container.endpoints.iter().any(|endpoint| endpoint.network == own.network.id);
        return if same {
            Judgement::allow(Rule::PublishedPort)
        } else {
            Judgement::crossing(Rule::PublishedPort)
        };
    }
    let mode = if question.to.address.is_ipv4() {
        own.network.gateway_mode_ipv4
    } else {
        own.network.gateway_mode_ipv6
    };
    match mode {
        GatewayMode::Isolated => Judgement::deny(Rule::HostAccess),
        GatewayMode::Nat | GatewayMode::NatUnprotected | GatewayMode::Routed => {
            Judgement::crossing(Rule::HostAccess)
        }
    }
}

fn from_outside(facts: &Attribution, question: &Question<'_>) -> Option<Judgement> {
    if question.to.kind != EndKind::Container {
        return None;
    }
    let network = facts.network_of_end(question.to, question.at)?;
    if !network.network.driver.has_host_end() {
        let is_neighbour = network.holds(question.from.address);
        return Some(if is_neighbour {
            Judgement::allow(Rule::SameNetwork)
        } else {
            Judgement::crossing(Rule::ExposedPort)
        });
    }
    let mode = match question.to.address {
        IpAddr::V4(_) => network.network.gateway_mode_ipv4,
        IpAddr::V6(_) => network.network.gateway_mode_ipv6,
    };
    let open = is_published(facts, question) || mode == GatewayMode::NatUnprotected;
    Some(if open { Judgement::allow(Rule::ExposedPort) } else { Judgement::deny(Rule::ExposedPort) })
}

/// A container on the host's network goes where the host does. An internal network is closed to everybody but the host.
fn from_host_network(facts: &Attribution, question: &Question<'_>) -> Option<Judgement> {
    let Question { to, at, .. } = *question;
    let network = facts.network_of_address(to.address, at).filter(|_| !facts.is_of_host(to.address, at));
    match network {
        Some(other) if other.network.internal => Some(Judgement::crossing(Rule::CrossNetwork)),
        _ if to.kind == EndKind::Unknown => None,
        _ => Some(from_host(question)),
    }
}

/// The host reaches its containers: its own processes, the userland proxy, containers in its namespace.
fn from_host(question: &Question<'_>) -> Judgement {
    if question.to.kind == EndKind::Container {
        Judgement::allow(Rule::HostAccess)
    } else {
        Judgement::allow(Rule::Egress)
    }
}
