//! Whose the interfaces are, told to the collector, which notes it for the next agent.

use super::asks::Ask;
use crate::attribution::Attribution;
use crate::model::{Container, InterfaceNumber};
use std::collections::HashMap;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Owners {
    told: HashMap<InterfaceNumber, Box<Container>>,
    /// The facts that it was told by.
    revision: Option<u64>,
}

impl Owners {
    /// What is to be told now: owners that are new, or known better.
    pub(super) fn due(&mut self, facts: &Attribution) -> Vec<Ask> {
        if self.revision.replace(facts.revision()) == Some(facts.revision()) {
            return Vec::new();
        }
        self.told.retain(|number, _| facts.interface(*number).is_some_and(|it| it.life.until.is_none()));
        let mut due = Vec::new();
        for watched in facts.interfaces().filter(|watched| watched.life.until.is_none()) {
            let (number, ifindex) = (watched.interface.number, watched.interface.ifindex);
            let Some(known) = facts.owner(number).filter(|known| known.is_running()) else { continue };
            let owner = Box::new(worth_noting(&known.container));
            if self.told.get(&number) != Some(&owner) {
                self.told.insert(number, owner.clone());
                due.push(Ask::Keep { ifindex, number, owner });
            }
        }
        due
    }

    /// One was not taken; it is told again.
    pub(super) fn not_told(&mut self, number: InterfaceNumber) {
        self.told.remove(&number);
        self.revision = None;
    }
}

/// What Docker does not tell the next agent again of a container that is gone by then.
fn worth_noting(container: &Container) -> Container {
    Container {
        labels: Vec::new(),
        links: Vec::new(),
        aliases: Vec::new(),
        rights: None,
        details: None,
        ..container.clone()
    }
}
