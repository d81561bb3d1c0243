//! Containers whose devices may be in their own network namespaces alone.

use super::{Attribution, Known};
use crate::model::{ContainerId, NetworkMode};

impl Attribution {
    /// Running containers with a network that has no end on the host, or with none at all, each with the path of its
    /// namespace: devices may be, or come, in there that are nowhere else.
    pub fn to_look_into(&self) -> impl Iterator<Item = (&ContainerId, &str)> {
        self.containers.values().filter_map(|known| {
            let sandbox = known.container.sandbox.as_deref().filter(|sandbox| !sandbox.is_empty())?;
            let is_wanted = known.is_running() && self.may_have_more_inside(known);
            is_wanted.then_some((&known.container.id, sandbox))
        })
    }

    fn may_have_more_inside(&self, known: &Known) -> bool {
        let mut endpoints = known.container.endpoints.iter();
        match known.container.network_mode {
            NetworkMode::None => true,
            NetworkMode::Networks => endpoints.any(|at| {
                self.networks.get(&at.network).is_some_and(|known| !known.network.driver.has_host_end())
            }),
            NetworkMode::Host | NetworkMode::SharedWith(_) => false,
        }
    }
}
