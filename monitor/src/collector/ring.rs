//! The ring thread: hands the programs' events to the engine, and never waits for it.

use super::decode;
use super::losses::{Lost, OwnLosses};
use super::wake::{Bell, wait};
use crate::model::Observation;
use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// The pause between two readings. Each record would wake this thread and the engine's task otherwise, and a wake
/// costs more than a record; the ring holds far more than the rate cap lets in meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// What the thread works with.
pub(super) struct Ring {
    pub(super) events: RingBuf<MapData>,
    pub(super) diagnostics: Option<EbpfLogger<&'static dyn log::Log>>,
    pub(super) out: Sender<Observation>,
    pub(super) losses: Arc<OwnLosses>,
    pub(super) fill: Arc<Fill>,
}

/// What the kernel puts before each record of a ring, in bytes; a record ends at a multiple of it.
const RECORD_HEADER: usize = 8;

/// How full the ring was.
#[derive(Debug, Default)]
pub(super) struct Fill(AtomicU64);

impl Fill {
    fn note(&self, bytes: u64) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }

    /// The most bytes that were in the ring when it was read, since this was asked last.
    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Ring {
    /// Reads until `stop` rings.
    pub(super) fn run(mut self, stop: &Bell) {
        let mut stopping = false;
        while !stopping {
            // What is in the ring when it is time to stop is still read.
            stopping = self.rest(stop);
            stopping |= !self.read_events();
            if let Some(diagnostics) = &mut self.diagnostics {
                diagnostics.flush();
            }
            // When it was rung, the next round finds it so and reads what came meanwhile.
            stop.wait(PAUSE);
        }
    }

    /// Waits for something to do. Whether it is to stop.
    fn rest(&self, stop: &Bell) -> bool {
        match &self.diagnostics {
            None => wait([stop.as_fd(), self.events.as_fd()], None)[0],
            Some(diagnostics) => {
                // SAFETY: the logger owns the descriptor and outlives the wait.
                let log = unsafe { BorrowedFd::borrow_raw(diagnostics.as_raw_fd()) };
                wait([stop.as_fd(), self.events.as_fd(), log], None)[0]
            }
        }
    }

    /// Hands over what is in the ring. `false`: nobody listens.
    fn read_events(&mut self) -> bool {
        let mut bytes = 0;
        while let Some(record) = self.events.next() {
            bytes += (RECORD_HEADER + record.len().next_multiple_of(RECORD_HEADER)) as u64;
            let Ok(event) = decode::event(&record) else {
                self.losses.add(Lost::MalformedRecord, 1);
                continue;
            };
            match self.out.try_send(event) {
                Ok(()) => (),
                Err(TrySendError::Full(_)) => self.losses.add(Lost::Observations, 1),
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        self.fill.note(bytes);
        true
    }
}
