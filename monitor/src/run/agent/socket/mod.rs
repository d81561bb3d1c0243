//! The agent's socket: everything else on the host asks it there, over HTTP, without being root.
//!
//! ```text
//! Feed ─Record──▶ ring ─▶ hub ─▶ stream, watch ─lines─▶ connection ─▶ client
//!    └─Snapshot─────────────▶ answers, pictures ──────▶     │
//!                                          request ◀────────┘
//! ```
//!
//! Who may open the file may ask everything. A client has its own connection and, if it wants a stream, its own task;
//! one that is slow misses its own records, and one that takes nothing for too long loses its connection.

mod answers;
mod connection;
mod door;
mod hub;
mod in_time;
mod past;
mod pictures;
mod reply;
mod request;
mod ring;
mod seeds;
mod server;
mod stream;
mod tally;
mod watch;

pub(super) use tally::Tally;

use super::health::Health;
use super::part::{Run, Sight};
use super::processes::Processes;
use crate::collector::clock;
use crate::engine::Feed;
use crate::helper::Helper;
use crate::model::{HostId, KernelTime};
use crate::run::failure::Failure;
use crate::run::protocol::Hello;
use crate::settings;
use crate::snapshot::Snapshot;
use crate::wire::Clock;
use door::Door;
use hub::Hub;
use pictures::Pictures;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;

/// A socket that listens, and who answers there.
#[derive(Debug)]
pub(super) struct Socket {
    wanted: settings::Socket,
    /// Clients that come while one task follows another wait here.
    listener: Arc<UnixListener>,
    /// The file, which goes with the last who has it.
    door: Arc<Door>,
    answering: Option<JoinHandle<()>>,
}

/// What connections answer from.
#[derive(Debug)]
struct Shared {
    hello: Hello,
    clock: Clock,
    feed: Feed,
    snapshots: Receiver<Arc<Snapshot>>,
    docker_told: Receiver<Option<KernelTime>>,
    health: Health,
    hub: Hub,
    pictures: Pictures,
    tally: Arc<Tally>,
    processes: Processes,
}

impl Shared {
    fn new(sight: Sight) -> Self {
        let Sight { feed, health, hello, docker_told, clients, processes, .. } = sight;
        Self {
            clock: Clock::new(KernelTime::default(), hello.booted),
            hello,
            snapshots: feed.snapshots(),
            docker_told,
            health,
            hub: Hub::new(&feed),
            feed,
            pictures: Pictures::new(pictures::MOST),
            tally: clients,
            processes,
        }
    }

    /// The host that is watched.
    const fn host(&self) -> &HostId {
        &self.hello.host
    }

    /// The clock that times are shown by; it follows when the wall clock is set.
    fn clock(&self) -> Clock {
        let mut clock = self.clock;
        clock.update(clock::kernel_now(), clock::wall_now());
        clock
    }
}

impl Run for Socket {
    type Settings = settings::Socket;
    const NAME: &'static str = "socket";

    async fn open(
        wanted: &settings::Socket,
        before: Option<&Self>,
        helper: &Helper,
    ) -> Result<Self, Failure> {
        let is_same = |before: &&Self| before.wanted.path == wanted.path && before.door.is_there();
        let (listener, door) = match before.filter(is_same) {
            Some(before) => {
                before.door.give_to(&wanted.group)?;
                (Arc::clone(&before.listener), Arc::clone(&before.door))
            }
            None => {
                let (listener, door) = Door::open(wanted, helper)?;
                (Arc::new(listener), Arc::new(door))
            }
        };
        Ok(Self { wanted: wanted.clone(), listener, door, answering: None })
    }

    fn is_current(&self) -> bool {
        self.door.is_for(&self.wanted.group)
    }

    fn start(&mut self, sight: Sight) {
        let threads = sight.threads.clone();
        let shared = Arc::new(Shared::new(sight));
        self.answering = Some(threads.spawn(server::serve(Arc::clone(&self.listener), shared)));
    }

    async fn stop(self) {
        if let Some(answering) = self.answering {
            answering.abort();
            // It ends by being told to; there is nothing more to know of it.
            drop(answering.await);
        }
    }

    fn told(&self) -> String {
        format!("the socket is at {}", self.door.path().display())
    }
}

#[cfg(test)]
mod tests;
