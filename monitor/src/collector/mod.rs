//! The kernel's side of what is seen: programs on devices, their totals, flows and events, the devices' own
//! counters, and which devices there are.
//!
//! Five threads, none of which ever waits for another:
//!
//! ```text
//! links      rtnetlink ─▶ attacher   attaches to a container's veth as it appears; never waits for the engine
//! drain      once a tick: totals between device counters, flip, grace period, flows; waits for the engine
//! ring       events; drops and counts what the engine has no room for
//! conntrack  translations, listed and announced; reads no more while the engine has no room
//! names      DNS messages, matched with each other; drops and counts what the engine has no room for
//! ```
//!
//! and another that answers the engine's questions about paths, which may hang, and watches control groups and devices in
//! containers' namespaces for it. Where packets
//! are captured, one more hands
//! them to whoever takes them, past the engine.
//! What they see goes to the engine as [`Observation`]s. Their order is that of each thread, not of all: a flow
//! can arrive before the [`Observation::Attached`] of its interface, and the flows and readings of the last tick
//! arrive after its [`Observation::Detached`]; the interface's number, never used twice, tells what belongs together.
//! At the end of the collector no interface is told to be detached, but each has a last reading.

pub mod clock;
pub mod probe;

pub use attacher::leftovers;
pub use attacher::rights::{Answer, Call, Request, Rights};

mod arena;
mod asks;
mod attacher;
mod bpf;
mod btf;
mod capture;
mod conntrack;
mod decode;
mod device;
mod drops;
mod failures;
mod flags;
mod grace;
mod groups;
mod inside;
mod links;
mod losses;
mod names;
mod netlink;
mod object;
mod outbox;
mod own_cost;
mod pending;
mod pins;
mod prepared;
mod programs;
mod reasons;
mod retransmits;
mod ring;
mod table;
mod tick;
mod wake;
mod window;

pub use asks::{Asker, Command};
pub use capture::Captured;
pub use pins::{Pin, remove as remove_pins};
pub use prepared::Prepared;

use crate::model::{AttachMode, Observation};
use asks::Asks;
use attacher::Attacher;
use links::Modes;
use monitor_common::drops::MOST_DROPS;
use monitor_common::settings::feature;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use wake::Bell;

/// How the collector works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to attach. `None` is TCX where the kernel has it, but clsact for new devices that come together, which would
    /// wait for each other, while they have no traffic; clsact elsewhere.
    pub attach: Option<AttachMode>,
    /// Entries of each family's flow map: flows in one tick.
    pub max_flows: u32,
    /// Entries of the map of drops: conversations, by reason and place, in one tick.
    pub max_drops: u32,
    /// Interfaces that can be watched at once.
    pub max_interfaces: u32,
    /// Time between two generations.
    pub tick: Duration,
    /// Sample one packet in this many; 0 samples none.
    pub sample_every: u32,
    /// Capture packets of containers' interfaces, at most so many bytes of each.
    pub capture: Option<u32>,
    /// Whether bridges are watched too.
    pub watch_bridges: bool,
    /// Bits of [`monitor_common::settings::feature`].
    pub features: u32,
    /// The socket of Docker's engine, if it is on this host.
    pub engine: Option<PathBuf>,
    /// Where locks are kept. All that run on one host must use the same.
    pub state_dir: PathBuf,
    /// Where programs and maps are pinned for the next one to go on with, if they are.
    pub pin: Option<Pin>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attach: None,
            max_flows: 65_536,
            max_drops: MOST_DROPS,
            max_interfaces: 1_024,
            tick: Duration::from_secs(1),
            sample_every: 0,
            capture: None,
            watch_bridges: true,
            features: feature::DEFAULT,
            engine: None,
            state_dir: PathBuf::from("/run/vethwatch"),
            pin: None,
        }
    }
}

/// Why the collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process may not do it. Nothing was touched.
    #[error("not permitted: {} missing; run it as root", missing.join(", "))]
    NotPermitted {
        /// The capabilities that are missing.
        missing: Vec<&'static str>,
    },
    /// The kernel lacks something.
    #[error("{what}; {todo}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do about it.
        todo: String,
    },
    /// Anything else.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        let refused = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.raw_os_error() == Some(libc::EPERM))
        };
        // All capabilities, but only those of a user namespace.
        if error.chain().any(refused) {
            Self::NotPermitted { missing: vec!["the capabilities of the host's own user namespace"] }
        } else {
            Self::Failed(error)
        }
    }
}

/// A running collector. Dropping it stops it.
pub struct Collector {
    modes: Modes,
    attacher: Arc<Attacher>,
    asks: Asks,
    links: Worker,
    drain: Worker,
    /// Rung when no more generations are to be ended but the last.
    hold_drain: Bell,
    ring: Worker,
    conntrack: Worker,
    names: Option<Worker>,
    capture: Option<Worker>,
    captured: Option<Receiver<Captured>>,
    settled: Arc<AtomicU64>,
}

/// A thread and how to stop it.
#[derive(Debug)]
struct Worker {
    stop: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(name: &str, run: impl FnOnce(&Bell) + Send + 'static, stop: Bell) -> io::Result<Self> {
        let bell = stop.clone();
        let thread = Builder::new().name(name.into()).spawn(move || run(&bell))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    fn stop(&mut self) {
        self.stop.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a thread of the collector panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Collector {
    /// Loads the programs and opens all that needs a right. No thread is started: the process may hand over what it needs
    /// from then on, and give up its rights, before it starts what was prepared.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn prepare(settings: Settings) -> Result<(Prepared, Rights), StartError> {
        Prepared::new(settings)
    }

    /// Prepares and begins at once.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(settings: Settings, out: Sender<Observation>) -> Result<Self, StartError> {
        let (prepared, rights) = Self::prepare(settings)?;
        prepared.start(rights.call(), out)
    }

    /// How it usually attaches to a device; each [`Observation::Attached`] says it of its own.
    #[must_use]
    pub fn mode(&self) -> AttachMode {
        self.modes.usual
    }

    /// Where captured packets come, if any are. It can be taken once, and has to be read until it ends.
    pub fn take_captured(&mut self) -> Option<Receiver<Captured>> {
        self.captured.take()
    }

    /// Where whoever takes the flows says how many of them, since the start, it has done with. The others are unsure if this
    /// process is killed; where nobody says so, all are.
    #[must_use]
    pub fn settled(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.settled)
    }

    /// Where questions can be asked.
    #[must_use]
    pub fn asker(&self) -> Asker {
        self.asks.asker()
    }

    /// Takes the programs off everything unless they are to stay, hands over what was counted to the end, and joins the threads. The
    /// receiver should go on receiving meanwhile; if it does not, what it did not take is lost.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // First no more packets are counted, then the rest is handed over, as one generation; the losses last.
        self.hold_drain.ring();
        self.links.stop();
        self.asks.stop();
        if let Some(capture) = &mut self.capture {
            capture.stop();
        }
        self.ring.stop();
        if let Some(names) = &mut self.names {
            names.stop();
        }
        self.conntrack.stop();
        self.drain.stop();
        if self.attacher.stays() {
            return;
        }
        if let Err(error) = self.attacher.unpin() {
            log::warn!("what is pinned could not be removed: {error}");
        }
        // A clsact qdisc that another of us made and could not remove while we used it.
        if self.modes.unused == AttachMode::Clsact
            && let Err(error) = self.attacher.remove_leftovers()
        {
            log::warn!("leftovers could not be looked for: {error}");
        }
    }
}

/// Whether it can work here, and how it attaches. Changes nothing.
fn check(settings: &Settings) -> Result<Modes, StartError> {
    let probe::Capabilities { missing, .. } = probe::capabilities();
    if !missing.is_empty() {
        return Err(StartError::NotPermitted { missing });
    }
    let kernel = probe::kernel();
    if !kernel.is_supported() {
        return Err(StartError::Unsupported {
            what: format!("this kernel is {}", kernel.release),
            todo: "Linux 5.15 or newer is needed".into(),
        });
    }
    match (settings.attach, probe::has_tcx()) {
        (Some(AttachMode::Tcx), false) => Err(StartError::Unsupported {
            what: "this kernel has no TCX".into(),
            todo: "attach with clsact, or use Linux 6.6 or newer".into(),
        }),
        (Some(mode), _) => Ok(Modes { usual: mode, unused: mode }),
        (None, true) => Ok(Modes { usual: AttachMode::Tcx, unused: AttachMode::Clsact }),
        (None, false) => Ok(Modes { usual: AttachMode::Clsact, unused: AttachMode::Clsact }),
    }
}
