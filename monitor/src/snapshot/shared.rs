//! Rows that are made once a tick and shared by all snapshots until the next: snapshots are published more often than
//! anything is counted.

use super::{Books, Finding, LatencyRow, NetworkRow, PairRow};
use crate::attribution::Attribution;
use crate::model::KernelTime;
use std::sync::Arc;
use std::time::Duration;

/// How soon what was told outside of a tick is in the rows: flows that waited for a name.
const SOON: Duration = Duration::from_millis(500);

/// What the rows were made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Edition {
    /// The tick whose flows are all in.
    tick: Option<u64>,
    /// How often findings were told.
    findings: u64,
    /// What is concluded of networks and containers.
    revision: u64,
    /// How many talks are in the books.
    talks: u64,
}

/// The latest rows.
#[derive(Debug, Default)]
pub struct Shared {
    edition: Edition,
    made: KernelTime,
    networks: Arc<[NetworkRow]>,
    pairs: Arc<[PairRow]>,
    latencies: Arc<[LatencyRow]>,
}

/// Networks, pairs, and latencies.
pub(super) type Rows = (Arc<[NetworkRow]>, Arc<[PairRow]>, Arc<[LatencyRow]>);

impl Shared {
    /// The rows as of `now`, made anew if something changed. `tick` is the latest whose flows are all in, `findings`
    /// how often findings were told.
    pub fn rows<'a>(
        &mut self,
        books: &Books,
        attribution: &Attribution,
        tick: Option<u64>,
        findings: (u64, impl Iterator<Item = &'a Finding>),
        now: KernelTime,
    ) -> Rows {
        let (told, findings) = findings;
        let edition = Edition { tick, findings: told, revision: attribution.revision(), talks: books.talks };
        let before = self.edition;
        let is_late = edition.talks != before.talks && now.since(self.made) >= SOON;
        let is_counted = edition.tick != before.tick || is_late;
        if is_counted {
            self.pairs = books.pairs.rows(books.window_start());
            self.latencies = books.latencies.rows();
            self.made = now;
        }
        if is_counted || (edition.findings, edition.revision) != (before.findings, before.revision) {
            self.networks = books.networks.rows(attribution, findings, books.window_start());
            let talks = if is_counted { edition.talks } else { before.talks };
            self.edition = Edition { talks, ..edition };
        }
        (Arc::clone(&self.networks), Arc::clone(&self.pairs), Arc::clone(&self.latencies))
    }

    /// Has everything made anew: nothing more will be told.
    pub fn finish(&mut self) {
        *self = Self::default();
    }
}
