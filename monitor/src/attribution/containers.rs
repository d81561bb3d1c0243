//! The containers Docker told of.

use super::facts::FactId;
use super::{Alias, ContainerRef, NetworkRef};
use crate::model::{
    Container, ContainerId, ContainerState, Endpoint, KernelTime, NetworkDriver, NetworkId, NetworkMode,
    SafeText, Span,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Namespace numbers of one container that are remembered; a restart gives a new one.
const NAMESPACES_KEPT: usize = 4;

/// A container, as far as it was told.
#[derive(Clone, Debug)]
pub struct Known {
    /// What Docker last said of it.
    pub container: Container,
    /// Whether it was inspected; otherwise only a network's list told of it.
    pub inspected: bool,
    /// When it was removed.
    pub gone: Option<KernelTime>,
    /// When it was last told to be there.
    pub(super) told: KernelTime,
    /// When it ended last.
    pub(super) stopped: Option<KernelTime>,
    /// Its endpoints' facts: those open, and those whose interface went without Docker saying so.
    pub(super) current: Vec<FactId>,
    /// Its namespace's numbers, with the time each was its own.
    pub(super) namespaces: Vec<(i32, Span)>,
    pub(super) reference: Arc<ContainerRef>,
}

impl Known {
    /// A container of which only the name is known.
    pub(super) fn named(id: ContainerId, name: SafeText) -> Self {
        let reference = Arc::new(ContainerRef {
            id: id.clone(),
            name: name.clone(),
            image: None,
            project: None,
            service: None,
            of_swarm: false,
            networks: Vec::new(),
            shares_namespace_with: Vec::new(),
            aliases: Vec::new(),
        });
        let container = Container {
            id,
            name,
            image: None,
            project: None,
            service: None,
            state: ContainerState::Unknown,
            started_at: None,
            network_mode: NetworkMode::Networks,
            endpoints: Vec::new(),
            namespace: None,
            sandbox: None,
            pid: None,
            published: Vec::new(),
            labels: Vec::new(),
            links: Vec::new(),
            aliases: Vec::new(),
            rights: None,
            details: None,
        };
        Self {
            container,
            inspected: false,
            gone: None,
            told: KernelTime::default(),
            stopped: None,
            current: Vec::new(),
            namespaces: Vec::new(),
            reference,
        }
    }

    /// Whether it runs, as far as is known.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let ended = matches!(
            self.container.state,
            ContainerState::Created
                | ContainerState::Exited
                | ContainerState::Dead
                | ContainerState::Removing
        );
        self.gone.is_none() && !ended
    }

    /// Whether it ended after `at`: what was true then says nothing about now.
    pub(super) fn ended_after(&self, at: KernelTime) -> bool {
        self.stopped.is_some_and(|stopped| at < stopped)
    }

    /// What a record says of it.
    #[must_use]
    pub fn reference(&self) -> &Arc<ContainerRef> {
        &self.reference
    }

    /// Adds or replaces one of the endpoints Docker lists for it.
    pub(super) fn list_endpoint(&mut self, endpoint: &Endpoint) {
        self.container.endpoints.retain(|other| other.network != endpoint.network);
        self.container.endpoints.push(endpoint.clone());
    }

    /// Notes its namespace's number, true from `at` on.
    pub(super) fn note_namespace(&mut self, namespace: i32, at: KernelTime) {
        let open = self.namespaces.last_mut().filter(|(_, span)| span.until.is_none());
        match open {
            Some((number, _)) if *number == namespace => return,
            Some((_, span)) => span.until = Some(at.max(span.from)),
            None => {}
        }
        if self.namespaces.len() == NAMESPACES_KEPT {
            self.namespaces.remove(0);
        }
        self.namespaces.push((namespace, Span::starting(at)));
    }

    /// Its namespace is its own no longer.
    pub(super) fn end_namespace(&mut self, at: KernelTime) {
        if let Some((_, span)) = self.namespaces.last_mut().filter(|(_, span)| span.until.is_none()) {
            span.until = Some(at.max(span.from));
        }
        self.container.namespace = None;
    }

    /// Its namespace's number during `life`, if it is known.
    pub(super) fn namespace_during(&self, life: Span) -> Option<i32> {
        self.namespaces.iter().rev().find(|(_, span)| overlap(*span, life)).map(|(number, _)| *number)
    }
}

/// Whether two spans have a moment in common.
pub(super) fn overlap(a: Span, b: Span) -> bool {
    a.until.is_none_or(|until| until > b.from) && b.until.is_none_or(|until| until > a.from)
}

/// Who shares whose namespace: for each container in a shared one, the names of the others.
pub(super) fn namespace_mates(
    containers: &HashMap<ContainerId, Known>,
) -> HashMap<ContainerId, Vec<SafeText>> {
    let mut groups: HashMap<&ContainerId, Vec<&Known>> = HashMap::new();
    for known in containers.values() {
        if let NetworkMode::SharedWith(owner) = &known.container.network_mode
            && known.is_running()
        {
            groups.entry(owner).or_default().push(known);
        }
    }
    let mut mates: HashMap<ContainerId, Vec<SafeText>> = HashMap::new();
    for (owner, sharers) in groups {
        let members: Vec<&Known> = containers.get(owner).into_iter().chain(sharers).collect();
        for member in &members {
            let others = members.iter().filter(|other| other.container.id != member.container.id);
            let mut names: Vec<SafeText> = others.map(|other| other.container.name.clone()).collect();
            names.sort();
            mates.insert(member.container.id.clone(), names);
        }
    }
    mates
}

/// The names on networks that lead to several containers, other than that of a service to the containers of it.
pub(super) fn shared_aliases(containers: &HashMap<ContainerId, Known>) -> HashSet<(NetworkId, SafeText)> {
    let mut holders: HashMap<&(NetworkId, SafeText), Vec<&Container>> = HashMap::new();
    for known in containers.values().filter(|known| known.gone.is_none()) {
        for alias in &known.container.aliases {
            holders.entry(alias).or_default().push(&known.container);
        }
    }
    let of_service = |it: &Container| (it.project.clone(), it.service.clone());
    let is_shared = |(alias, holders): &(&(NetworkId, SafeText), Vec<&Container>)| {
        let [first, others @ ..] = holders.as_slice() else { return false };
        let is_the_service =
            first.service.as_ref().is_some_and(|it| it.as_str().eq_ignore_ascii_case(alias.1.as_str()));
        let of_first = of_service(first);
        let is_all_of_it = is_the_service && others.iter().all(|it| of_service(it) == of_first);
        !(others.is_empty() || is_all_of_it)
    };
    holders.into_iter().filter(is_shared).map(|(alias, _)| alias.clone()).collect()
}

/// What a record says of a container now.
pub(super) fn reference(
    known: &Known,
    networks: &HashMap<NetworkId, super::networks::KnownNetwork>,
    shares_namespace_with: Vec<SafeText>,
    shared: &HashSet<(NetworkId, SafeText)>,
) -> ContainerRef {
    let container = &known.container;
    let in_host_mode = container.network_mode == NetworkMode::Host;
    let of_host =
        networks.values().filter(|known| in_host_mode && known.network.driver == NetworkDriver::Host);
    let mut on: Vec<NetworkRef> = container
        .endpoints
        .iter()
        .filter_map(|endpoint| networks.get(&endpoint.network))
        .chain(of_host)
        .map(|network| network.reference.clone())
        .collect();
    on.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    // The host's network may list it as well.
    on.dedup_by(|a, b| a.id == b.id);
    let aliases =
        container.aliases.iter().filter(|alias| shared.contains(*alias)).filter_map(|(network, name)| {
            Some(Alias { network: networks.get(network)?.reference.clone(), name: name.clone() })
        });
    let aliases = aliases.collect();
    ContainerRef {
        id: container.id.clone(),
        name: container.name.clone(),
        image: container.image.clone(),
        project: container.project.clone(),
        service: container.service.clone(),
        of_swarm: container.is_of_swarm(),
        networks: on,
        shares_namespace_with,
        aliases,
    }
}
