//! Who watches for a command: the command itself, or an agent that does so already.

use super::failure::Failure;
use super::logger;
use super::looking::Looker;
use super::remote::{Refusal, Remote};
use super::session::Session;
use crate::capture::Choice;
use crate::collector::Captured;
use crate::engine::Filter;
use crate::model::{HostId, KernelTime, Losses, WallTime};
use crate::settings::{Ask, Settings};
use crate::snapshot::{Answer, Asked, Record, Snapshot};
use anyhow::anyhow;
use nix::unistd::{Gid, Group};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Who watches.
pub(super) enum Source {
    /// This process.
    Own {
        /// All that watches.
        session: Box<Session>,
        /// Time over which rates are taken.
        window: Duration,
    },
    /// An agent.
    Agent(Box<Remote>),
}

impl Source {
    /// An agent, if one is to be asked and answers; else a watch of one's own. With a filter, records are kept from the
    /// first on.
    ///
    /// # Errors
    /// When the agent may not be asked, or as [`Session::start`].
    pub(super) async fn choose(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
        let hint = match &settings.ask {
            Ask::Agent(path) => match Remote::follow(path, filter.clone()).await {
                Ok(remote) => return Ok(Self::Agent(Box::new(remote))),
                Err(Refusal::NotPermitted) if !rustix::process::geteuid().is_root() => {
                    return Err(not_permitted(path));
                }
                Err(Refusal::NotPermitted) => None,
                Err(Refusal::NotThere) => Some(format!("no agent answers at {}", path.display())),
                Err(Refusal::OtherVersion(why) | Refusal::NotWell(why)) => {
                    logger::tell(&format!("{why}: this command watches by itself"));
                    None
                }
            },
            Ask::Because(option) => Some(format!("the agent is not asked because of {option}")),
            Ask::Never => None,
        };
        let own = Self::own(settings, filter).await;
        own.map_err(|failure| match hint {
            Some(hint) if failure.is_not_permitted() => failure.noting(&hint),
            _ => failure,
        })
    }

    /// A watch of one's own, whether there is an agent or not.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub(super) async fn own(settings: &Settings, filter: Option<Filter>) -> Result<Self, Failure> {
        let session = Box::new(Session::start(settings, filter).await?);
        Ok(Self::Own { session, window: settings.window })
    }

    /// The host that is watched.
    pub(super) fn host(&self) -> &HostId {
        match self {
            Self::Own { session, .. } => session.host(),
            Self::Agent(remote) => &remote.hello().host,
        }
    }

    /// The wall clock when the kernel's began, as it was when the watch began.
    pub(super) fn booted(&self) -> WallTime {
        match self {
            Self::Own { session, .. } => session.booted(),
            Self::Agent(remote) => remote.hello().booted,
        }
    }

    /// Time over which rates are taken.
    pub(super) fn window(&self) -> Duration {
        match self {
            Self::Own { window, .. } => *window,
            Self::Agent(remote) => remote.hello().window,
        }
    }

    /// What was seen last before this moment, and what was lost before it, is not this command's.
    pub(super) fn since(&self) -> (KernelTime, Losses) {
        match self {
            Self::Own { .. } => Default::default(),
            Self::Agent(remote) => (remote.since(), remote.losses_before().clone()),
        }
    }

    /// The latest snapshot.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        match self {
            Self::Own { session, .. } => session.snapshot(),
            Self::Agent(remote) => remote.snapshot(),
        }
    }

    /// Waits for the next snapshot.
    ///
    /// # Errors
    /// When none comes any more.
    pub(super) async fn changed(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own { session, .. } => session.changed().await,
            Self::Agent(remote) => remote.changed().await,
        }
    }

    /// Why no snapshots and records come any more.
    pub(super) fn ended(&self) -> Failure {
        match self {
            Self::Own { .. } => anyhow!("the engine ended unexpectedly").into(),
            Self::Agent(remote) => remote.ended(),
        }
    }

    /// Waits until they come again; records are to be taken anew then.
    ///
    /// # Errors
    /// When they never will.
    pub(super) async fn again(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own { .. } => Err(self.ended()),
            Self::Agent(remote) => remote.again().await,
        }
    }

    /// Since when it could be known all that Docker has to tell, or that Docker does not answer.
    pub(super) fn docker_told(&self) -> Option<KernelTime> {
        match self {
            Self::Own { session, .. } => session.docker_told(),
            Self::Agent(remote) => remote.docker_told(),
        }
    }

    /// The records that were asked for; they can be taken once.
    pub(super) fn take_records(&mut self) -> Option<mpsc::Receiver<Record>> {
        match self {
            Self::Own { session, .. } => session.take_records(),
            Self::Agent(remote) => remote.take_records(),
        }
    }

    /// The packets that are captured, if any are; they can be taken once. An agent captures none.
    pub(super) fn take_captured(&mut self) -> Option<mpsc::Receiver<Captured>> {
        match self {
            Self::Own { session, .. } => session.take_captured(),
            Self::Agent(_) => None,
        }
    }

    /// Captures at an interface, or does so no more.
    pub(super) fn capture(&self, choice: Choice) {
        if let Self::Own { session, .. } = self {
            session.capture(choice.ifindex, choice.on);
        }
    }

    /// Answers about two ends, after each tick from now on. An agent answers none: the channel is closed.
    pub(super) fn inquire(&self, asked: Asked) -> watch::Receiver<Option<Arc<Answer>>> {
        match self {
            Self::Own { session, .. } => session.inquire(asked),
            Self::Agent(_) => watch::channel(None).1,
        }
    }

    /// Who keeps what was.
    pub(super) fn looker(&self) -> Looker {
        match self {
            Self::Own { session, .. } => Looker::Own(session.feed()),
            Self::Agent(remote) => Looker::Agent(remote.path().to_owned()),
        }
    }

    /// Ends the watch for this command: all that was counted until now is told, then the records end.
    ///
    /// # Errors
    /// When stopping ran into a fault.
    pub(super) async fn stop_collecting(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own { session, .. } => session.stop_collecting().await,
            Self::Agent(remote) => {
                remote.stop_following().await;
                Ok(())
            }
        }
    }

    /// Stops everything and gives back the last snapshot.
    ///
    /// # Errors
    /// When stopping ran into a fault, or a recording is not complete.
    pub(super) async fn stop(self) -> Result<Arc<Snapshot>, Failure> {
        match self {
            Self::Own { session, .. } => session.stop().await,
            Self::Agent(mut remote) => Ok(remote.snapshot()),
        }
    }
}

/// What to do where the file may not be opened.
pub(super) fn not_permitted(path: &Path) -> Failure {
    let group = std::fs::metadata(path)
        .ok()
        .map(|file| Gid::from_raw(file.gid()))
        .filter(|group| group.as_raw() != 0);
    // A group without a name is told by its number.
    let name =
        |group: Gid| Group::from_gid(group).ok().flatten().map_or(group.to_string(), |group| group.name);
    let todo = match group.map(name) {
        Some(group) => format!("join group {group} and log in again, or run it as root"),
        None => "only root may ask it; see --socket-group of the agent".to_owned(),
    };
    anyhow!("not permitted to ask the agent at {}: {todo}", path.display()).into()
}
