//! An agent that watches already, as a command follows it.

mod connect;
mod follow;
mod lines;
mod past;

pub(super) use connect::Refusal;
pub(super) use past::past;

use super::failure::Failure;
use super::protocol::{Hello, Message};
use crate::collector::clock;
use crate::engine::Filter;
use crate::model::{KernelTime, Losses};
use crate::snapshot::{Record, Snapshot};
use anyhow::anyhow;
use connect::connect;
use follow::{Follower, Queue, first};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Records that may wait for the command: all of a busy tick come at once.
const RECORDS: usize = 65_536;
/// An agent that says nothing for so long, beside some ticks, is taken for stuck.
const SILENCE: Duration = Duration::from_secs(10);
/// Readings after which all is told that was counted before.
const READINGS: u64 = 2;
/// But it is not waited longer for them.
const LONGEST: Duration = Duration::from_secs(5);
/// How often an agent that has ended is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// An agent that is followed.
#[derive(Debug)]
pub(super) struct Remote {
    path: PathBuf,
    filter: Option<Filter>,
    hello: Hello,
    since: KernelTime,
    losses_before: Losses,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    docker_told: watch::Receiver<Option<KernelTime>>,
    records: Option<mpsc::Receiver<Record>>,
    follower: Following,
    why: Arc<OnceLock<String>>,
    next_try: Instant,
}

/// A task that ends with this.
#[derive(Debug)]
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Remote {
    /// Begins to follow an agent; with a filter, records are kept from now on.
    ///
    /// # Errors
    /// When there is none, or it refuses.
    pub(super) async fn follow(path: &Path, filter: Option<Filter>) -> Result<Self, Refusal> {
        let mut lines = connect(path, filter.as_ref()).await?;
        let since = clock::kernel_now();
        let begun = async {
            let hello = first(&mut lines, |message| match message {
                Message::Hello(hello) => Some(hello),
                Message::Snapshot { .. } | Message::Record(_) => None,
            });
            let hello = hello.await?;
            let snapshot = first(&mut lines, |message| match message {
                Message::Snapshot { docker_told, snapshot } => Some((docker_told, snapshot)),
                Message::Hello(_) | Message::Record(_) => None,
            });
            Ok::<_, String>((hello, snapshot.await?))
        };
        let begun = tokio::time::timeout(SILENCE, begun).await;
        let (hello, (told, snapshot)) = begun
            .unwrap_or_else(|_| Err("it says nothing".to_owned()))
            .map_err(|why| Refusal::NotWell(format!("the agent at {}: {why}", path.display())))?;
        let (to, records) = filter.is_some().then(|| mpsc::channel(RECORDS)).unzip();
        let (said, snapshots) = watch::channel(Arc::clone(&snapshot));
        let (docker, docker_told) = watch::channel(told);
        let why = Arc::default();
        let follower = Follower {
            snapshots: said,
            docker_told: docker,
            records: Queue::new(to),
            why: Arc::clone(&why),
            silence: SILENCE + hello.tick * 3,
        };
        Ok(Self {
            path: path.to_owned(),
            filter,
            hello,
            since,
            losses_before: snapshot.losses.clone(),
            snapshots,
            docker_told,
            records,
            follower: Following(tokio::spawn(follower.follow(lines))),
            why,
            next_try: Instant::now(),
        })
    }

    /// Where its socket is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it said of itself.
    pub(super) const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Since when it is followed.
    pub(super) const fn since(&self) -> KernelTime {
        self.since
    }

    /// What it had lost before.
    pub(super) const fn losses_before(&self) -> &Losses {
        &self.losses_before
    }

    /// The latest snapshot.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow_and_update())
    }

    /// Waits for the next snapshot.
    ///
    /// # Errors
    /// When nothing more comes.
    pub(super) async fn changed(&mut self) -> Result<(), Failure> {
        match self.snapshots.changed().await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended()),
        }
    }

    /// Why nothing more comes.
    pub(super) fn ended(&self) -> Failure {
        let why = self.why.get().map_or("it has ended", String::as_str);
        anyhow!("the agent at {}: {why}", self.path.display()).into()
    }

    /// Since when the agent could know all that Docker has to tell.
    pub(super) fn docker_told(&self) -> Option<KernelTime> {
        *self.docker_told.borrow()
    }

    /// The records that were asked for; they can be taken once.
    pub(super) fn take_records(&mut self) -> Option<mpsc::Receiver<Record>> {
        self.records.take()
    }

    /// Waits until all is told that was counted until now, and follows no longer.
    pub(super) async fn stop_following(&mut self) {
        let enough = self.snapshots.borrow_and_update().resources.flips + READINGS;
        let told = async {
            while self.snapshots.changed().await.is_ok() {
                if self.snapshots.borrow_and_update().resources.flips >= enough {
                    return;
                }
            }
        };
        // What is not told in time is not in what was asked for.
        tokio::time::timeout(LONGEST, told).await.ok();
        self.follower.0.abort();
    }

    /// Waits until the agent, or another one in its place, is there again.
    ///
    /// # Errors
    /// When that is of another version.
    pub(super) async fn again(&mut self) -> Result<(), Failure> {
        loop {
            sleep_until(self.next_try).await;
            self.next_try = Instant::now() + AGAIN;
            match Self::follow(&self.path, self.filter.clone()).await {
                Ok(again) => {
                    *self = again;
                    return Ok(());
                }
                Err(Refusal::OtherVersion(why)) => return Err(anyhow!("{why}").into()),
                // It may be about to begin.
                Err(Refusal::NotThere | Refusal::NotPermitted | Refusal::NotWell(_)) => {}
            }
        }
    }
}
