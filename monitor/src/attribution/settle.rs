//! What follows from what was told: networks and owners of interfaces, and what records say of containers.

use super::interfaces::Clues;
use super::{Attribution, containers, interfaces};
use crate::model::{DockerState, KernelTime};
use std::sync::Arc;

impl Attribution {
    /// Draws the conclusions from what changed.
    pub fn settle(&mut self, now: KernelTime) {
        if self.docker != DockerState::Connecting {
            self.answered.get_or_insert(now);
        }
        let changed = std::mem::take(&mut self.changed);
        if changed {
            self.refresh_references();
        }
        let mut is_news = changed;
        let Self { interfaces, containers, facts, by_namespace, networks, .. } = self;
        let mut recognised = Vec::new();
        for (number, watched) in interfaces.iter_mut() {
            let open_question = watched.interface.kind.is_of_container()
                && watched.owner.is_none()
                && watched.life.until.is_none();
            if !changed && !open_question {
                continue;
            }
            watched.network = interfaces::network_of(watched, networks).or(watched.network.take());
            let owner = Clues { containers, facts, by_namespace, now }.owner(watched);
            if let Some(fact) = owner.as_ref().and_then(|owner| owner.fact) {
                recognised.push((fact, *number, watched.life.from));
            }
            is_news |= owner.is_some();
            watched.owner = owner;
            if let Some(network) = interfaces::network_inside(watched, containers, facts, networks) {
                watched.network = Some(network);
            }
        }
        for (fact, number, from) in recognised {
            if self.facts.get(fact).is_some_and(|fact| fact.interface != Some(number)) {
                self.facts.bind(fact, number, from);
            }
        }
        self.last_unowned = self
            .interfaces
            .values()
            .filter(|watched| watched.owner.is_none() && watched.interface.kind.is_of_container())
            .map(|watched| watched.life.from)
            .max();
        if is_news {
            self.revision += 1;
            self.index_owners();
        }
    }

    /// Counted up each time anything may have changed that is concluded.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn index_owners(&mut self) {
        self.by_owner.clear();
        for (number, watched) in &self.interfaces {
            if let Some(owner) = &watched.owner {
                self.by_owner.entry(owner.container.clone()).or_default().push(*number);
            }
        }
    }

    fn refresh_references(&mut self) {
        let shared = containers::shared_aliases(&self.containers);
        let mut mates = containers::namespace_mates(&self.containers);
        for (id, known) in &mut self.containers {
            let shares = mates.remove(id).unwrap_or_default();
            let reference = containers::reference(known, &self.networks, shares, &shared);
            if *known.reference != reference {
                known.reference = Arc::new(reference);
            }
        }
    }
}
