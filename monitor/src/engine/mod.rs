//! The owner of all changing state: one task that takes in what the kernel and Docker tell, and gives out
//! snapshots and records.
//!
//! Views read an immutable [`Snapshot`] from a watch channel; sinks read records from a
//! bounded queue each. [`State`] is the same without a task, for tests and replay.

mod asks;
mod findings;
mod held;
mod inquirers;
mod naming;
mod state;
mod subscribers;
mod tap;
mod task;

pub use asks::Ask;
pub use state::{Publish, State};
pub use subscribers::Filter;
pub use tap::{Tap, Tapping};

use crate::attribution;
use crate::model::{Change, HostId, KernelTime, Observation, WallTime};
use crate::policy::file::Policy;
use crate::policy::{Answer, Asked};
use crate::snapshot::{Record, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use task::{Command, Task};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Records a subscriber may be behind before it loses some.
const QUEUE: usize = 8_192;
/// Commands that may wait.
const COMMANDS: usize = 64;

/// What the engine runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host it runs on.
    pub host: HostId,
    /// The window that rates are about.
    pub window: Duration,
    /// The most flows that are kept.
    pub max_flows_kept: usize,
    /// A flow without an end of its own is over after this long without a packet.
    pub idle: Duration,
    /// How facts are kept.
    pub attribution: attribution::Settings,
    /// An operator's rules.
    pub policy: Arc<Policy>,
    /// The wall clock when the kernel's began.
    pub booted: WallTime,
}

impl Settings {
    /// The usual settings.
    #[must_use]
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            window: Duration::from_secs(10),
            max_flows_kept: 65_536,
            idle: Duration::from_secs(60),
            attribution: attribution::Settings::default(),
            policy: Arc::default(),
            booted: WallTime::default(),
        }
    }
}

/// A running engine. Dropping it ends the task.
#[derive(Debug)]
pub struct EngineHandle {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// Starts the engine on the current tokio runtime. It ends when it is stopped, when its handle is dropped, or when
/// the sender of observations is. A tap gets a copy of all that it takes in.
pub fn spawn(
    settings: Settings,
    changes: mpsc::Receiver<Change>,
    observations: mpsc::Receiver<Observation>,
    asks: mpsc::Sender<Ask>,
    now: fn() -> KernelTime,
    tap: Option<Tap>,
) -> EngineHandle {
    let started = tap.as_ref().map_or_else(now, Tap::started);
    let mut state = State::new(settings, started);
    let (published, snapshots) = watch::channel(Arc::new(state.snapshot(started)));
    let (commands, incoming) = mpsc::channel(COMMANDS);
    let task = Task { state, changes, observations, asks, commands: incoming, published, now, tap };
    EngineHandle { snapshots, commands, task: tokio::spawn(task.run()) }
}

impl EngineHandle {
    /// Snapshots, a new one each time the totals were read and soon after anything notable. The channel closes when
    /// the engine has ended.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Records from now on, through a queue of this subscriber's own. The queue ends when the engine has ended (or
    /// when 64 other commands wait for it).
    #[must_use]
    pub fn subscribe(&self, filter: Filter) -> mpsc::Receiver<Record> {
        let (queue, records) = mpsc::channel(QUEUE);
        // A refused command drops the queue's sender, which the reader sees as its end.
        drop(self.commands.try_send(Command::Subscribe(filter, queue)));
        records
    }

    /// Answers about two ends from now on: after each tick, by what was seen until then. Nothing is answered before the
    /// first tick; the channel closes when the engine has ended (or when 16 others ask).
    #[must_use]
    pub fn inquire(&self, asked: Asked) -> watch::Receiver<Option<Arc<Answer>>> {
        let (answers, told) = watch::channel(None);
        // A refused command drops the sender, which the reader sees as its end.
        drop(self.commands.try_send(Command::Inquire(asked, answers)));
        told
    }

    /// Ends the engine and waits until it has; the last snapshot stays readable.
    pub async fn stop(self) {
        drop(self.commands.send(Command::Stop).await);
        // The task does not panic by design; if it did, there is nothing left to wait for.
        drop(self.task.await);
    }
}
