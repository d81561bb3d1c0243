//! Collector, inventory and engine, connected and running.

use super::failure::Failure;
use super::record::Record as Recording;
use super::{host, policy, tidy};
use crate::collector::{self, Asker, Captured, Collector, StartError, clock};
use crate::engine::{self, Ask, EngineHandle, Feed, Filter};
use crate::inventory::{self, Hint, Inventory};
use crate::model::{Change, DockerState, HostId, KernelTime, Observation, SafeText, WallTime};
use crate::policy::file::Policy;
use crate::recording::{self, Header};
use crate::settings::{Settings, Task};
use crate::snapshot::{Answer, Asked, Record, Snapshot};
use anyhow::{Context as _, anyhow};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Observations that may wait for the engine; behind them the collector waits.
const OBSERVATIONS: usize = 8_192;
/// Changes that may wait; behind them the inventory waits.
const CHANGES: usize = 1_024;
/// Questions that may wait; behind them the engine asks again later.
const ASKS: usize = 256;

/// Makes a file at a path.
type Create = Box<dyn FnOnce(&Path) -> io::Result<File> + Send>;

/// What a session works with.
pub(super) struct Means {
    /// Makes the file to record into.
    pub(super) create: Create,
    /// How Docker is asked.
    pub(super) inventory: inventory::Settings,
    /// What an agent before knew, before Docker is asked.
    pub(super) known: Vec<Change>,
}

/// Everything that watches.
pub(super) struct Session {
    host: HostId,
    collector: Option<Collector>,
    asker: Asker,
    captured: Option<mpsc::Receiver<Captured>>,
    inventory: Inventory,
    engine: EngineHandle,
    relay: JoinHandle<()>,
    asks: JoinHandle<()>,
    tidy: JoinHandle<()>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    told: watch::Receiver<Option<KernelTime>>,
    records: Option<mpsc::Receiver<Record>>,
    booted: WallTime,
    recording: Option<Recording>,
    policy: Option<String>,
}

impl Session {
    /// Starts to watch; with a filter, records are kept from the first on.
    ///
    /// # Errors
    /// When the collector cannot start, the host does not tell who it is, or a recording cannot be made.
    pub(super) async fn start(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
        let (inventory, known) = (settings.inventory.clone(), Vec::new());
        let means = Means { create: Box::new(recording::create), inventory, known };
        let collector = settings.collector.clone();
        Self::start_by(settings, filter, means, move |out| Collector::start(collector, out)).await
    }

    /// The same with means that were made ready before, and a collector that `start` starts.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub(super) async fn start_by(
        settings: &Settings,
        filter: Option<Filter>,
        means: Means,
        start: impl FnOnce(mpsc::Sender<Observation>) -> Result<Collector, StartError> + Send + 'static,
    ) -> Result<Self, Failure> {
        let host = host::id()?;
        let booted = booted();
        let (policy, text) = match settings.policy.clone() {
            Some(file) => {
                policy::read_with_text(settings, file).await.map(|(policy, text)| (policy, Some(text)))?
            }
            None => Default::default(),
        };
        let (recording, tap) = settings
            .record
            .as_deref()
            .map(|file| Recording::start(file, means.create, header(settings, &host, booted, text.clone())))
            .transpose()?
            .unzip();
        let (told_changes, from_inventory) = mpsc::channel(CHANGES);
        let (to_engine, changes) = mpsc::channel(CHANGES);
        let (seen, observations) = mpsc::channel(OBSERVATIONS);
        let (asked, asks) = mpsc::channel(ASKS);
        let (told_when, told) = watch::channel(None);
        let engine = engine::spawn(
            engine::Settings {
                window: settings.window,
                policy: Arc::new(policy),
                booted,
                by_agent: matches!(settings.task, Task::Agent(_)),
                clock: Some(clock::both_now),
                ..engine::Settings::new(host.clone())
            },
            changes,
            observations,
            asked,
            clock::kernel_now,
            tap,
        );
        for change in means.known {
            // An engine that has ended is found soon enough.
            drop(to_engine.send(change).await);
        }
        let inventory = Inventory::start(means.inventory, told_changes, clock::kernel_now, clock::wall_now);
        let relay = tokio::spawn(relay(from_inventory, to_engine, told_when));
        let records = filter.map(|filter| engine.subscribe(filter));
        // Loading takes a while and blocks.
        let start = move || start(seen).inspect(|_| tidy::give_back());
        let started = tokio::task::spawn_blocking(start).await;
        let mut collector = started.context("start the collector")??;
        engine.say_settled(collector.settled()).await;
        let (asker, captured) = (collector.asker(), collector.take_captured());
        let asks = tokio::spawn(answer(asks, inventory.hint(), asker.clone()));
        let snapshots = engine.snapshots();
        Ok(Self {
            host,
            collector: Some(collector),
            asker,
            captured,
            inventory,
            engine,
            relay,
            asks,
            tidy: tokio::spawn(tidy::keep_little()),
            snapshots,
            told,
            records,
            booted,
            recording,
            policy: text,
        })
    }

    /// By which others follow the engine.
    pub(super) fn feed(&self) -> Feed {
        self.engine.feed()
    }

    /// The text of the policy file that it was started with.
    pub(super) fn policy_text(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Judges by other rules from the next flows on.
    pub(super) async fn judge_by(&self, policy: Arc<Policy>) {
        self.engine.judge_by(policy).await;
    }

    /// The host that is watched.
    pub(super) fn host(&self) -> &HostId {
        &self.host
    }

    /// The wall clock when the kernel's began, as it was at the start.
    pub(super) fn booted(&self) -> WallTime {
        self.booted
    }

    /// The latest snapshot.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow_and_update())
    }

    /// Waits for the next snapshot.
    ///
    /// # Errors
    /// When the engine has ended, which it does only by a fault.
    pub(super) async fn changed(&mut self) -> Result<(), Failure> {
        let changed = self.snapshots.changed().await;
        Ok(changed.map_err(|_| anyhow!("the engine ended unexpectedly"))?)
    }

    /// Since when the engine could know all that Docker has to tell, or that Docker does not answer.
    pub(super) fn docker_told(&self) -> Option<KernelTime> {
        *self.told.borrow()
    }

    /// The same, for who follows it.
    pub(super) fn docker_told_when(&self) -> watch::Receiver<Option<KernelTime>> {
        self.told.clone()
    }

    /// The records that were subscribed to; they can be taken once.
    pub(super) fn take_records(&mut self) -> Option<mpsc::Receiver<Record>> {
        self.records.take()
    }

    /// The packets that are captured, if any are; they can be taken once.
    pub(super) fn take_captured(&mut self) -> Option<mpsc::Receiver<Captured>> {
        self.captured.take()
    }

    /// Captures at an interface, or does so no more. One that is not asked in time is captured on.
    pub(super) fn capture(&self, ifindex: u32, on: bool) {
        self.asker.ask(collector::Command::Capture { ifindex, on });
    }

    /// Answers about two ends, after each tick from now on.
    pub(super) fn inquire(&self, asked: Asked) -> watch::Receiver<Option<Arc<Answer>>> {
        self.engine.inquire(asked)
    }

    /// Takes the programs off everything. The engine takes in what was counted to the end, and ends; then the
    /// records end too.
    ///
    /// # Errors
    /// When stopping ran into a fault.
    pub(super) async fn stop_collecting(&mut self) -> Result<(), Failure> {
        let Some(collector) = self.collector.take() else { return Ok(()) };
        Ok(tokio::task::spawn_blocking(|| collector.stop()).await.context("stop the collector")?)
    }

    /// Stops everything and gives back the last snapshot.
    ///
    /// # Errors
    /// When stopping ran into a fault, or the recording is not complete.
    pub(super) async fn stop(mut self) -> Result<Arc<Snapshot>, Failure> {
        let stopped = self.stop_collecting().await;
        let Self { engine, inventory, relay, asks, tidy, snapshots, recording, .. } = self;
        engine.stop().await;
        inventory.stop().await;
        relay.abort();
        asks.abort();
        tidy.abort();
        stopped?;
        if let Some(recording) = recording {
            recording.finish().await?;
        }
        Ok(Arc::clone(&snapshots.borrow()))
    }
}

/// The wall clock when the kernel's began.
fn booted() -> WallTime {
    let (kernel, wall) = clock::both_now();
    WallTime(wall.0.saturating_sub_unsigned(kernel.0))
}

/// The first line of a recording.
fn header(settings: &Settings, host: &HostId, booted: WallTime, policy: Option<String>) -> Header {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Header {
        schema: recording::SCHEMA.to_owned(),
        version: SafeText::new(env!("CARGO_PKG_VERSION")),
        host: host.name.clone(),
        boot_id: SafeText::new(&host.boot_id),
        booted,
        started: clock::kernel_now(),
        tick_ns: nanoseconds(settings.collector.tick),
        window_ns: nanoseconds(settings.window),
        policy,
    }
}

/// Passes the inventory's changes on, and notes when everything there is to know was told.
async fn relay(
    mut from: mpsc::Receiver<Change>,
    to: mpsc::Sender<Change>,
    told: watch::Sender<Option<KernelTime>>,
) {
    let (mut refused_before, mut is_up) = (false, false);
    while let Some(change) = from.recv().await {
        if let Change::Refused { last, .. } = &change
            && !std::mem::replace(&mut refused_before, true)
        {
            log::warn!("an answer of Docker was dropped: {last}; later ones are only counted");
        }
        if let Change::Docker(state) = &change {
            is_up = matches!(state, DockerState::Up { .. });
        }
        // Of a list that makes no sense it is told that it was refused, and never that all is told.
        let all = match &change {
            Change::Complete { .. } | Change::Docker(DockerState::Down { .. }) => true,
            Change::Refused { .. } => is_up,
            _ => false,
        };
        if to.send(change).await.is_err() {
            return;
        }
        if all {
            told.send_if_modified(|told| {
                let first = told.is_none();
                told.get_or_insert_with(clock::kernel_now);
                first
            });
        }
    }
}

/// Takes the engine's questions to who can answer them.
async fn answer(mut asks: mpsc::Receiver<Ask>, hint: Hint, asker: Asker) {
    while let Some(ask) = asks.recv().await {
        match ask {
            Ask::NetworkOfBridge(bridge) => hint.bridge_changed(bridge.as_str()),
            // A question that finds no room is asked again by the engine.
            Ask::WatchGroup { container } => {
                asker.ask(collector::Command::WatchGroup { container });
            }
            Ask::LeaveGroup { container } => {
                asker.ask(collector::Command::LeaveGroup { container });
            }
            Ask::WatchInside { container, sandbox } => {
                asker.ask(collector::Command::WatchInside { container, sandbox });
            }
            Ask::Namespace { sandbox } => {
                asker.ask(collector::Command::Namespace { sandbox });
            }
            Ask::Keep { ifindex, number, owner } => {
                asker.ask(collector::Command::Keep { ifindex, number, owner });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::relay;
    use crate::model::{Change, DockerState, KernelTime, SafeText};
    use tokio::sync::{mpsc, watch};

    /// Whether all is told after these changes.
    async fn is_told(changes: Vec<Change>) -> bool {
        let (to_relay, from) = mpsc::channel(8);
        let (to, mut passed) = mpsc::channel(8);
        let (when, told) = watch::channel(None);
        let count = changes.len();
        for change in changes {
            to_relay.send(change).await.unwrap();
        }
        drop(to_relay);
        relay(from, to, when).await;
        let mut all = Vec::new();
        assert_eq!(passed.recv_many(&mut all, 8).await, count);
        told.borrow().is_some()
    }

    #[tokio::test]
    async fn a_list_that_makes_no_sense_is_all_that_is_told() {
        let up = || {
            let [version, api, host] = ["28", "1.48", "unix:///x"].map(SafeText::new);
            Change::Docker(DockerState::Up { version, api, host, rootless: false, experimental: None })
        };
        let refused = || Change::Refused { answers: 1, last: "no list".to_owned() };
        let complete = Change::Complete { containers: Vec::new(), networks: Vec::new(), at: KernelTime(1) };
        let down = Change::Docker(DockerState::Down { since: KernelTime(1), reason: "gone".to_owned() });
        for (changes, all) in [
            (vec![], false),
            (vec![Change::Docker(DockerState::Connecting), up()], false),
            // Of the first answer, before there is any list.
            (vec![Change::Docker(DockerState::Connecting), refused()], false),
            (vec![up(), refused()], true),
            (vec![up(), complete], true),
            (vec![down], true),
        ] {
            assert_eq!(is_told(changes.clone()).await, all, "{changes:?}");
        }
    }
}
