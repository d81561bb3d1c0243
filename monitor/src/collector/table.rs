//! The watched interfaces: a number that is never used twice, and a slot for the totals.
//!
//! A slot that was given back may still be read by the drain thread and written by a packet on its way, so it
//! waits: the drain thread takes the waiting ones before it reads, and frees them after a grace period.

use super::pins::book::Kept;
use crate::model::{DeviceCounters, InterfaceNumber};
use monitor_common::interface::InterfaceTotals;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One watched interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    /// Its number.
    pub(super) number: InterfaceNumber,
    /// The namespace it is in, as the host's numbers it; `None` in the host's own.
    pub(super) namespace: Option<i32>,
    /// Its ifindex there.
    pub(super) ifindex: u32,
    /// Index of its totals.
    pub(super) slot: u32,
    /// What the device counted when the drain thread last looked.
    pub(super) device: Option<DeviceCounters>,
    /// What its totals were in maps of other layouts.
    pub(super) base: Option<Arc<InterfaceTotals>>,
}

#[derive(Debug)]
struct Inner {
    last_number: u32,
    free: Vec<u32>,
    waiting: Vec<u32>,
    watched: BTreeMap<InterfaceNumber, Watched>,
}

/// The table, shared by the thread that attaches and the one that reads.
#[derive(Debug)]
pub(super) struct Table(Mutex<Inner>);

impl Table {
    /// A table with `slots` slots.
    pub(super) fn new(slots: u32) -> Self {
        let free = (0..slots).rev().collect();
        Self(Mutex::new(Inner { last_number: 0, free, waiting: Vec::new(), watched: BTreeMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with interfaces that another agent watched; slots of those that are gone wait like any others.
    pub(super) fn resume<'a>(
        &self,
        last_number: InterfaceNumber,
        adopted: impl Iterator<Item = &'a Kept>,
        gone: &[Kept],
    ) {
        let mut table = self.lock();
        table.last_number = last_number.0;
        for kept in adopted {
            let Kept { interface, slot, .. } = kept;
            let base = kept.base_totals().map(Arc::new);
            let watched = Watched {
                number: interface.number,
                namespace: None,
                ifindex: interface.ifindex,
                slot: *slot,
                device: None,
                base,
            };
            table.watched.insert(watched.number, watched);
        }
        table.waiting.extend(gone.iter().map(|kept| kept.slot));
        let Inner { free, waiting, watched, .. } = &mut *table;
        let taken: HashSet<u32> =
            watched.values().map(|watched| watched.slot).chain(waiting.iter().copied()).collect();
        free.retain(|slot| !taken.contains(slot));
    }

    /// Gives an interface a number and a slot; `None` when all slots, or all numbers, are given out.
    pub(super) fn watch(&self, ifindex: u32) -> Option<Watched> {
        self.watch_in(None, ifindex)
    }

    /// The same of one in a namespace.
    pub(super) fn watch_in(&self, namespace: Option<i32>, ifindex: u32) -> Option<Watched> {
        let mut table = self.lock();
        let number = table.last_number.checked_add(1)?;
        let slot = table.free.pop()?;
        table.last_number = number;
        let number = InterfaceNumber(number);
        let watched = Watched { number, namespace, ifindex, slot, device: None, base: None };
        table.watched.insert(watched.number, watched.clone());
        Some(watched)
    }

    /// Takes an interface off. Its slot waits until it can be given out again.
    pub(super) fn forget(&self, number: InterfaceNumber) {
        let mut table = self.lock();
        if let Some(watched) = table.watched.remove(&number) {
            table.waiting.push(watched.slot);
        }
    }

    /// What a watched interface's entry says now.
    pub(super) fn get(&self, number: InterfaceNumber) -> Option<Watched> {
        self.lock().watched.get(&number).cloned()
    }

    /// The number that was given last; 0 when none was.
    pub(super) fn last_number(&self) -> u32 {
        self.lock().last_number
    }

    /// All watched interfaces, in the order of their numbers.
    pub(super) fn watched(&self) -> Vec<Watched> {
        self.lock().watched.values().cloned().collect()
    }

    /// Notes what the device counted; nothing if it is watched no longer.
    pub(super) fn note(&self, number: InterfaceNumber, device: DeviceCounters) {
        if let Some(watched) = self.lock().watched.get_mut(&number) {
            watched.device = Some(device);
        }
    }

    /// The slots that wait. The caller frees them when nobody reads or writes them any more.
    pub(super) fn take_waiting(&self) -> Vec<u32> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Frees slots. Whether there were any.
    pub(super) fn free(&self, slots: Vec<u32>) -> bool {
        let any = !slots.is_empty();
        self.lock().free.extend(slots);
        any
    }

    /// Slots in use or waiting.
    pub(super) fn in_use(&self) -> usize {
        let table = self.lock();
        table.watched.len() + table.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_twice() {
        let table = Table::new(1);
        for expected in 1..100 {
            let watched = table.watch(5).unwrap();
            assert_eq!((watched.number, watched.slot), (InterfaceNumber(expected), 0));
            table.forget(watched.number);
            table.free(table.take_waiting());
        }
    }

    #[test]
    fn a_slot_waits_until_it_is_freed() {
        let table = Table::new(1);
        let watched = table.watch(5).unwrap();
        assert_eq!(table.watch(6), None);
        table.forget(watched.number);
        assert_eq!((table.watch(6), table.in_use()), (None, 1));
        let waiting = table.take_waiting();
        assert_eq!((table.watch(6), waiting.as_slice()), (None, &[0][..]));
        assert!(table.free(waiting));
        assert_eq!(table.watch(6).map(|watched| watched.slot), Some(0));
    }

    #[test]
    fn live_interfaces_have_different_slots() {
        let table = Table::new(64);
        let mut slots: Vec<u32> = (0..64).map(|at| table.watch(at).unwrap().slot).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..64).collect::<Vec<_>>());
        assert_eq!(table.watch(64), None);
    }

    #[test]
    fn forgetting_twice_frees_one_slot() {
        let table = Table::new(1);
        let watched = table.watch(5).unwrap();
        table.forget(watched.number);
        table.forget(watched.number);
        assert_eq!(table.take_waiting(), [0]);
        assert!(!table.free(Vec::new()));
    }
}
