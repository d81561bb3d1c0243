//! Watched interfaces, and the container behind each.
//!
//! Evidence for an interface's owner comes in degrees; a better one replaces a weaker one, and an equal or weaker
//! one never does: once recognised, an interface stays its container's for its whole life.

use super::containers::{Known, overlap};
use super::facts::{End, EndpointFact, FactId, Facts};
use super::{NetworkRef, ObservedAt};
use crate::model::{
    ContainerId, Interface, InterfaceKind, InterfaceNumber, KernelTime, NetworkDriver, NetworkId,
    NetworkMode, PeerDevice, SafeText, Span,
};
use std::collections::HashMap;
use std::time::Duration;

/// How long an interface waits for better evidence before an endpoint is believed that Docker still lists although
/// its own interface went.
const BEFORE_REVIVAL: Duration = Duration::from_millis(500);

/// How good the evidence for an owner is; later is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The peer's Ethernet address is one that Docker still lists, although its last interface went.
    ListedMac,
    /// The peer is in the container's namespace; no endpoint of it tells that address.
    Namespace,
    /// The peer's Ethernet address is the container's in that network.
    Mac,
    /// Both.
    NamespaceAndMac,
    /// It is the container's own control group.
    Group,
}

/// A container recognised behind an interface.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Which container.
    pub container: ContainerId,
    /// On which evidence.
    pub evidence: Evidence,
    pub(super) fact: Option<FactId>,
}

/// A watched interface, for its whole life and a while after.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The device.
    pub interface: Interface,
    /// What a record says of it.
    pub observed_at: ObservedAt,
    /// When it was watched.
    pub life: Span,
    /// Its Docker network, once known.
    pub network: Option<NetworkRef>,
    /// The container behind it, once known.
    pub owner: Option<Owner>,
}

impl Watched {
    pub(super) fn new(interface: Interface, at: KernelTime) -> Self {
        let observed_at = observed_at(&interface);
        Self { interface, observed_at, life: Span::starting(at), network: None, owner: None }
    }

    /// A container's control group, in the place of an interface.
    pub(super) fn group(number: InterfaceNumber, container: &ContainerId, at: KernelTime) -> Self {
        let interface = Interface {
            number,
            ifindex: 0,
            name: SafeText::new(&format!("cgroup of {}", container.short())),
            kind: InterfaceKind::Cgroup,
            mac: None,
            master: None,
            peer: None,
        };
        let owner = Owner { container: container.clone(), evidence: Evidence::Group, fact: None };
        Self { owner: Some(owner), ..Self::new(interface, at) }
    }

    /// Takes a new description. What was known of the other end stays where the new one cannot read it any more:
    /// a container's end goes with its namespace, a moment before the device itself.
    pub(super) fn replace(&mut self, interface: Interface) {
        self.observed_at = observed_at(&interface);
        let known = std::mem::replace(&mut self.interface, interface).peer;
        self.interface.peer = match (known, self.interface.peer.take()) {
            (known, None) => known,
            (Some(known), Some(new)) if new.mac.is_none() && new.ifindex == known.ifindex => Some(known),
            (_, new) => new,
        };
    }

    /// Name of the bridge whose network it belongs to.
    #[must_use]
    pub fn bridge(&self) -> Option<&SafeText> {
        match self.interface.kind {
            InterfaceKind::Bridge => Some(&self.interface.name),
            InterfaceKind::Veth => self.interface.master.as_ref().map(|(_, name)| name),
            InterfaceKind::Cgroup | InterfaceKind::Inside => None,
        }
    }
}

fn observed_at(interface: &Interface) -> ObservedAt {
    ObservedAt {
        kind: interface.kind,
        number: interface.number,
        interface: interface.name.clone(),
        ifindex: interface.ifindex,
    }
}

/// What can tell an interface's owner.
pub(super) struct Clues<'a> {
    pub(super) containers: &'a HashMap<ContainerId, Known>,
    pub(super) facts: &'a Facts,
    /// Containers that had a namespace number.
    pub(super) by_namespace: &'a HashMap<i32, Vec<ContainerId>>,
    pub(super) now: KernelTime,
}

impl Clues<'_> {
    /// The owner of an interface by what is known now; the present owner unless something better turned up or
    /// what spoke for it proved wrong.
    pub(super) fn owner(&self, watched: &Watched) -> Option<Owner> {
        if watched.interface.kind == InterfaceKind::Cgroup {
            return watched.owner.clone();
        }
        let peer = watched.interface.peer.as_ref()?;
        let candidates = self.candidates(watched, peer);
        let best = candidates.iter().max_by_key(|owner| owner.evidence).cloned();
        let Some(present) = &watched.owner else { return best };
        let still = candidates.iter().find(|owner| owner.container == present.container);
        match (still, best) {
            (Some(still), Some(best)) => {
                let strongest = present.evidence.max(still.evidence);
                if best.container != present.container && best.evidence > strongest {
                    return Some(best);
                }
                let fact = present.fact.or(still.fact);
                Some(Owner { container: present.container.clone(), evidence: strongest, fact })
            }
            (None, best) if self.was_never_true(watched, present) => best,
            (None, Some(best)) if best.evidence > present.evidence => Some(best),
            _ => Some(present.clone()),
        }
    }

    /// Whether everything that spoke for an owner turned out to have ended before the interface began.
    fn was_never_true(&self, watched: &Watched, owner: &Owner) -> bool {
        let fact = owner.fact.and_then(|id| self.facts.get(id));
        let fact_ended = fact.is_some_and(|fact| !overlap(fact.span, watched.life));
        let known = self.containers.get(&owner.container);
        let stopped_before = known.is_some_and(|known| {
            !known.is_running() && known.stopped.is_some_and(|stopped| stopped <= watched.life.from)
        });
        fact_ended || stopped_before
    }

    fn candidates(&self, watched: &Watched, peer: &PeerDevice) -> Vec<Owner> {
        let mut by_mac = self.by_mac(watched, peer);
        // Two containers with the same address in one network: the address alone tells nothing.
        let open = by_mac.iter().filter(|owner| self.is_open(owner)).count();
        if by_mac.len() > 1 && open == 1 {
            by_mac.retain(|owner| self.is_open(owner));
        }
        let ambiguous = by_mac.len() > 1;
        let in_namespace = self.by_namespace(watched, peer);
        let mut candidates: Vec<Owner> = Vec::new();
        for mut owner in by_mac {
            if in_namespace.contains(&owner.container) {
                owner.evidence = Evidence::NamespaceAndMac;
            } else if ambiguous {
                continue;
            }
            candidates.push(owner);
        }
        // The namespace alone tells only if nobody else in it is known by the address.
        if let [alone] = in_namespace.as_slice()
            && !candidates.iter().any(|owner| owner.container == *alone)
        {
            let container = alone.clone();
            candidates.push(Owner { container, evidence: Evidence::Namespace, fact: None });
        }
        candidates
    }

    fn is_open(&self, owner: &Owner) -> bool {
        owner.fact.and_then(|id| self.facts.get(id)).is_some_and(|fact| fact.span.until.is_none())
    }

    fn by_mac(&self, watched: &Watched, peer: &PeerDevice) -> Vec<Owner> {
        let Some(mac) = peer.mac else { return Vec::new() };
        let network = watched.network.as_ref().map(|network| &network.id);
        let mut owners: Vec<Owner> = Vec::new();
        for (id, fact) in self.facts.with_mac(mac) {
            let elsewhere = network.is_some_and(|network| fact.network != *network);
            if elsewhere
                || self.is_of_another_interface(fact, watched)
                || self.other_namespace(fact, watched, peer)
            {
                continue;
            }
            let Some(evidence) = self.mac_evidence(fact, watched) else { continue };
            let owner = Owner { container: fact.container.clone(), evidence, fact: Some(id) };
            match owners.iter_mut().find(|other| other.container == owner.container) {
                Some(other) if other.evidence < owner.evidence => *other = owner,
                Some(_) => {}
                None => owners.push(owner),
            }
        }
        owners
    }

    fn is_of_another_interface(&self, fact: &EndpointFact, watched: &Watched) -> bool {
        let number = watched.interface.number;
        fact.end != End::ByLink && fact.interface.is_some_and(|interface| interface != number)
    }

    fn other_namespace(&self, fact: &EndpointFact, watched: &Watched, peer: &PeerDevice) -> bool {
        let known = self.containers.get(&fact.container);
        let its = known.and_then(|known| known.namespace_during(watched.life));
        matches!((its, peer.namespace), (Some(its), Some(peers)) if its != peers)
    }

    fn mac_evidence(&self, fact: &EndpointFact, watched: &Watched) -> Option<Evidence> {
        if overlap(fact.span, watched.life) {
            return Some(Evidence::Mac);
        }
        let waited = self.now.since(watched.life.from) >= BEFORE_REVIVAL;
        let listed = self.containers.get(&fact.container).is_some_and(Known::is_running);
        (fact.end == End::ByLink && waited && listed && watched.life.until.is_none())
            .then_some(Evidence::ListedMac)
    }

    /// Containers in the peer's namespace that have one of their own (not those that joined it).
    fn by_namespace(&self, watched: &Watched, peer: &PeerDevice) -> Vec<ContainerId> {
        let ids = peer.namespace.and_then(|namespace| self.by_namespace.get(&namespace));
        let here = |id: &&ContainerId| {
            self.containers.get(*id).is_some_and(|known| {
                !matches!(known.container.network_mode, NetworkMode::SharedWith(_))
                    && known
                        .namespaces
                        .iter()
                        .any(|(number, span)| Some(*number) == peer.namespace && overlap(*span, watched.life))
            })
        };
        ids.into_iter().flatten().filter(here).cloned().collect()
    }
}

/// The network of a device in a container's namespace: by the endpoint it was recognised by, else the only one of the
/// container's that has no end on the host.
pub(super) fn network_inside(
    watched: &Watched,
    containers: &HashMap<ContainerId, Known>,
    facts: &Facts,
    networks: &HashMap<NetworkId, super::networks::KnownNetwork>,
) -> Option<NetworkRef> {
    let owner = watched.owner.as_ref().filter(|_| watched.interface.kind == InterfaceKind::Inside)?;
    let by_fact = owner.fact.and_then(|id| facts.get(id)).and_then(|fact| networks.get(&fact.network));
    let only = || {
        let known = containers.get(&owner.container)?;
        let endpoints = known.container.endpoints.iter().filter_map(|at| networks.get(&at.network));
        let mut without_end = endpoints.filter(|known| !known.network.driver.has_host_end());
        without_end.next().filter(|_| without_end.next().is_none())
    };
    by_fact.or_else(only).map(|known| known.reference.clone())
}

/// The network of an interface: the one whose bridge it is a port of, at that time. Of a control group, the host's.
pub(super) fn network_of(
    watched: &Watched,
    networks: &HashMap<NetworkId, super::networks::KnownNetwork>,
) -> Option<NetworkRef> {
    let is_its = |known: &&super::networks::KnownNetwork| match watched.interface.kind {
        InterfaceKind::Cgroup => known.network.driver == NetworkDriver::Host,
        InterfaceKind::Inside => false,
        InterfaceKind::Veth | InterfaceKind::Bridge => {
            watched.bridge().is_some_and(|bridge| known.network.bridge.as_ref() == Some(bridge))
        }
    };
    networks
        .values()
        .filter(|known| is_its(known) && known.not_ended(watched.life.from))
        .max_by_key(|known| known.span.from)
        .map(|known| known.reference.clone())
}
