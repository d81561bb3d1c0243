//! Taking in what the inventory tells.

use super::Attribution;
use super::containers::Known;
use super::facts::{End, FactId};
use super::networks::KnownNetwork;
use crate::model::{
    Change, Container, ContainerId, ContainerState, Endpoint, KernelTime, Network, NetworkId, NetworkMode,
    SafeText,
};
use std::collections::HashSet;

impl Attribution {
    /// Takes in one change. What follows from it is drawn by [`Attribution::settle`].
    pub fn change(&mut self, change: &Change) {
        self.changed = true;
        match change {
            Change::Docker(state) => self.docker = state.clone(),
            Change::Network { network, at } => self.network_told(network, *at),
            Change::Swarm { network, members, at } => self.swarm_told(network, members.as_deref(), *at),
            Change::NetworkGone { id, at } => self.network_gone(id, *at),
            Change::Container { container, at } => self.container_told(container, *at),
            Change::Endpoint { container, name, endpoint, at } => {
                self.listed(container, name, endpoint, *at);
            }
            Change::EndpointGone { container, network, at } => self.endpoint_gone(container, network, *at),
            Change::ContainerStopped { id, at } => self.container_stopped(id, *at),
            Change::ContainerGone { id, at } => {
                self.container_stopped(id, *at);
                if let Some(known) = self.containers.get_mut(id) {
                    known.gone.get_or_insert(*at);
                }
            }
            Change::Complete { containers, networks, at } => self.complete(containers, networks, *at),
            Change::Refused { answers, last } => {
                self.losses.set("docker_answers_refused", *answers);
                self.refused = Some(SafeText::new(last));
            }
        }
    }

    /// A namespace's numbers were found, by the path that was asked about: the one that the host's namespace knows it by, and
    /// that of the whole system.
    pub fn namespace(&mut self, sandbox: &str, (namespace, inode): (i32, Option<u32>), at: KernelTime) {
        let is_it =
            |known: &&mut Known| known.container.sandbox.as_deref() == Some(sandbox) && known.is_running();
        for known in self.containers.values_mut().filter(is_it) {
            known.note_namespace(namespace, at);
            known.container.namespace = Some(namespace);
            let ids = self.by_namespace.entry(namespace).or_default();
            if !ids.contains(&known.container.id) {
                ids.push(known.container.id.clone());
            }
            if let Some(inode) = inode {
                self.by_inode.insert(inode, known.container.id.clone());
            }
            self.changed = true;
        }
    }

    /// A container, made known if there is room for one more.
    fn known(&mut self, id: &ContainerId, make: impl FnOnce() -> Known) -> Option<&mut Known> {
        if !self.containers.contains_key(id) {
            if self.containers.len() >= self.settings.max_kept {
                self.losses.add("containers_refused", 1);
                return None;
            }
            self.containers.insert(id.clone(), make());
        }
        self.containers.get_mut(id)
    }

    fn network_told(&mut self, network: &Network, at: KernelTime) {
        let from = self.networks.get(&network.id).map(|known| known.span.from);
        if from.is_none() && self.networks.len() >= self.settings.max_kept {
            return self.losses.add("networks_refused", 1);
        }
        let mut known = KnownNetwork::new(network.clone(), from.unwrap_or(at));
        known.find_bridge(&self.host_addresses);
        self.networks.insert(network.id.clone(), known);
    }

    fn network_gone(&mut self, id: &NetworkId, at: KernelTime) {
        if let Some(known) = self.networks.get_mut(id) {
            known.span.until.get_or_insert(at);
        }
        self.swarm.gone(id, at);
    }

    /// A network lists a container.
    fn listed(&mut self, id: &ContainerId, name: &SafeText, endpoint: &Endpoint, at: KernelTime) {
        let Some(known) = self.known(id, || Known::named(id.clone(), name.clone())) else { return };
        if !known.inspected {
            known.container.name = name.clone();
        }
        if known.ended_after(at) {
            return;
        }
        known.told = known.told.max(at);
        known.gone = None;
        known.list_endpoint(endpoint);
        self.endpoint_told(id, endpoint, at);
    }

    fn container_told(&mut self, container: &Container, at: KernelTime) {
        let id = &container.id;
        let Some(known) = self.known(id, || Known::named(id.clone(), container.name.clone())) else { return };
        let before = std::mem::replace(&mut known.container, container.clone());
        known.inspected = true;
        if container.rights.is_none() {
            // Docker's list tells none of these; they are as they were when it was last inspected.
            known.container.rights = before.rights;
            known.container.details.clone_from(&before.details);
            known.container.links.clone_from(&before.links);
            known.container.aliases.clone_from(&before.aliases);
        }
        if known.ended_after(at) {
            // Its name and labels are still news; whether it runs, and where, no longer is.
            known.container.state = before.state;
            known.container.endpoints = before.endpoints;
            known.container.sandbox = before.sandbox;
            known.container.namespace = before.namespace;
            return;
        }
        known.told = known.told.max(at);
        let same_sandbox = before.sandbox == container.sandbox;
        known.container.namespace = container.namespace.or(before.namespace.filter(|_| same_sandbox));
        known.gone = None;
        if ended(container.state) {
            self.close_endpoints(id, at, |_| true);
            return;
        }
        if let Some(namespace) = container.namespace {
            known.note_namespace(namespace, at);
            let ids = self.by_namespace.entry(namespace).or_default();
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let listed: HashSet<&NetworkId> =
            container.endpoints.iter().map(|endpoint| &endpoint.network).collect();
        self.close_endpoints(id, at, |network| !listed.contains(network));
        for endpoint in &container.endpoints {
            self.endpoint_told(id, endpoint, at);
        }
    }

    fn endpoint_told(&mut self, id: &ContainerId, endpoint: &Endpoint, at: KernelTime) {
        let nothing = endpoint.mac.is_none() && endpoint.addresses.is_empty();
        let Some(known) = self.containers.get(id).filter(|_| !nothing) else { return };
        let is_same = |fact: &FactId| {
            self.facts.get(*fact).is_some_and(|fact| {
                fact.network == endpoint.network
                    && fact.end == End::Open
                    && fact.mac == endpoint.mac
                    && fact.addresses == endpoint.addresses
            })
        };
        if known.current.iter().any(is_same) {
            return;
        }
        self.close_endpoints(id, at, |network| *network == endpoint.network);
        let opened = self.facts.open(id, &endpoint.network, endpoint.mac, &endpoint.addresses, at);
        if let (Some(fact), Some(known)) = (opened, self.containers.get_mut(id)) {
            known.current.push(fact);
            if matches!(known.container.state, ContainerState::Created | ContainerState::Exited) {
                // A network lists it: it is starting.
                known.container.state = ContainerState::Unknown;
            }
        }
    }

    fn endpoint_gone(&mut self, id: &ContainerId, network: &NetworkId, at: KernelTime) {
        self.close_endpoints(id, at, |other| other == network);
        if let Some(known) = self.containers.get_mut(id) {
            known.container.endpoints.retain(|endpoint| endpoint.network != *network);
        }
    }

    /// Ends the facts of a container's endpoints that `which` picks, if they are not younger than `at`.
    fn close_endpoints(&mut self, id: &ContainerId, at: KernelTime, which: impl Fn(&NetworkId) -> bool) {
        let Some(known) = self.containers.get_mut(id) else { return };
        let facts = &mut self.facts;
        known.current.retain(|id| {
            let Some(fact) = facts.get(*id) else { return false };
            if !which(&fact.network) || fact.told_after(at) {
                return true;
            }
            facts.end(*id, at, End::Told);
            false
        });
    }

    fn container_stopped(&mut self, id: &ContainerId, at: KernelTime) {
        self.close_endpoints(id, at, |_| true);
        let Some(known) = self.containers.get_mut(id) else { return };
        known.stopped = known.stopped.max(Some(at));
        known.container.state = ContainerState::Exited;
        known.container.sandbox = None;
        known.container.pid = None;
        known.end_namespace(at);
        // Its endpoints stay listed: where it was is still worth saying; their facts are over.
        if !matches!(known.container.network_mode, NetworkMode::Networks) {
            known.container.endpoints.clear();
        }
    }

    fn complete(&mut self, containers: &[ContainerId], networks: &[NetworkId], at: KernelTime) {
        let containers: HashSet<&ContainerId> = containers.iter().collect();
        let networks: HashSet<&NetworkId> = networks.iter().collect();
        // What was told after the list was made is not in it.
        let gone: Vec<ContainerId> = self
            .containers
            .iter()
            .filter(|(id, known)| !containers.contains(id) && known.told <= at)
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.change(&Change::ContainerGone { id, at });
        }
        let gone: Vec<NetworkId> = self
            .networks
            .iter()
            .filter(|(id, known)| !networks.contains(id) && known.span.from <= at)
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.network_gone(&id, at);
        }
    }
}

fn ended(state: ContainerState) -> bool {
    matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Dead)
}

#[cfg(test)]
mod tests {
    use super::{Attribution, Known};
    use crate::attribution::Settings;
    use crate::model::{Change, Container, ContainerId, Details, KernelTime, Rights, SafeText};
    use std::sync::Arc;

    #[test]
    fn a_list_that_tells_no_rights_and_details_leaves_those_that_were_inspected() {
        let mut attribution = Attribution::new(Settings::default());
        let id = ContainerId::new("aa11").unwrap();
        let bare = Known::named(id.clone(), SafeText::new("web")).container;
        let inspected = |links: &str, privileged| Container {
            links: vec![SafeText::new(links)],
            rights: Some(Rights { privileged, ..Rights::default() }),
            details: Some(Arc::new(Details { privileged, ..Details::default() })),
            ..bare.clone()
        };
        let told = [
            (bare.clone(), bare.clone()),
            (inspected("db", true), inspected("db", true)),
            (bare.clone(), inspected("db", true)),
            (inspected("cache", false), inspected("cache", false)),
        ];
        for (at, (container, expected)) in (1..).map(KernelTime).zip(told) {
            attribution.change(&Change::Container { container: Box::new(container), at });
            let known = &attribution.container(&id).unwrap().container;
            assert_eq!((&known.rights, &known.links), (&expected.rights, &expected.links));
            assert_eq!(known.details, expected.details);
        }
    }
}
