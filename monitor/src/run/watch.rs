//! What every command that watches has: who watches, an output, signals, and the two clocks.

use super::failure::Failure;
use super::output::{Closed, Output};
use super::signals::Signals;
use super::source::Source;
use super::terminal;
use crate::collector::clock;
use crate::engine::Filter;
use crate::model::KernelTime;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::view::{Frame, Line};
use crate::wire::{Body, Clock, Stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a reader that stands still may delay the end after a signal.
const PATIENCE_AFTER_SIGNAL: Duration = Duration::from_secs(1);
/// How long it may otherwise: as good as for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// A command that watches.
pub(super) struct Watch {
    pub(super) started: Instant,
    pub(super) session: Source,
    pub(super) output: Output,
    pub(super) signals: Signals,
    pub(super) json: bool,
    clock: Clock,
    stream: Stream,
}

/// Why a command's loop ended, when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is done.
    Done,
    /// A signal came.
    Signal,
    /// Nobody reads what it prints.
    Closed,
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Watch {
    /// Starts to watch, or to follow an agent that does. Signals are caught before anything is attached.
    ///
    /// # Errors
    /// As [`Source::choose`].
    pub(super) async fn start(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
        let (started, signals) = (Instant::now(), Signals::catch()?);
        let session = Source::choose(settings, filter).await?;
        Ok(Self::of(settings, started, signals, session))
    }

    /// Starts to watch by itself, for what an agent is not asked.
    ///
    /// # Errors
    /// As [`Source::own`].
    pub(super) async fn start_own(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
        let (started, signals) = (Instant::now(), Signals::catch()?);
        let session = Source::own(settings, filter).await?;
        Ok(Self::of(settings, started, signals, session))
    }

    fn of(settings: &Settings, started: Instant, signals: Signals, session: Source) -> Self {
        let stream = Stream::new(session.host().clone());
        // The same offset as that of a recording: what is told must be the same words when it is replayed.
        let clock = Clock::new(KernelTime::default(), session.booted());
        Self {
            started,
            session,
            output: Output::to(std::io::stdout()),
            signals,
            json: settings.json,
            clock,
            stream,
        }
    }

    /// The clock that times are shown by; it follows when the wall clock is set.
    pub(super) fn clock(&mut self) -> Clock {
        let (kernel, wall) = clock::both_now();
        self.clock.update(kernel, wall);
        self.clock
    }

    /// What to draw on.
    pub(super) fn frame(&mut self, fit: bool) -> Frame {
        let clock = self.clock();
        terminal::frame(clock, fit)
    }

    /// Prints lines of text.
    pub(super) async fn print(&mut self, lines: &[Line], frame: &Frame) -> Result<(), Closed> {
        for line in lines {
            self.output.line(&line.draw(frame)).await?;
        }
        Ok(())
    }

    /// Prints one JSON line.
    pub(super) async fn record(&mut self, body: impl Body) -> Result<(), Closed> {
        let line = self.stream.line(body);
        self.output.line(&line).await
    }

    /// Stops everything; gives back the last snapshot.
    ///
    /// # Errors
    /// When something failed on the way, or what was printed could not be written.
    pub(super) async fn finish(self, ended: Ended) -> Result<Arc<Snapshot>, Failure> {
        let stopped = self.session.stop().await;
        let patience = if ended == Ended::Signal { PATIENCE_AFTER_SIGNAL } else { PATIENCE };
        self.output.finish(patience).await?;
        stopped
    }

    /// Stops everything, when this is how the command's loop ended.
    ///
    /// # Errors
    /// As [`Watch::finish`], and when the loop failed.
    pub(super) async fn end(self, ended: Result<Ended, Failure>) -> Result<(), Failure> {
        self.finish(ended.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
        ended.map(drop)
    }
}

/// Waits for so long, or without a time for ever.
pub(super) async fn over(watch_for: Option<Duration>) {
    match watch_for {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
