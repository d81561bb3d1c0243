//! How far the flows are handed over: noted for the next agent, and gone on with after another one.

use super::{Generation, Ticker};
use crate::collector::losses::{Lost, OwnLosses};
use crate::collector::pins::adopt::Flows;
use crate::collector::pins::book::{Book, Drain, Journal};
use crate::model::KernelTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Ticker {
    /// Notes how far the flows are handed over, and goes on where another agent ended.
    #[must_use]
    pub(in crate::collector) fn resume(mut self, journal: Option<(Arc<Book>, (Journal, Flows))>) -> Self {
        let Some((book, (journal, flows))) = journal else { return self };
        let Drain { epoch, start, end, active, is_open, .. } = journal.drain;
        // Numbers of generations go on in any case: no reader may take a new one for one that it has.
        self.flips = if journal.drain == Drain::default() { 0 } else { epoch.saturating_add(1) };
        if flows == Flows::GoOn {
            self.active = self.maps.active.lookup(&0).ok().flatten().unwrap_or_default();
            self.since = KernelTime(end);
            // It was killed before it made that generation quiet.
            if is_open == 1 && self.active == active {
                (self.flips, self.since) = (epoch, KernelTime(start));
            }
        }
        self.journal = Some((book, journal));
        self
    }

    /// Hands over the rest of a generation that another agent was killed over. `false`: nobody listens.
    pub(super) fn finish_drain(&mut self) -> bool {
        let Some((_, Journal { drain, .. })) = &self.journal else { return true };
        let Drain { epoch, start, end, active, done: [ipv4, ipv6], is_open, .. } = *drain;
        if is_open != 1 || self.active != active.wrapping_add(1) {
            return true;
        }
        self.arenas.ipv4.resume(active & 1, ipv4);
        self.arenas.ipv6.resume(active & 1, ipv6);
        if self.grace.wait().is_err() {
            self.losses.add(Lost::Grace, 1);
        }
        let generation = Generation { active, epoch, start: KernelTime(start), end: KernelTime(end) };
        self.drain(generation).is_some()
    }

    /// Writes the journal.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Journal)) {
        let Some((book, journal)) = &mut self.journal else { return };
        change(journal);
        if book.write_journal(journal).is_err() {
            self.losses.add(Lost::Journal, 1);
        }
    }
}

/// Flows that were handed over since the start, and those of them that whoever takes them has done with: the others wait for
/// a name, say, and are in no record if this process is killed.
#[derive(Debug, Default)]
pub(in crate::collector) struct Unsettled {
    handed: u64,
    settled: Arc<AtomicU64>,
}

impl Unsettled {
    pub(in crate::collector) fn new(settled: Arc<AtomicU64>) -> Self {
        Self { handed: 0, settled }
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.handed.saturating_sub(self.settled.load(Ordering::Relaxed))
    }
}

/// Where it is noted how far a drain has come.
pub(super) struct Noted<'a> {
    pub(super) journal: &'a mut Option<(Arc<Book>, Journal)>,
    pub(super) unsettled: &'a mut Unsettled,
    pub(super) losses: &'a OwnLosses,
}

impl Noted<'_> {
    /// A part of a family's arena is about to be handed over: from now on nobody does it again.
    pub(super) fn part(&mut self, family: usize, done: usize, flows: usize) {
        let Some((book, journal)) = &mut self.journal else { return };
        journal.drain.done[family] = done as u64;
        self.unsettled.handed += flows as u64;
        journal.drain.unsure = self.unsettled.count();
        if book.write_journal(journal).is_err() {
            self.losses.add(Lost::Journal, 1);
        }
    }
}
