//! Who is where: on which networks a container is, and with how many others.

use crate::attribution::{Attribution, Known};
use crate::model::{ContainerId, NetworkId, NetworkMode};
use std::collections::{HashMap, HashSet};

/// Containers in a row that share the namespace of the next one, at most: a longer row is a lie.
const LONGEST_ROW: usize = 4;

/// How many neighbours are counted: on a network with more, each that comes or goes would change what is told of all.
pub(super) const MANY: usize = 16;

/// Which containers run on which networks.
#[derive(Debug)]
pub(super) struct Neighbours<'a> {
    facts: &'a Attribution,
    on: HashMap<&'a NetworkId, Vec<&'a ContainerId>>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(facts: &'a Attribution) -> Self {
        let mut on: HashMap<&NetworkId, Vec<&ContainerId>> = HashMap::new();
        for known in facts.containers().filter(|known| known.is_running()) {
            for endpoint in &known.container.endpoints {
                on.entry(&endpoint.network).or_default().push(&known.container.id);
            }
        }
        Self { facts, on }
    }

    /// Whether a container runs on a network.
    pub(super) fn live_on(&self, network: &NetworkId) -> bool {
        self.on.contains_key(network)
    }

    /// The container whose namespace this one is in: mostly its own.
    pub(super) fn seat(&self, known: &'a Known) -> &'a Known {
        let mut seat = known;
        for _ in 0..LONGEST_ROW {
            let NetworkMode::SharedWith(owner) = &seat.container.network_mode else { break };
            let Some(next) = self.facts.container(owner) else { break };
            seat = next;
        }
        seat
    }

    /// How many other containers run on the networks of this one; [`MANY`] stands for as many or more.
    pub(super) fn others(&self, seat: &Known) -> usize {
        let mut others = HashSet::new();
        for other in self.on_its_networks(seat) {
            others.insert(other);
            if others.len() == MANY {
                break;
            }
        }
        others.len()
    }

    /// Whether another container runs on a network of this one.
    pub(super) fn has_others(&self, seat: &Known) -> bool {
        self.on_its_networks(seat).next().is_some()
    }

    fn on_its_networks(&self, seat: &Known) -> impl Iterator<Item = &'a ContainerId> {
        let on = seat.container.endpoints.iter().filter_map(|endpoint| self.on.get(&endpoint.network));
        on.flatten().copied().filter(|id| **id != seat.container.id)
    }
}
