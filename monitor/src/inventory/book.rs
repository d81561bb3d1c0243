//! What was told already, and how much may be known.

use super::mapping::{ListedEndpoint, MOST_ENDPOINTS};
use super::refusals::Refusals;
use crate::model::{
    Change, Container, ContainerId, ContainerState, Endpoint, KernelTime, Network, NetworkId, SafeText,
};
use std::collections::{BTreeMap, HashMap};

/// The most containers that are known.
pub(super) const MOST_CONTAINERS: usize = 10_000;
/// The most networks that are known.
pub(super) const MOST_NETWORKS: usize = 2_000;

/// A container that was told.
struct Entry {
    name: SafeText,
    state: ContainerState,
    endpoints: Vec<Endpoint>,
}

/// Everything that was told in this session, as far as it decides what is told next.
#[derive(Default)]
pub(super) struct Book {
    networks: BTreeMap<NetworkId, Network>,
    containers: HashMap<ContainerId, Entry>,
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
        Some(Change::NetworkGone { id: id.clone(), at })
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
        let entry = Entry {
            name: container.name.clone(),
            state: container.state,
            endpoints: container.endpoints.clone(),
        };
        self.containers.insert(container.id.clone(), entry);
        Some(Change::Container { container: Box::new(container), at })
    }

    /// Whether an endpoint that a network lists is new, or not as it was.
    pub(super) fn is_news(&self, listed: &ListedEndpoint) -> bool {
        self.containers.get(&listed.container).is_none_or(|entry| !entry.endpoints.contains(&listed.endpoint))
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
        });
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

    /// A container left a network. The second time it is said (some engines say it twice) changes nothing.
    pub(super) fn endpoint_gone(
        &mut self,
        container: &ContainerId,
        network: &NetworkId,
        at: KernelTime,
    ) -> Option<Change> {
        let endpoints = &mut self.containers.get_mut(container)?.endpoints;
        let index = endpoints.iter().position(|known| known.network == *network)?;
        endpoints.swap_remove(index);
        Some(Change::EndpointGone { container: container.clone(), network: network.clone(), at })
    }

    /// A container's process ended.
    pub(super) fn stopped(&mut self, id: &ContainerId, at: KernelTime) -> Option<Change> {
        let entry = self.containers.get_mut(id)?;
        entry.state = ContainerState::Exited;
        entry.endpoints.clear();
        Some(Change::ContainerStopped { id: id.clone(), at })
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

    /// The containers that are known.
    pub(super) fn container_ids(&self) -> Vec<ContainerId> {
        self.containers.keys().cloned().collect()
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
        let runs = |state| matches!(state, ContainerState::Running | ContainerState::Paused);
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
