//! Who is behind an interface and an address, at a given time.
//!
//! Docker's facts and the kernel's links arrive in any order; each is valid for a span of time, and a record is
//! attributed with the facts of its own time. The order of evidence: the interface a packet crossed, the interface
//! it came from, the address in that interface's network, any other Docker network's address, the host's own
//! addresses, and only then "external".

mod containers;
mod ends;
mod facts;
mod groups;
mod inside;
mod interfaces;
mod learn;
mod lookup;
mod networks;
mod remote;
mod sender;
mod settle;
mod swarm;
mod translations;

pub use containers::Known;
pub use ends::{
    Alias, ContainerRef, End, EndKind, Identity, NetworkRef, ObservedAt, OriginEnd, OriginKind, reason,
};
pub use interfaces::{Evidence, Owner, Watched};
pub use networks::KnownNetwork;
pub(crate) use networks::in_subnet;
pub use remote::Packets;
pub use swarm::SwarmRef;
pub use translations::Translated;

use crate::model::{
    ContainerId, DockerState, HostAddresses, Interface, InterfaceNumber, KernelTime, Losses, NetworkId,
    SafeText,
};
use facts::{Facts, Holder};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use swarm::Swarm;
use translations::Translations;

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a fact is kept after its end.
    pub keep: Duration,
    /// The most facts, live or ended, containers, and ended interfaces that are kept, each.
    pub max_kept: usize,
    /// For how long after it was attached an interface may still be announced: records wait that long for a name.
    pub announcement: Duration,
    /// For how long Docker's first answer is waited for, in place of that.
    pub first_answer: Duration,
    /// After that answer, for how long what had waited for it still waits; and for how long new interfaces are waited for
    /// that Docker cannot or need not announce.
    pub settling: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            keep: seconds(120),
            max_kept: 20_000,
            announcement: seconds(5),
            first_answer: seconds(10),
            settling: seconds(2),
        }
    }
}

/// All facts.
#[derive(Debug)]
pub struct Attribution {
    settings: Settings,
    docker: DockerState,
    /// When Docker first answered, just before it tells what there is, or was found not to.
    answered: Option<KernelTime>,
    /// Why the last of its answers that made no sense was refused.
    refused: Option<SafeText>,
    networks: HashMap<NetworkId, KnownNetwork>,
    containers: HashMap<ContainerId, Known>,
    facts: Facts,
    by_namespace: HashMap<i32, Vec<ContainerId>>,
    /// By the number that the whole system knows their namespace by; of one that is used again, who had it last.
    by_inode: HashMap<u32, ContainerId>,
    interfaces: HashMap<InterfaceNumber, Watched>,
    by_ifindex: HashMap<u32, Vec<InterfaceNumber>>,
    /// As of the last conclusions; interfaces that were forgotten since may be in it.
    by_owner: HashMap<ContainerId, Vec<InterfaceNumber>>,
    ended_interfaces: VecDeque<InterfaceNumber>,
    /// And the devices that have them.
    host_addresses: HashMap<IpAddr, SafeText>,
    devices: HashMap<u32, SafeText>,
    uplinks: HashSet<u32>,
    translations: Translations,
    swarm: Swarm,
    /// When the youngest interface without an owner was attached.
    last_unowned: Option<KernelTime>,
    changed: bool,
    revision: u64,
    losses: Losses,
}

impl Attribution {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            docker: DockerState::Connecting,
            answered: None,
            refused: None,
            networks: HashMap::new(),
            containers: HashMap::new(),
            facts: Facts::new(settings.max_kept),
            by_namespace: HashMap::new(),
            by_inode: HashMap::new(),
            interfaces: HashMap::new(),
            by_ifindex: HashMap::new(),
            by_owner: HashMap::new(),
            ended_interfaces: VecDeque::new(),
            host_addresses: HashMap::new(),
            devices: HashMap::new(),
            uplinks: HashSet::new(),
            translations: Translations::default(),
            swarm: Swarm::default(),
            last_unowned: None,
            changed: false,
            revision: 0,
            losses: Losses::default(),
            settings,
        }
    }

    /// A device is watched from `at` on.
    pub fn attached(&mut self, interface: &Interface, at: KernelTime) {
        // One in a container's own namespace has none here: its number there may be another device's.
        if interface.ifindex != 0 {
            let numbers = self.by_ifindex.entry(interface.ifindex).or_default();
            if !numbers.contains(&interface.number) {
                numbers.push(interface.number);
            }
        }
        self.interfaces.insert(interface.number, Watched::new(interface.clone(), at));
        self.changed = true;
    }

    /// A container is watched at its control group from `at` on.
    pub fn group_attached(&mut self, number: InterfaceNumber, container: &ContainerId, at: KernelTime) {
        self.interfaces.insert(number, Watched::group(number, container, at));
        self.changed = true;
    }

    /// What is known of a watched device changed.
    pub fn changed(&mut self, interface: &Interface) {
        if let Some(watched) = self.interfaces.get_mut(&interface.number) {
            watched.replace(interface.clone());
            self.changed = true;
        }
    }

    /// A device is watched no longer. It is remembered for the records of its time.
    pub fn detached(&mut self, number: InterfaceNumber, at: KernelTime) {
        // What it was recognised by must be known before it is closed.
        self.settle(at);
        let Some(watched) = self.interfaces.get_mut(&number).filter(|watched| watched.life.until.is_none())
        else {
            return;
        };
        watched.life.until = Some(at);
        self.ended_interfaces.push_back(number);
        self.changed = true;
        let Some(owner) = watched.owner.clone() else { return };
        if let Some(fact) = owner.fact {
            self.facts.link_gone(fact, number, at);
        }
        let another = self.interfaces.values().any(|other| {
            other.life.until.is_none()
                && other.owner.as_ref().is_some_and(|other| other.container == owner.container)
        });
        // Namespace numbers are given again; without an interface nothing says that this one is still its own.
        if let Some(known) = self.containers.get_mut(&owner.container).filter(|_| !another) {
            known.end_namespace(at);
        }
    }

    /// The host's own addresses and devices.
    pub fn host(&mut self, host: &HostAddresses) {
        let with_device = host.addresses.iter().map(|(_, device, address)| (*address, device.clone()));
        self.host_addresses = with_device.collect();
        self.uplinks = host.addresses.iter().map(|(ifindex, _, _)| *ifindex).collect();
        let named = host.addresses.iter().map(|(ifindex, name, _)| (*ifindex, name.clone()));
        self.devices = host.devices.iter().cloned().chain(named).collect();
        for known in self.networks.values_mut() {
            self.changed |= known.find_bridge(&self.host_addresses);
        }
    }

    /// Forgets what ended longer ago than is kept.
    pub fn prune(&mut self, now: KernelTime) {
        let before = now.minus(self.settings.keep);
        self.facts.prune(before);
        self.prune_interfaces(before);
        self.networks.retain(|_, known| known.not_ended(before));
        self.swarm.prune(before, |id| self.networks.contains_key(id));
        let gone = |known: &Known| known.gone.is_some_and(|gone| gone <= before);
        self.containers.retain(|_, known| !gone(known));
        for known in self.containers.values_mut() {
            known.namespaces.retain(|(_, span)| span.until.is_none_or(|until| until > before));
            known.current.retain(|fact| self.facts.get(*fact).is_some());
        }
        let containers = &self.containers;
        self.by_inode.retain(|_, id| self.containers.contains_key(id));
        self.by_namespace.retain(|number, ids| {
            ids.retain(|id| {
                containers.get(id).is_some_and(|known| known.namespaces.iter().any(|(its, _)| its == number))
            });
            !ids.is_empty()
        });
    }

    fn prune_interfaces(&mut self, before: KernelTime) {
        while let Some(number) = self.ended_interfaces.front().copied() {
            let until = self.interfaces.get(&number).and_then(|watched| watched.life.until);
            let early = until.is_some_and(|until| until > before);
            if early && self.ended_interfaces.len() <= self.settings.max_kept {
                return;
            }
            self.losses.add("interfaces_forgotten", u64::from(early));
            self.ended_interfaces.pop_front();
            let Some(watched) = self.interfaces.remove(&number) else { continue };
            if let Some(numbers) = self.by_ifindex.get_mut(&watched.interface.ifindex) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.by_ifindex.remove(&watched.interface.ifindex);
                }
            }
        }
    }

    /// A watched interface, or one that was until lately.
    #[must_use]
    pub fn interface(&self, number: InterfaceNumber) -> Option<&Watched> {
        self.interfaces.get(&number)
    }

    /// All interfaces that are remembered.
    pub fn interfaces(&self) -> impl Iterator<Item = &Watched> {
        self.interfaces.values()
    }

    /// A container.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> Option<&Known> {
        self.containers.get(id)
    }

    /// All containers that are remembered.
    pub fn containers(&self) -> impl Iterator<Item = &Known> {
        self.containers.values()
    }

    /// A network.
    #[must_use]
    pub fn network(&self, id: &NetworkId) -> Option<&KnownNetwork> {
        self.networks.get(id)
    }

    /// All networks that exist.
    pub fn networks(&self) -> impl Iterator<Item = &KnownNetwork> {
        self.networks.values().filter(|known| known.span.until.is_none())
    }

    /// Docker's state.
    #[must_use]
    pub fn docker(&self) -> &DockerState {
        &self.docker
    }

    /// Why the last of Docker's answers that made no sense was refused, if one was.
    #[must_use]
    pub fn refused(&self) -> Option<&SafeText> {
        self.refused.as_ref()
    }

    /// The container behind an interface.
    #[must_use]
    pub fn owner(&self, number: InterfaceNumber) -> Option<&Known> {
        self.containers.get(&self.interfaces.get(&number)?.owner.as_ref()?.container)
    }

    /// The running container whose network namespace the whole system knows by this number (`ns.inum`). Numbers are given
    /// again once their namespace is gone.
    #[must_use]
    pub fn in_namespace(&self, inode: u32) -> Option<&Known> {
        self.containers.get(self.by_inode.get(&inode)?).filter(|known| known.is_running())
    }

    /// Whether a container had an address at that time, as far as was told.
    #[must_use]
    pub fn had_address(&self, known: &Known, at: KernelTime) -> bool {
        let facts = known.current.iter().filter_map(|fact| self.facts.get(*fact));
        facts.map(|fact| fact.span.from).any(|from| from <= at)
    }

    /// Whether an address is the host's, or another container's.
    #[must_use]
    pub fn is_anothers(&self, known: &Known, address: IpAddr, at: KernelTime) -> bool {
        let of_another = match self.facts.holder(address, None, at) {
            Holder::Nobody => false,
            Holder::One(fact) => fact.container != known.container.id,
            Holder::Several => true,
        };
        of_another || self.is_of_host(address, at)
    }

    /// Whether a container had this address from before that time on.
    #[must_use]
    pub fn held_since(&self, address: IpAddr, container: &ContainerId, at: KernelTime) -> bool {
        self.facts.held_since(address, container, at)
    }

    /// Whether an interface may still be announced: it is young and has no owner.
    #[must_use]
    pub fn may_be_announced(&self, watched: &Watched, now: KernelTime) -> bool {
        watched.interface.kind.is_of_container()
            && watched.owner.is_none()
            && self.may_still_be_named(watched.life.from, now)
    }

    /// Whether what has waited for a name since then may still get one.
    #[must_use]
    pub fn may_still_be_named(&self, since: KernelTime, now: KernelTime) -> bool {
        let is_away = matches!(self.docker, DockerState::Down { .. });
        let later = if is_away { self.settings.settling } else { self.settings.announcement };
        self.is_in_time(since, now, later)
    }

    /// Whether no more time has passed since then than Docker's first answer may take, or what had waited for that, or, of
    /// what came `later`, that.
    fn is_in_time(&self, since: KernelTime, now: KernelTime, later: Duration) -> bool {
        match self.answered {
            None => now.since(since) < self.settings.first_answer,
            Some(answered) if since <= answered => now.since(answered) < self.settings.settling,
            Some(_) => now.since(since) < later,
        }
    }

    /// Why an interface has no owner; one of [`reason`].
    #[must_use]
    pub fn why_unowned(&self, watched: &Watched, now: KernelTime) -> &'static str {
        if !matches!(self.docker, DockerState::Up { .. }) {
            reason::DOCKER_DOWN
        } else if self.may_be_announced(watched, now) {
            reason::NOT_ANNOUNCED_YET
        } else if self.is_load_balancer(watched, now) {
            reason::SWARM_LOAD_BALANCER
        } else {
            reason::NOT_A_CONTAINER
        }
    }

    fn is_load_balancer(&self, watched: &Watched, now: KernelTime) -> bool {
        let mac = watched.interface.peer.as_ref().and_then(|peer| peer.mac);
        let network = watched.network.as_ref();
        network.zip(mac).is_some_and(|(network, mac)| self.swarm.balances(&network.id, mac, now))
    }

    /// Facts that were dropped before their time or never taken, by name.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let mut losses = self.losses.clone();
        losses.add("facts_forgotten", self.facts.forgotten + self.swarm.forgotten);
        losses.add("facts_refused", self.facts.refused + self.swarm.refused);
        losses.add("translations_forgotten", self.translations.forgotten);
        losses
    }

    /// How many facts, containers, networks and interfaces are remembered.
    #[must_use]
    pub fn sizes(&self) -> [usize; 4] {
        [self.facts.len(), self.containers.len(), self.networks.len(), self.interfaces.len()]
    }
}
