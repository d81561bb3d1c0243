//! The owner of all changing state: one task that takes in what the kernel and Docker tell, and gives out
//! snapshots and records.
//!
//! Views read an immutable [`Snapshot`] from a watch channel; sinks read records from a
//! bounded queue each. [`State`] is the same without a task, for tests and replay.

mod asks;
mod failures;
mod feed;
mod findings;
mod held;
mod inquirers;
mod names;
mod naming;
mod owners;
mod retransmits;
mod sockets;
mod state;
mod subscribers;
mod tap;
mod task;
mod waiting;

pub use asks::Ask;
pub use feed::Feed;
pub use state::{Publish, State};
pub use subscribers::{Filter, Subscription, Topic};
pub use tap::{Tap, Tapping};

use crate::attribution;
use crate::model::{Change, HostId, KernelTime, Observation, WallTime};
use crate::policy::file::Policy;
use crate::policy::{Answer, Asked};
use crate::snapshot::{Record, Snapshot};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use task::{Command, Task};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

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
    /// Whether it is the agent's.
    pub by_agent: bool,
    /// Both clocks' readings of one moment; without it the wall clock is taken never to be set.
    pub clock: Option<fn() -> (KernelTime, WallTime)>,
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
            by_agent: false,
            clock: None,
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
    let (counted_outside, settled) = (Vec::new(), None);
    let task = Task {
        state,
        changes,
        observations,
        asks,
        commands: incoming,
        published,
        now,
        tap,
        counted_outside,
        settled,
    };
    EngineHandle { snapshots, commands, task: tokio::spawn(task.run()) }
}

impl EngineHandle {
    /// By which anybody follows the engine.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed::new(self.snapshots.clone(), self.commands.downgrade())
    }

    /// See [`Feed::snapshots`].
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.feed().snapshots()
    }

    /// See [`Feed::subscribe`].
    #[must_use]
    pub fn subscribe(&self, filter: Filter) -> mpsc::Receiver<Record> {
        self.feed().subscribe(filter)
    }

    /// See [`Feed::inquire`].
    #[must_use]
    pub fn inquire(&self, asked: Asked) -> watch::Receiver<Option<Arc<Answer>>> {
        self.feed().inquire(asked)
    }

    /// Judges by other rules from the next flows on; findings that these do not make end at once. A recording has the
    /// rules of its beginning alone: with a tap, who replays it would find what was not told.
    pub async fn judge_by(&self, policy: Arc<Policy>) {
        // An engine that has ended judges nothing more.
        drop(self.commands.send(Command::JudgeBy(policy)).await);
    }

    /// Says there from now on how many of the flows that it was handed have left it, or are in no record.
    pub async fn say_settled(&self, settled: Arc<AtomicU64>) {
        // An engine that has ended has nothing to say.
        drop(self.commands.send(Command::SaySettled(settled)).await);
    }

    /// Ends the engine and waits until it has; the last snapshot stays readable.
    pub async fn stop(self) {
        drop(self.commands.send(Command::Stop).await);
        // The task does not panic by design; if it did, there is nothing left to wait for.
        drop(self.task.await);
    }
}
