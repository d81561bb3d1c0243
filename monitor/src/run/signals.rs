//! The signals that end a command cleanly.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP, caught from the moment this is made.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// SIGINT or SIGTERM: the end.
    End,
    /// SIGHUP: the end as well, except to who runs without a terminal and reads its settings again.
    Hangup,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) {
        self.received().await;
    }

    /// Waits for the next of them; the end comes before all else.
    pub(super) async fn received(&mut self) -> Received {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Received::End,
            _ = self.terminate.recv() => Received::End,
            _ = self.hangup.recv() => Received::Hangup,
        }
    }
}
