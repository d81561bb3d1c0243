//! Docker's side: which containers and networks there are, told as [`Change`]s.
//!
//! The inventory only asks (`GET`) and listens to events; it changes nothing. It never fails: a Docker that is
//! absent, goes away, stalls or answers nonsense is told as a change, and asked again for ever. What it knows and
//! what it has under way is bounded, whatever Docker says.
//!
//! Names come by three ways, the fastest first: a hint that a veth appeared makes the network list its endpoints at
//! once ([`Hint`]); Docker's events; and the lists after a (re)connection, closed by [`Change::Complete`].

mod api;
mod book;
mod chases;
mod clocks;
mod hint;
mod host;
mod keeper;
mod mapping;
mod queries;
mod refusals;
mod relay;
mod session;
mod surroundings;
mod transport;
mod way;

pub use hint::Hint;
pub use host::socket;
pub use relay::relay;
pub use way::Way;

use crate::model::{Change, KernelTime, WallTime};
use clocks::Clocks;
use hint::Hints;
use refusals::Refusals;
use std::sync::Arc;
use std::time::Duration;
use surroundings::Surroundings;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Where Docker is and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its address (`unix:///path` or `tcp://name:port`); without one, `DOCKER_HOST`, then the current Docker
    /// context, then `/var/run/docker.sock`.
    pub host: Option<String>,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How often Docker is asked whether it is still there.
    pub ping_interval: Duration,
    /// Who connects, where this process may not.
    pub way: Option<Way>,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { host: None, request_timeout: seconds(5), ping_interval: seconds(5), way: None }
    }
}

/// Where Docker is by these settings, for a person.
///
/// # Errors
/// Why it is not known.
pub fn host(settings: &Settings) -> Result<String, String> {
    host::find(settings.host.as_deref()).map(|host| host.to_string()).map_err(|error| error.to_string())
}

/// The running inventory.
pub struct Inventory {
    keeper: JoinHandle<()>,
    hint: Hint,
}

impl Inventory {
    /// Starts to ask and to tell. `now` and `wall_now` read the two clocks; Docker stamps its events with the
    /// latter. Must be called inside a tokio runtime. It ends when nobody receives the changes any more.
    #[must_use]
    pub fn start(
        settings: Settings,
        out: mpsc::Sender<Change>,
        now: fn() -> KernelTime,
        wall_now: fn() -> WallTime,
    ) -> Self {
        let hints = Arc::new(Hints::default());
        let hint = Hint::new(Arc::clone(&hints));
        let clocks = Clocks { now, wall_now };
        let around = Surroundings { out, hints, clocks, refusals: Refusals::default() };
        Self { keeper: tokio::spawn(keeper::keep(settings, around)), hint }
    }

    /// For who sees veths appear.
    #[must_use]
    pub fn hint(&self) -> Hint {
        self.hint.clone()
    }

    /// Closes the connections and ends.
    pub async fn stop(self) {
        self.keeper.abort();
        // Only an abort or a panic ends it with an error, and neither leaves anything to do.
        self.keeper.await.ok();
    }
}
