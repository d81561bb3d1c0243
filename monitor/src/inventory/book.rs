//! What was told already, and how much may be known.

use super::mapping::{ListedEndpoint, MOST_ENDPOINTS};
use super::refusals::Refusals;
use crate::model::{
    Change, Container, ContainerId, ContainerState, Endpoint, KernelTime, Network, NetworkDriver, NetworkId,
    SafeText, SwarmMember,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The most containers that are known.
pub(super) const MOST_CONTAINERS: usize = 10_000;
/// The most networks that are known.
pub(super) const MOST_NETWORKS: usize = 2_000;

/// The most members of a swarm's networks that are known.
const MOST_MEMBERS: usize = 50_000;

/// A container that was told.
struct Entry {
    name: SafeText,
    state: ContainerState,
    endpoints: Vec<Endpoint>,
    /// When the latest of this was told to be true.
    told: KernelTime,
}

/// Everything that was told in this session, as far as it decides what is told next.
#[derive(Default)]
pub(super) struct Book {
    networks: BTreeMap<NetworkId, Network>,
    containers: HashMap<ContainerId, Entry>,
    members: HashMap<NetworkId, Vec<SwarmMember>>,
}

impl Book {
    /// A network as it is now. A change is told only if something changed.
    pub(super) fn network(
        &mut self,
        network: Network,
        at: KernelTime,
        refusals: &mut Refusals,
    ) -> Option<Change> {
        match self.networks.get(&network.id) {
            Some(known) if *known == network => return None,
            None if self.networks.len() >= MOST_NETWORKS => {
                refusals.refuse(format_args!("more than {MOST_NETWORKS} networks"));
                return None;
            }
            _ => {}
        }
        self.networks.insert(network.id.clone(), network.clone());
        Some(Change::Network { network, at })
    }

    /// A network was removed.
    pub(super) fn network_gone(&mut self, id: &NetworkId, at: KernelTime) -> Option<Change> {
        self.networks.remove(id)?;
        self.members.remove(id);
        Some(Change::NetworkGone { id: id.clone(), at })
    }

    /// Who else is on a network in the swarm. Nothing is told of a network that never had any.
    pub(super) fn members(
        &mut self,
        network: &NetworkId,
        members: Vec<SwarmMember>,
        at: KernelTime,
        refusals: &mut Refusals,
    ) -> Option<Change> {
        let before = self.members.get(network);
        if !self.networks.contains_key(network) || members.is_empty() && before.is_none() {
            return None;
        }
        let network = network.clone();
        if before == Some(&members) {
            return Some(Change::Swarm { network, members: None, at });
        }
        let others = self.members.iter().filter(|(id, _)| **id != network);
        if others.map(|(_, members)| members.len()).sum::<usize>() + members.len() > MOST_MEMBERS {
            refusals.refuse(format_args!("more than {MOST_MEMBERS} members of a swarm"));
            return None;
        }
        self.members.insert(network.clone(), members.clone());
        Some(Change::Swarm { network, members: Some(members), at })
    }

    /// Whether a network is one of a swarm.
    pub(super) fn is_in_swarm(&self, id: &NetworkId) -> bool {
        self.networks.get(id).is_some_and(|network| network.driver == NetworkDriver::Overlay)
    }

    /// The networks of a swarm that running containers of this node are on, and all that anybody of a swarm was told to be on
    /// (its load balancer is on `docker_gwbridge` too), from the one after `last` on.
    pub(super) fn watched_in_swarm(&self, last: Option<&NetworkId>) -> Vec<NetworkId> {
        let of_containers = self
            .containers
            .values()
            .filter(|entry| !ended(entry.state))
            .flat_map(|entry| &entry.endpoints)
            .map(|endpoint| &endpoint.network)
            .filter(|id| self.is_in_swarm(id));
        let with_members = self.members.iter().filter(|(_, members)| !members.is_empty()).map(|(id, _)| id);
        let used: HashSet<&NetworkId> = of_containers.chain(with_members).collect();
        let mut used: Vec<NetworkId> = used.into_iter().cloned().collect();
        used.sort_unstable();
        let first = used.partition_point(|id| last.is_some_and(|last| id <= last));
        used.rotate_left(first);
        used
    }

    /// A container as it is now.
    pub(super) fn container(
        &mut self,
        container: Container,
        at: KernelTime,
        refusals: &mut Refusals,
    ) -> Option<Change> {
        if !self.has_room(&container.id, refusals) {
            return None;
        }
        let before = self.containers.get(&container.id).map_or(at, |entry| entry.told);
        let entry = Entry {
            name: container.name.clone(),
            state: container.state,
            endpoints: container.endpoints.clone(),
            told: at.max(before),
        };
        self.containers.insert(container.id.clone(), entry);
        Some(Change::Container { container: Box::new(container), at })
    }

    /// Leaves a running container the endpoints that its networks list, where its own answer has none.
    pub(super) fn keep_endpoints(&self, container: &mut Container) {
        let known = self.containers.get(&container.id).filter(|_| runs(container.state));
        if let Some(entry) = known.filter(|_| container.endpoints.is_empty()) {
            container.endpoints.clone_from(&entry.endpoints);
        }
    }

    /// Whether a container has an endpoint that was not told.
    pub(super) fn has_new_endpoints(&self, container: &Container) -> bool {
        let known = self.containers.get(&container.id).map_or(&[][..], |entry| &entry.endpoints);
        container.endpoints.iter().any(|endpoint| !known.contains(endpoint))
    }

    /// Whether an endpoint that a network lists is new, or not as it was. That of a container that ended is not: the
    /// list is behind.
    pub(super) fn is_news(&self, listed: &ListedEndpoint) -> bool {
        self.containers
            .get(&listed.container)
            .is_none_or(|entry| !ended(entry.state) && !entry.endpoints.contains(&listed.endpoint))
    }

    /// A container joins a network: if it had ended, it starts again.
    pub(super) fn connected(&mut self, id: &ContainerId) {
        if let Some(entry) = self.containers.get_mut(id).filter(|entry| ended(entry.state)) {
            entry.state = ContainerState::Unknown;
        }
    }

    /// An endpoint that a network lists.
    pub(super) fn endpoint(
        &mut self,
        listed: ListedEndpoint,
        at: KernelTime,
        refusals: &mut Refusals,
    ) -> Option<Change> {
        let ListedEndpoint { container, name, endpoint } = listed;
        if !self.has_room(&container, refusals) {
            return None;
        }
        let entry = self.containers.entry(container.clone()).or_insert_with(|| Entry {
            name: SafeText::new(container.short()),
            state: ContainerState::Unknown,
            endpoints: Vec::new(),
            told: at,
        });
        entry.told = entry.told.max(at);
        if let Some(name) = name {
            entry.name = name;
        }
        let name = entry.name.clone();
        match entry.endpoints.iter().position(|known| known.network == endpoint.network) {
            Some(index) => entry.endpoints[index] = endpoint.clone(),
            None if entry.endpoints.len() >= MOST_ENDPOINTS => {
                refusals.refuse(format_args!("more than {MOST_ENDPOINTS} networks of one container"));
                return None;
            }
            None => entry.endpoints.push(endpoint.clone()),
        }
        Some(Change::Endpoint { container, name, endpoint, at })
    }

    /// A container left a network, at `at` or, if it was told to be there later, then. The second time it is said
    /// (some engines say it twice) changes nothing.
    pub(super) fn endpoint_gone(
        &mut self,
        container: &ContainerId,
        network: &NetworkId,
        at: KernelTime,
    ) -> Option<Change> {
        let entry = self.containers.get_mut(container)?;
        let index = entry.endpoints.iter().position(|known| known.network == *network)?;
        entry.endpoints.swap_remove(index);
        let at = at.max(entry.told);
        Some(Change::EndpointGone { container: container.clone(), network: network.clone(), at })
    }

    /// A container's process ended, at `at` or, if it was told to have an endpoint later, then.
    pub(super) fn stopped(&mut self, id: &ContainerId, at: KernelTime) -> Option<Change> {
        let entry = self.containers.get_mut(id)?;
        entry.state = ContainerState::Exited;
        entry.endpoints.clear();
        Some(Change::ContainerStopped { id: id.clone(), at: at.max(entry.told) })
    }

    /// A container was removed.
    pub(super) fn container_gone(&mut self, id: &ContainerId, at: KernelTime) -> Option<Change> {
        self.containers.remove(id)?;
        Some(Change::ContainerGone { id: id.clone(), at })
    }

    /// Everything that exists.
    pub(super) fn complete(&self, at: KernelTime) -> Change {
        let containers = self.containers.keys().cloned().collect();
        Change::Complete { containers, networks: self.network_ids(), at }
    }

    /// The networks that are known.
    pub(super) fn network_ids(&self) -> Vec<NetworkId> {
        self.networks.keys().cloned().collect()
    }

    /// The containers that are known to have processes.
    pub(super) fn running(&self) -> Vec<ContainerId> {
        let running = self.containers.iter().filter(|(_, entry)| runs(entry.state));
        running.map(|(id, _)| id.clone()).collect()
    }

    /// The network of a bridge device.
    pub(super) fn network_of(&self, bridge: &SafeText) -> Option<&NetworkId> {
        self.networks
            .values()
            .find(|network| network.bridge.as_ref() == Some(bridge))
            .map(|network| &network.id)
    }

    /// Whether an inspect of a container may have to wait for its start to be over: it is known, and was not told to
    /// run.
    pub(super) fn may_be_starting(&self, id: &ContainerId) -> bool {
        self.containers.get(id).is_some_and(|entry| !runs(entry.state))
    }

    fn has_room(&self, id: &ContainerId, refusals: &mut Refusals) -> bool {
        let has_room = self.containers.len() < MOST_CONTAINERS || self.containers.contains_key(id);
        if !has_room {
            refusals.refuse(format_args!("more than {MOST_CONTAINERS} containers"));
        }
        has_room
    }
}

fn runs(state: ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused)
}

fn ended(state: ContainerState) -> bool {
    use ContainerState::{Dead, Exited, Removing, Restarting};
    matches!(state, Exited | Restarting | Removing | Dead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NetworkMode;

    const AT: KernelTime = KernelTime(5);

    fn id(number: usize) -> ContainerId {
        ContainerId::new(&format!("c{number}")).unwrap()
    }

    fn network_id(number: usize) -> NetworkId {
        NetworkId::new(&format!("n{number}")).unwrap()
    }

    fn endpoint(network: usize, address: &str) -> Endpoint {
        Endpoint { network: network_id(network), mac: None, addresses: vec![address.parse().unwrap()] }
    }

    fn listed(container: usize, endpoint: Endpoint) -> ListedEndpoint {
        ListedEndpoint { container: id(container), name: Some(SafeText::new("web")), endpoint }
    }

    fn container(number: usize, state: ContainerState, endpoints: Vec<Endpoint>) -> Container {
        Container {
            id: id(number),
            name: SafeText::new("web"),
            image: None,
            project: None,
            service: None,
            state,
            started_at: None,
            network_mode: NetworkMode::Networks,
            endpoints,
            namespace: None,
            sandbox: None,
            pid: None,
            published: Vec::new(),
            labels: Vec::new(),
            links: Vec::new(),
            aliases: Vec::new(),
            rights: None,
            details: None,
        }
    }

    fn network(number: usize) -> Network {
        Network {
            id: network_id(number),
            name: SafeText::new("n"),
            driver: NetworkDriver::Bridge,
            bridge: Some(SafeText::new(&format!("br-{number}"))),
            subnets: Vec::new(),
            gateways: Vec::new(),
            internal: false,
            inter_container: true,
            ipv6: false,
            gateway_mode_ipv4: crate::model::GatewayMode::Nat,
            gateway_mode_ipv6: crate::model::GatewayMode::Nat,
            overlay: None,
        }
    }

    #[test]
    fn an_endpoint_is_news_until_it_was_told_and_again_when_it_changed() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        let first = || listed(1, endpoint(1, "10.0.0.2"));
        assert!(book.is_news(&first()));
        assert!(book.endpoint(first(), AT, &mut refusals).is_some());
        assert!(!book.is_news(&first()));
        assert!(book.is_news(&listed(1, endpoint(1, "10.0.0.3"))));
        book.endpoint_gone(&id(1), &network_id(1), AT);
        assert!(book.is_news(&first()));
        book.container(
            container(1, ContainerState::Running, vec![endpoint(1, "10.0.0.2")]),
            AT,
            &mut refusals,
        );
        assert!(!book.is_news(&first()));
    }

    #[test]
    fn an_endpoint_of_a_container_that_ended_is_no_news_until_it_starts_again() {
        let mut book = Book::default();
        let listed = || listed(1, endpoint(1, "10.0.0.2"));
        for state in [
            ContainerState::Exited,
            ContainerState::Restarting,
            ContainerState::Removing,
            ContainerState::Dead,
        ] {
            book.container(container(1, state, Vec::new()), AT, &mut Refusals::default());
            assert!(!book.is_news(&listed()), "{state:?}");
            book.connected(&id(1));
            assert!(book.is_news(&listed()), "{state:?}");
            assert!(book.may_be_starting(&id(1)));
        }
        for state in [ContainerState::Created, ContainerState::Running] {
            book.container(container(1, state, Vec::new()), AT, &mut Refusals::default());
            assert!(book.is_news(&listed()), "{state:?}");
        }
        book.connected(&id(1));
        assert_eq!(book.running(), [id(1)]);
    }

    #[test]
    fn what_ends_does_not_end_before_the_endpoint_was_told() {
        let mut refusals = Refusals::default();
        let mut check = |ends: u64, expected: u64| {
            let mut book = Book::default();
            book.endpoint(listed(1, endpoint(1, "10.0.0.2")), AT, &mut refusals);
            let at = |change: Option<Change>| match change {
                Some(Change::EndpointGone { at, .. } | Change::ContainerStopped { at, .. }) => at,
                other => panic!("{other:?}"),
            };
            let left = book.endpoint_gone(&id(1), &network_id(1), KernelTime(ends));
            assert_eq!(at(left), KernelTime(expected));
            assert_eq!(at(book.stopped(&id(1), KernelTime(ends))), KernelTime(expected));
        };
        check(4, 5);
        check(6, 6);
    }

    #[test]
    fn an_endpoint_without_a_name_takes_the_one_that_is_known() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        let mut nameless = |book: &mut Book, network| {
            let listed = ListedEndpoint { name: None, ..listed(1, endpoint(network, "10.0.0.2")) };
            match book.endpoint(listed, AT, &mut refusals) {
                Some(Change::Endpoint { name, .. }) => name.as_str().to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(nameless(&mut book, 1), "c1");
        book.container(container(1, ContainerState::Running, Vec::new()), AT, &mut Refusals::default());
        assert_eq!(nameless(&mut book, 2), "web");
    }

    #[test]
    fn leaving_a_network_is_told_once() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        book.endpoint(listed(1, endpoint(1, "10.0.0.2")), AT, &mut refusals);
        assert!(book.endpoint_gone(&id(1), &network_id(1), AT).is_some());
        assert_eq!(book.endpoint_gone(&id(1), &network_id(1), AT), None);
        assert_eq!(book.endpoint_gone(&id(2), &network_id(1), AT), None);
    }

    #[test]
    fn a_network_is_told_again_only_when_it_changed() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        assert!(book.network(network(1), AT, &mut refusals).is_some());
        assert_eq!(book.network(network(1), AT, &mut refusals), None);
        assert!(book.network(Network { internal: true, ..network(1) }, AT, &mut refusals).is_some());
        assert_eq!(book.network_of(&SafeText::new("br-1")), Some(&network_id(1)));
        assert!(book.network_gone(&network_id(1), AT).is_some());
        assert_eq!(book.network_gone(&network_id(1), AT), None);
    }

    #[test]
    fn networks_with_containers_and_networks_with_somebody_of_a_swarm_are_asked_in_turn() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        for number in 1..=4 {
            let driver = if number == 1 { NetworkDriver::Bridge } else { NetworkDriver::Overlay };
            book.network(Network { driver, ..network(number) }, AT, &mut refusals);
        }
        let endpoints = vec![endpoint(1, "10.0.0.2"), endpoint(2, "10.0.1.2")];
        book.container(container(1, ContainerState::Running, endpoints), AT, &mut refusals);
        book.container(container(2, ContainerState::Exited, vec![endpoint(3, "::1")]), AT, &mut refusals);
        assert_eq!(book.watched_in_swarm(None), [network_id(2)]);
        // The load balancer on a bridge network, and what is left of a network without containers.
        let balancer = SwarmMember {
            address: "10.0.0.9".parse().unwrap(),
            kind: crate::model::SwarmKind::LoadBalancer,
            service: None,
            name: None,
            node: None,
            mac: None,
        };
        for number in [1, 4] {
            book.members(&network_id(number), vec![balancer.clone()], AT, &mut refusals);
        }
        assert_eq!(book.watched_in_swarm(None), [1, 2, 4].map(network_id));
        assert_eq!(book.watched_in_swarm(Some(&network_id(1))), [2, 4, 1].map(network_id));
        book.members(&network_id(1), Vec::new(), AT, &mut refusals);
        book.network_gone(&network_id(4), AT);
        assert_eq!(book.watched_in_swarm(None), [network_id(2)]);
    }

    #[test]
    fn a_container_may_be_starting_unless_it_is_unknown_or_runs() {
        let mut book = Book::default();
        let mut check = |state, may_be_starting| {
            book.container(container(1, state, Vec::new()), AT, &mut Refusals::default());
            assert_eq!(book.may_be_starting(&id(1)), may_be_starting);
            assert_eq!(book.running().is_empty(), may_be_starting);
        };
        check(ContainerState::Created, true);
        check(ContainerState::Exited, true);
        check(ContainerState::Running, false);
        check(ContainerState::Paused, false);
        assert!(!book.may_be_starting(&id(2)));
    }

    #[test]
    fn the_book_is_bounded_and_what_it_refuses_is_counted() {
        let (mut book, mut refusals) = (Book::default(), Refusals::default());
        for number in 0..MOST_CONTAINERS + 5 {
            book.container(container(number, ContainerState::Running, Vec::new()), AT, &mut refusals);
        }
        assert_eq!(book.endpoint(listed(MOST_CONTAINERS + 9, endpoint(1, "::1")), AT, &mut refusals), None);
        for number in 0..MOST_NETWORKS + 5 {
            book.network(network(number), AT, &mut refusals);
        }
        for number in 0..MOST_ENDPOINTS + 5 {
            book.endpoint(listed(0, endpoint(number, "::1")), AT, &mut refusals);
        }
        let Change::Complete { containers, networks, .. } = book.complete(AT) else { panic!() };
        assert_eq!((containers.len(), networks.len()), (MOST_CONTAINERS, MOST_NETWORKS));
        assert_eq!(book.containers[&id(0)].endpoints.len(), MOST_ENDPOINTS);
        assert!(matches!(refusals.news(), Some(Change::Refused { answers: 16, .. })));
        assert!(
            book.container(container(0, ContainerState::Exited, Vec::new()), AT, &mut refusals).is_some()
        );
    }
}
