//! Collector, inventory and engine, connected and running.

use super::failure::Failure;
use super::record::Record as Recording;
use super::{host, policy};
use crate::collector::{self, Asker, Collector, clock};
use crate::engine::{self, Ask, EngineHandle, Filter};
use crate::inventory::{Hint, Inventory};
use crate::model::{Change, DockerState, HostId, KernelTime, SafeText, WallTime};
use crate::recording::{self, Header};
use crate::settings::Settings;
use crate::snapshot::{Record, Snapshot};
use anyhow::{Context as _, anyhow};
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

/// Everything that watches.
pub(super) struct Session {
    host: HostId,
    collector: Option<Collector>,
    inventory: Inventory,
    engine: EngineHandle,
    relay: JoinHandle<()>,
    asks: JoinHandle<()>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    told: watch::Receiver<Option<KernelTime>>,
    records: Option<mpsc::Receiver<Record>>,
    booted: WallTime,
    recording: Option<Recording>,
}

impl Session {
    /// Starts to watch; with a filter, records are kept from the first on.
    ///
    /// # Errors
    /// When the collector cannot start, the host does not tell who it is, or a recording cannot be made.
    pub(super) async fn start(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
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
            .map(|file| Recording::start(file, header(settings, &host, booted, text)))
            .transpose()?
            .unzip();
        let (told_changes, from_inventory) = mpsc::channel(CHANGES);
        let (to_engine, changes) = mpsc::channel(CHANGES);
        let (seen, observations) = mpsc::channel(OBSERVATIONS);
        let (asked, asks) = mpsc::channel(ASKS);
        let (told_when, told) = watch::channel(None);
        let inventory =
            Inventory::start(settings.inventory.clone(), told_changes, clock::kernel_now, clock::wall_now);
        let relay = tokio::spawn(relay(from_inventory, to_engine, told_when));
        let engine = engine::spawn(
            engine::Settings {
                window: settings.window,
                policy: Arc::new(policy),
                booted,
                ..engine::Settings::new(host.clone())
            },
            changes,
            observations,
            asked,
            clock::kernel_now,
            tap,
        );
        let records = filter.map(|filter| engine.subscribe(filter));
        let collector = start_collector(settings.collector.clone(), seen).await?;
        let asks = tokio::spawn(answer(asks, inventory.hint(), collector.asker()));
        let snapshots = engine.snapshots();
        Ok(Self {
            host,
            collector: Some(collector),
            inventory,
            engine,
            relay,
            asks,
            snapshots,
            told,
            records,
            booted,
            recording,
        })
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

    /// The records that were subscribed to; they can be taken once.
    pub(super) fn take_records(&mut self) -> Option<mpsc::Receiver<Record>> {
        self.records.take()
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
        let Self { engine, inventory, relay, asks, snapshots, recording, .. } = self;
        engine.stop().await;
        inventory.stop().await;
        relay.abort();
        asks.abort();
        stopped?;
        if let Some(recording) = recording {
            recording.finish().await?;
        }
        Ok(Arc::clone(&snapshots.borrow()))
    }
}

/// The wall clock when the kernel's began.
fn booted() -> WallTime {
    WallTime(clock::wall_now().0.saturating_sub_unsigned(clock::kernel_now().0))
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

/// Loading takes a while and blocks.
async fn start_collector(
    settings: collector::Settings,
    out: mpsc::Sender<crate::model::Observation>,
) -> Result<Collector, Failure> {
    let started = tokio::task::spawn_blocking(|| Collector::start(settings, out)).await;
    Ok(started.context("start the collector")??)
}

/// Passes the inventory's changes on, and notes when everything there is to know was told.
async fn relay(
    mut from: mpsc::Receiver<Change>,
    to: mpsc::Sender<Change>,
    told: watch::Sender<Option<KernelTime>>,
) {
    let mut refused_before = false;
    while let Some(change) = from.recv().await {
        if let Change::Refused { last, .. } = &change
            && !std::mem::replace(&mut refused_before, true)
        {
            log::warn!("an answer of Docker was dropped: {last}; later ones are only counted");
        }
        let all = matches!(change, Change::Complete { .. } | Change::Docker(DockerState::Down { .. }));
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
            Ask::Namespace { sandbox } => {
                asker.ask(collector::Command::Namespace { sandbox });
            }
        }
    }
}
