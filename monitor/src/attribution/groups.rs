//! Containers in the host's own network, which are watched at their control groups.

use super::{Attribution, Known, Watched};
use crate::model::{ContainerId, InterfaceKind, NetworkMode};

/// Containers in a row that share the namespace of the next one, at most: a longer row is a lie.
const LONGEST_ROW: usize = 4;

impl Attribution {
    /// Whether a container uses the host's own network: in host mode, or in the namespace of one that is.
    #[must_use]
    pub fn is_on_host_network(&self, known: &Known) -> bool {
        let mut seat = known;
        for _ in 0..LONGEST_ROW {
            match &seat.container.network_mode {
                NetworkMode::Host => return true,
                NetworkMode::SharedWith(owner) => match self.containers.get(owner) {
                    Some(next) => seat = next,
                    None => return false,
                },
                NetworkMode::Networks | NetworkMode::None => return false,
            }
        }
        false
    }

    /// The control groups that are watched.
    fn groups(&self) -> impl Iterator<Item = (&Watched, &ContainerId)> {
        self.interfaces.values().filter_map(|watched| {
            let is_group = watched.interface.kind == InterfaceKind::Cgroup && watched.life.until.is_none();
            Some((watched, &watched.owner.as_ref().filter(|_| is_group)?.container))
        })
    }

    /// Running containers on the host's network whose control group is not watched.
    pub fn groups_to_watch(&self) -> impl Iterator<Item = &ContainerId> {
        let watched: Vec<&ContainerId> = self.groups().map(|(_, container)| container).collect();
        let wanted =
            self.containers.values().filter(|known| known.is_running() && self.is_on_host_network(known));
        let wanted = wanted.map(|known| &known.container.id);
        wanted.filter(move |container| !watched.contains(container))
    }

    /// Containers whose control group is watched and is not theirs any more: they have ended since, or were removed.
    pub fn groups_to_leave(&self) -> impl Iterator<Item = &ContainerId> {
        self.groups().filter_map(|(watched, container)| {
            let over = self.containers.get(container).is_none_or(|known| {
                !known.is_running() || known.stopped.is_some_and(|stopped| stopped > watched.life.from)
            });
            over.then_some(container)
        })
    }
}
