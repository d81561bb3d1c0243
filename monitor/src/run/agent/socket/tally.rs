//! What became of the clients, in numbers.

use crate::export::Clients;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counted by connections, read by the metrics.
#[derive(Debug, Default)]
pub(in crate::run::agent) struct Tally {
    now: AtomicU64,
    refused: AtomicU64,
    missed: AtomicU64,
}

impl Tally {
    pub(super) fn came(&self) {
        self.now.fetch_add(1, Relaxed);
    }

    pub(super) fn went(&self) {
        self.now.fetch_sub(1, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn missed(&self, records: u64) {
        self.missed.fetch_add(records, Relaxed);
    }

    /// The numbers now.
    pub(in crate::run::agent) fn clients(&self) -> Clients {
        Clients {
            now: self.now.load(Relaxed),
            refused: self.refused.load(Relaxed),
            records_lost: self.missed.load(Relaxed),
        }
    }
}
