//! All that the collector takes a right for, before anything runs: programs that are loaded, and sockets and descriptors
//! that are open. What is started with it later needs none of that any more.

use super::asks::Asks;
use super::attacher::leftovers::{self, Emptied};
use super::attacher::rights::{Call, Request, Rights};
use super::attacher::{Attacher, Pinning};
use super::capture::Capture;
use super::flags::flags;
use super::groups::Groups;
use super::inside::Insides;
use super::links::{Before, Ears, Links, Modes, Parts};
use super::losses::OwnLosses;
use super::names::Names;
use super::outbox::{Backlog, Waiting};
use super::pins::Pins;
use super::pins::adopt::{Means, Resumed, adopt};
use super::pins::book::Kept;
use super::pins::layout::Layout;
use super::programs::{self, Loaded, Maps, Wanted};
use super::ring::{Fill, Ring};
use super::table::Table;
use super::tick::{Capacity, Hands, Ticker, Told, Unsettled};
use super::wake::Bell;
use super::{Collector, Settings, StartError, Worker, check, conntrack};
use crate::model::{Change, Observation, PinWatch, SafeText};
use anyhow::Context as _;
use rustix::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
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
    pinning: Pinning,
    resumed: Resumed,
    /// Why nothing is pinned although it is wanted.
    not_pinned: Option<SafeText>,
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
        let mut wanted = Wanted::new(&settings)?;
        let layout = wanted.layout()?;
        let (pins, not_pinned) = take_pins(&settings, &layout);
        if let Some(factors) = pins.as_ref().map(Pins::factors).transpose()?.flatten() {
            wanted = wanted.with_factors(factors);
        }
        let factors = wanted.factors();
        let folder = pins.as_ref().map(|pins| pins.folder.maps());
        let place = folder.as_deref().map(|folder| (folder, &layout));
        let (programs, maps, loaded) = programs::load(&settings, wanted, place)?;
        let ears = Ears::open().context("listen to links")?;
        let conntrack = conntrack::Opened::new();
        let peers = ears.as_fd().try_clone_to_owned()?;
        let lists = conntrack.lists().map(|lists| lists.try_clone_to_owned()).transpose()?;
        let number = pins.as_ref().map(Pins::instance).transpose()?.unwrap_or_default();
        let (folder, before) = pins.map(|Pins { folder, before }| (folder, before)).unzip();
        let keeping = folder.map(|folder| (folder, number));
        let places = (&*settings.state_dir, settings.engine.as_deref());
        let rights =
            Rights::new(programs, places, modes, peers, lists, keeping).context("get ready to attach")?;
        let pinning = pinning(&settings, before.is_some());
        let flags = |kept: &Kept| flags(kept.interface.kind, settings.capture.is_some());
        let means = Means {
            layout: &layout,
            factors,
            rights: &rights,
            maps: &maps,
            slots: settings.max_interfaces,
            flags: &flags,
        };
        let resumed = match (before, rights.pins()) {
            (Some(before), Some(folder)) => {
                adopt(before, folder, &means).context("go on with what is pinned")?
            }
            _ => Resumed::default(),
        };
        let hands = Hands::open().context("get ready to drain")?;
        let maps = Arc::new(maps);
        Ok((
            Self { settings, modes, maps, loaded, ears, hands, conntrack, pinning, resumed, not_pinned },
            rights,
        ))
    }

    /// The containers behind the devices that are gone on with, each known since that was watched.
    pub fn known(&self) -> impl Iterator<Item = Change> {
        let adopted = self.resumed.adopted.iter().map(|(kept, _)| kept);
        let all = adopted.chain(&self.resumed.gone);
        all.filter_map(|kept| Some(Change::Container { container: kept.owner.clone()?, at: kept.at }))
    }

    /// What was pinned for this agent alone is removed; what it goes on with stays for the next one. It will not start.
    pub fn give_up(self, call: &Call) {
        if self.pinning != Pinning::Off && self.resumed.adopted.is_empty() {
            call(Request::Unpin);
        }
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
        let Self { settings, modes, maps, loaded, ears, hands, conntrack, pinning, resumed, not_pinned } =
            self;
        let Loaded { arenas, troubles, events, ring_capacity, packets, names, diagnostics } = loaded;
        let losses = Arc::new(OwnLosses::default());
        resumed.tally.report(&losses);
        let Resumed { book, adopted, gone, last_number, journal, tally } = resumed;
        let table = Arc::new(Table::new(settings.max_interfaces));
        table.resume(last_number, adopted.iter().map(|(kept, _)| kept), &gone);
        let attacher = Arc::new(Attacher::new(Arc::clone(&call), Arc::clone(&maps), pinning));
        let parts = Parts {
            attacher: Arc::clone(&attacher),
            maps: Arc::clone(&maps),
            table: Arc::clone(&table),
            losses: Arc::clone(&losses),
            out: Backlog::new(out.clone(), Arc::clone(&losses)),
            modes,
            watch_bridges: settings.watch_bridges,
            capture: settings.capture.is_some(),
            book: book.clone(),
        };
        let comes_after = tally.without.is_some();
        let links = Links::new(parts, ears, Before { adopted, gone, comes_after });
        let (table_too, losses_too) = (Arc::clone(&table), Arc::clone(&losses));
        let groups =
            Groups::new(Arc::clone(&attacher), Arc::clone(&maps), table_too, losses_too, book.clone());
        let (table_too, losses_too) = (Arc::clone(&table), Arc::clone(&losses));
        let insides =
            Insides::new(Arc::clone(&attacher), Arc::clone(&maps), table_too, losses_too, book.clone())?;
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
        let pins = match (&settings.pin, not_pinned) {
            (Some(_), None) => Some(PinWatch::Pinned),
            (Some(_), Some(reason)) => Some(PinWatch::Off(reason)),
            (None, _) => None,
        };
        let settled = Arc::<AtomicU64>::default();
        let unsettled = Unsettled::new(Arc::clone(&settled));
        let told = Told { losses: Arc::clone(&losses), fill: Arc::clone(&fill), unsettled, pins };
        let journal = book.as_ref().zip(journal).map(|(book, journal)| (Arc::clone(book), journal));
        let hands = (hands, Arc::clone(&attacher));
        let ticker =
            Ticker::new(maps, arenas, troubles, table, told, waiting, capacity, hands).resume(journal);
        let names =
            names.map(|messages| Names::new(messages, Arc::clone(&call), out.clone(), Arc::clone(&losses)));
        let hear = |names: Names| Worker::start("vw-names", |stop| names.run(stop), Bell::new()?);
        let ring = Ring { events, diagnostics, out: out.clone(), losses, fill };
        let tick = settings.tick;
        Ok(Collector {
            modes,
            asks: Asks::start(Arc::clone(&attacher), (groups, insides), book, tick, out)?,
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
            names: names.map(hear).transpose()?,
            capture: capture.map(start).transpose()?,
            captured,
            settled,
        })
    }
}

/// What becomes of programs on devices when this process ends.
fn pinning(settings: &Settings, is_pinned: bool) -> Pinning {
    match &settings.pin {
        Some(pin) if is_pinned && pin.keep => Pinning::Stay,
        Some(_) if is_pinned => Pinning::UntilStop,
        _ => Pinning::Off,
    }
}

/// Takes the folder where things are to be pinned; or says why there is none, and the agent does without.
fn take_pins(settings: &Settings, layout: &Layout) -> (Option<Pins>, Option<SafeText>) {
    let Some(pin) = &settings.pin else { return (None, None) };
    match Pins::open(&pin.dir, layout) {
        Ok(pins) => (Some(pins), None),
        Err(error) => {
            let reason = SafeText::new(&format!("{error:#}"));
            log::warn!("a restart will have a gap: {reason}");
            (None, Some(reason))
        }
    }
}
