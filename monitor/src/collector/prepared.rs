//! All that the collector takes a right for, before anything runs: programs that are loaded, and sockets and descriptors
//! that are open. What is started with it later needs none of that any more.

use super::asks::Asks;
use super::attacher::Attacher;
use super::attacher::leftovers::{self, Emptied};
use super::attacher::rights::{Call, Rights};
use super::capture::Capture;
use super::groups::Groups;
use super::links::{Ears, Links, Modes, Parts};
use super::losses::OwnLosses;
use super::outbox::{Backlog, Waiting};
use super::programs::{self, Loaded, Maps};
use super::ring::{Fill, Ring};
use super::table::Table;
use super::tick::{Capacity, Hands, Ticker, Told};
use super::wake::Bell;
use super::{Collector, Settings, StartError, Worker, check, conntrack};
use crate::model::Observation;
use anyhow::Context as _;
use monitor_common::interface::interface_flag;
use rustix::fd::AsFd as _;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// A collector that is ready to be started. It counts nothing yet, and has no thread.
pub struct Prepared {
    settings: Settings,
    modes: Modes,
    maps: Arc<Maps>,
    loaded: Loaded,
    ears: Ears,
    hands: Hands,
    conntrack: conntrack::Opened,
}

impl Prepared {
    /// Loads the programs and opens what is needed to listen; and what is needed to attach. What killed processes left is
    /// removed.
    pub(super) fn new(settings: Settings) -> Result<(Self, Rights), StartError> {
        let modes = check(&settings)?;
        if let Err(error) = leftovers::remove_all(&settings.state_dir, Emptied::LetBe) {
            log::warn!("leftovers of killed processes could not be looked for: {error}");
        }
        Self::open(settings, modes).map_err(StartError::from)
    }

    fn open(settings: Settings, modes: Modes) -> Result<(Self, Rights), anyhow::Error> {
        let (programs, maps, loaded) = programs::load(&settings)?;
        let ears = Ears::open().context("listen to links")?;
        let conntrack = conntrack::Opened::new();
        let peers = ears.as_fd().try_clone_to_owned()?;
        let lists = conntrack.lists().map(|lists| lists.try_clone_to_owned()).transpose()?;
        let rights =
            Rights::new(programs, &settings.state_dir, modes, peers, lists).context("get ready to attach")?;
        let hands = Hands::open().context("get ready to drain")?;
        Ok((Self { settings, modes, maps: Arc::new(maps), loaded, ears, hands, conntrack }, rights))
    }

    /// Begins: devices that are there already are attached to in the background, each told by an
    /// [`Observation::Attached`]. What needs a right is done by `call`.
    ///
    /// # Errors
    /// When there are no threads or descriptors to be had.
    pub fn start(self, call: Call, out: Sender<Observation>) -> Result<Collector, StartError> {
        self.start_threads(call, out).map_err(StartError::from)
    }

    fn start_threads(self, call: Call, out: Sender<Observation>) -> Result<Collector, anyhow::Error> {
        let Self { settings, modes, maps, loaded, ears, hands, conntrack } = self;
        let Loaded { arenas, drops, events, ring_capacity, packets, diagnostics } = loaded;
        let losses = Arc::new(OwnLosses::default());
        let table = Arc::new(Table::new(settings.max_interfaces));
        let attacher = Arc::new(Attacher::new(Arc::clone(&call), Arc::clone(&maps)));
        let parts = Parts {
            attacher: Arc::clone(&attacher),
            maps: Arc::clone(&maps),
            table: Arc::clone(&table),
            losses: Arc::clone(&losses),
            out: Backlog::new(out.clone(), Arc::clone(&losses)),
            modes,
            watch_bridges: settings.watch_bridges,
            veth_flags: interface_flag::CLAIMS | settings.capture.map_or(0, |_| interface_flag::CAPTURE),
        };
        let links = Links::new(parts, ears);
        let groups =
            Groups::new(Arc::clone(&attacher), Arc::clone(&maps), Arc::clone(&table), Arc::clone(&losses));
        let [stop_links, stop_drain, stop_ring] = [Bell::new()?, Bell::new()?, Bell::new()?];
        let hold_drain = Bell::new()?;
        let hold = hold_drain.clone();
        let (translations, own) = (Backlog::new(out.clone(), Arc::clone(&losses)), Arc::clone(&losses));
        let waiting = Waiting::new(out.clone(), stop_drain.clone());
        let capacity = Capacity {
            slots: settings.max_interfaces,
            flows: settings.max_flows,
            drops: settings.max_drops,
            ring: ring_capacity,
        };
        let (capture, captured) =
            packets.map(|packets| Capture::new(packets, Arc::clone(&table), Arc::clone(&losses))).unzip();
        let start = |capture: Capture| Worker::start("vw-capture", |stop| capture.run(stop), Bell::new()?);
        let fill = Arc::new(Fill::default());
        let told = Told { losses: Arc::clone(&losses), fill: Arc::clone(&fill) };
        let ticker = Ticker::new(maps, arenas, drops, table, told, waiting, capacity, hands);
        let ring = Ring { events, diagnostics, out: out.clone(), losses, fill };
        let tick = settings.tick;
        Ok(Collector {
            modes,
            asks: Asks::start(Arc::clone(&attacher), groups, out)?,
            attacher,
            links: Worker::start("vw-links", |stop| links.run(stop), stop_links)?,
            drain: Worker::start("vw-drain", move |stop| ticker.run(tick, &hold, stop), stop_drain)?,
            hold_drain,
            ring: Worker::start("vw-ring", |stop| ring.run(stop), stop_ring)?,
            conntrack: Worker::start(
                "vw-conntrack",
                |stop| conntrack::run(conntrack, call, translations, own, stop),
                Bell::new()?,
            )?,
            capture: capture.map(start).transpose()?,
            captured,
        })
    }
}
