//! What a session needs from outside, and how it ends.

use super::api::Failure;
use super::clocks::Clocks;
use super::hint::Hints;
use super::refusals::Refusals;
use crate::model::{Change, SafeText};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Why a session is over.
pub(super) enum End {
    /// Docker is away.
    Away(SafeText),
    /// The event stream made no sense; Docker still answers.
    Unreadable(SafeText),
    /// Nobody listens any more.
    Closed,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Away(SafeText::new(&failure.to_string()))
    }
}

/// What a session needs from outside.
pub(super) struct Surroundings {
    /// Where changes are told.
    pub(super) out: mpsc::Sender<Change>,
    /// Hints to take.
    pub(super) hints: Arc<Hints>,
    /// The clocks.
    pub(super) clocks: Clocks,
    /// What was refused so far.
    pub(super) refusals: Refusals,
}

impl Surroundings {
    /// Tells a change.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) async fn tell(&self, change: impl Into<Option<Change>>) -> Result<(), End> {
        match change.into() {
            Some(change) => self.out.send(change).await.map_err(|_| End::Closed),
            None => Ok(()),
        }
    }

    /// Tells what was refused since the last time.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) async fn tell_refusals(&mut self) -> Result<(), End> {
        let news = self.refusals.news();
        self.tell(news).await
    }
}
