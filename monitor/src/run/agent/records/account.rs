//! What becomes of records: each waits, and is then written or lost.

use crate::snapshot::Record;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records that were taken from their queue, and what is lost of them.
#[derive(Debug)]
pub(super) struct Account {
    waiting: Mutex<Waiting>,
    /// What the agent counts, of this account and of those before it.
    lost: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: u64,
    /// How often some of them were settled.
    settled: u64,
    is_closed: bool,
}

impl Account {
    pub(super) fn new(lost: Arc<AtomicU64>) -> Self {
        Self { waiting: Mutex::default(), lost }
    }

    /// These wait to be written.
    pub(super) fn add(&self, records: &[Record]) {
        self.lock().records += count(records);
    }

    /// These wait no longer: they are written, but for so many that are lost. Says whether that still counts; when it
    /// does not, they were lost already.
    pub(super) fn settle(&self, records: &[Record], lost: u64) -> bool {
        let mut waiting = self.lock();
        if !waiting.is_closed {
            waiting.records = waiting.records.saturating_sub(count(records));
            waiting.settled += 1;
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        !waiting.is_closed
    }

    /// How often some were settled so far: while this grows, whoever writes them goes on.
    pub(super) fn settled(&self) -> u64 {
        self.lock().settled
    }

    /// All that still wait are lost.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        self.lost.fetch_add(std::mem::take(&mut waiting.records), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Both are set at once.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there are, without what the queue says of itself.
fn count(records: &[Record]) -> u64 {
    records.iter().filter(|record| !matches!(record, Record::Lost(_))).count() as u64
}
