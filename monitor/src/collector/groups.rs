//! Containers that have no interface of their own, watched at their control groups: those in host mode.

use super::attacher::{Attacher, Group};
use super::losses::{Lost, OwnLosses};
use super::pins::book::Book;
use super::programs::Maps;
use super::table::Table;
use super::{clock, decode};
use crate::model::{ContainerId, InterfaceNumber, Observation, Reading, SafeText};
use monitor_common::interface::InterfaceTotals;
use std::collections::HashMap;
use std::sync::Arc;

/// Those that are watched.
pub(super) struct Groups {
    attacher: Arc<Attacher>,
    maps: Arc<Maps>,
    table: Arc<Table>,
    losses: Arc<OwnLosses>,
    /// Where it is noted which numbers are given, if anything is pinned.
    book: Option<Arc<Book>>,
    totals: Vec<InterfaceTotals>,
    watched: HashMap<ContainerId, (InterfaceNumber, Group)>,
}

impl Groups {
    /// None is yet.
    pub(super) fn new(
        attacher: Arc<Attacher>,
        maps: Arc<Maps>,
        table: Arc<Table>,
        losses: Arc<OwnLosses>,
        book: Option<Arc<Book>>,
    ) -> Self {
        let totals = maps.totals.buffer();
        Self { attacher, maps, table, losses, book, totals, watched: HashMap::new() }
    }

    /// Watches a container; what came of it, if that is news.
    pub(super) fn watch(&mut self, container: ContainerId) -> Option<Observation> {
        if self.watched.contains_key(&container) {
            return None;
        }
        let refused = |container, reason: &str| {
            Some(Observation::GroupNotWatched { container, reason: SafeText::new(reason) })
        };
        let Some(entry) = self.table.watch(0) else {
            return refused(container, "all interface slots are in use; raise --max-interfaces");
        };
        if let Some(Err(error)) = self.book.as_ref().map(|book| book.give(entry.number)) {
            log::warn!("a number could not be noted for the next agent: {error}");
        }
        match self.attacher.attach_group(&container, entry.number, entry.slot) {
            Ok(group) => {
                self.watched.insert(container.clone(), (entry.number, group));
                Some(Observation::GroupAttached { number: entry.number, container, at: clock::kernel_now() })
            }
            Err(error) => {
                self.table.forget(entry.number);
                refused(container, &error.to_string())
            }
        }
    }

    /// Watches a container no longer; its last reading.
    pub(super) fn leave(&mut self, container: &ContainerId) -> Option<Observation> {
        let (number, group) = self.watched.remove(container)?;
        let last = self.take_off(number, group)?;
        Some(Observation::Detached { number, at: last.at, last: Box::new(last) })
    }

    /// The end. None is told to be gone: what is still to be told of them is of when they were watched.
    pub(super) fn leave_all(&mut self) -> Option<Observation> {
        let watched = std::mem::take(&mut self.watched);
        let last = watched.into_values().filter_map(|(number, group)| self.take_off(number, group));
        let mut last: Vec<Reading> = last.collect();
        last.sort_unstable_by_key(|reading| reading.number);
        (!last.is_empty()).then_some(Observation::Totals(last))
    }

    /// Takes the programs off; what was counted to the end.
    fn take_off(&mut self, number: InterfaceNumber, group: Group) -> Option<Reading> {
        self.attacher.detach_group(group);
        let entry = self.table.get(number)?;
        let read = self.maps.totals.read(entry.slot, &mut self.totals);
        self.table.forget(number);
        if read.is_err() {
            self.losses.add(Lost::Totals, 1);
            return None;
        }
        let totals = decode::totals(&self.totals);
        Some(Reading { number, at: clock::kernel_now(), totals, device_before: None, device_after: None })
    }
}
