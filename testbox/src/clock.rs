//! Pacing: the only place here that reads a clock.

use std::time::{Duration, Instant};

/// Says when the next of many things is due.
pub(crate) struct Pace {
    start: Instant,
    per_second: u32,
}

impl Pace {
    /// So many a second from now on; 0 is as fast as possible.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { start: now(), per_second }
    }

    /// Waits until thing number `index`, counted from 0, is due.
    pub(crate) fn wait(&self, index: u64) {
        if self.per_second == 0 {
            return;
        }
        let due = Duration::from_nanos(index.saturating_mul(1_000_000_000) / u64::from(self.per_second));
        std::thread::sleep(due.saturating_sub(self.elapsed()));
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().duration_since(self.start)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load generator has to keep time; nothing of the monitor runs here"
)]
fn now() -> Instant {
    Instant::now()
}
