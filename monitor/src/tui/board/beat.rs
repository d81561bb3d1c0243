//! When the counters were read.

use crate::model::KernelTime;
use crate::snapshot::Snapshot;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
/// A snapshot this long after the last reading is one, where nobody tells of readings.
const PATIENCE: Duration = Duration::from_secs(2);

/// The readings: the agent reads all counters once a tick and tells of it by counting generations up.
///
/// Moments are moved so that readings fall into the middle of seconds: a reading that is some milliseconds early or
/// late would otherwise put two ticks into one second and none into the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    shift: Duration,
    first: KernelTime,
    latest: KernelTime,
    flips: u64,
}

impl Beat {
    /// Begins with a first snapshot.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let at = snapshot.taken_at;
        Self { shift: shift(at), first: at, latest: at, flips: snapshot.resources.flips }
    }

    /// Whether a newer snapshot has a new reading.
    pub(super) fn is_reading(&mut self, snapshot: &Snapshot) -> bool {
        let flips = snapshot.resources.flips;
        let is_reading = flips != self.flips || snapshot.taken_at.since(self.latest) >= PATIENCE;
        if !is_reading {
            return false;
        }
        if self.first == self.latest {
            self.shift = shift(snapshot.taken_at);
        }
        self.latest = snapshot.taken_at;
        self.flips = flips;
        true
    }

    /// A moment, moved.
    pub(super) fn second(&self, at: KernelTime) -> KernelTime {
        at.plus(self.shift)
    }

    /// The first reading.
    pub(super) fn first(&self) -> KernelTime {
        self.first
    }

    /// The latest reading.
    pub(super) fn latest(&self) -> KernelTime {
        self.latest
    }
}

/// What moves a moment into the middle of a second.
fn shift(at: KernelTime) -> Duration {
    Duration::from_nanos((SECOND + SECOND / 2 - at.0 % SECOND) % SECOND)
}
