//! A part of the agent: it runs with settings of its own, and is replaced when these change.

use super::health::Health;
use super::processes::Processes;
use super::socket::Tally;
use crate::engine::Feed;
use crate::export::Reload;
use crate::helper::Helper;
use crate::model::KernelTime;
use crate::run::failure::Failure;
use crate::run::protocol::Hello;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What every part follows.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) feed: Feed,
    pub(super) health: Health,
    /// How the latest reading of the settings went.
    pub(super) reloads: watch::Receiver<Reload>,
    /// What is to be known of the watch.
    pub(super) hello: Hello,
    /// Since when it could be known all that Docker has to tell.
    pub(super) docker_told: watch::Receiver<Option<KernelTime>>,
    /// How the clients of the socket fare.
    pub(super) clients: Arc<Tally>,
    /// What the agent's processes may do.
    pub(super) processes: Processes,
    /// Records that could not be written, since the start.
    pub(super) not_written: Arc<AtomicU64>,
    /// Where everything is done that clients ask for.
    pub(super) threads: Handle,
}

/// What a part does.
pub(super) trait Run: Sized {
    /// How it is asked to be.
    type Settings: Clone + PartialEq;
    /// What it is called in messages.
    const NAME: &'static str;

    /// Has the helper take what it needs from outside: an address, a file. `before` runs on meanwhile, and after that if this fails;
    /// what both of them need is taken over from it.
    async fn open(wanted: &Self::Settings, before: Option<&Self>, helper: &Helper) -> Result<Self, Failure>;

    /// Sees to it that `next` goes on where this ends, before it does.
    async fn hand_over(&self, _next: &mut Self, _feed: &Feed) {}

    /// Whether what it took from outside still is what was asked for.
    fn is_current(&self) -> bool {
        true
    }

    /// Begins its work. By now nothing runs that was before.
    fn start(&mut self, sight: Sight);

    /// Ends its work.
    async fn stop(self);

    /// Where it can be found, as a message.
    fn told(&self) -> String;
}

/// A part, or that it is not wanted.
#[derive(Debug)]
pub(super) struct Part<R: Run> {
    wanted: Option<R::Settings>,
    running: Option<R>,
}

impl<R: Run> Part<R> {
    /// Opened, not yet started.
    ///
    /// # Errors
    /// When something that it needs is not to be had.
    pub(super) async fn open(wanted: Option<&R::Settings>, helper: &Helper) -> Result<Self, Failure> {
        let running = match wanted {
            Some(wanted) => Some(R::open(wanted, None, helper).await?),
            None => None,
        };
        Ok(Self { wanted: wanted.cloned(), running })
    }

    /// Starts it; gives back where it can be found.
    pub(super) fn start(&mut self, sight: &Sight) -> Option<String> {
        let running = self.running.as_mut()?;
        running.start(sight.clone());
        Some(running.told())
    }

    /// Changes to other settings; gives back what there is now, unless it is what there was.
    ///
    /// # Errors
    /// When something that it needs is not to be had: what ran before runs on.
    pub(super) async fn change(
        &mut self,
        wanted: Option<&R::Settings>,
        sight: &Sight,
        helper: &Helper,
    ) -> Result<Option<String>, Failure> {
        if self.wanted.as_ref() == wanted && self.running.as_ref().is_none_or(R::is_current) {
            return Ok(None);
        }
        let new = match wanted {
            Some(wanted) => Some(R::open(wanted, self.running.as_ref(), helper).await?),
            None => None,
        };
        let before = std::mem::replace(&mut self.running, new);
        self.wanted = wanted.cloned();
        if let Some(before) = before {
            if let Some(next) = &mut self.running {
                before.hand_over(next, &sight.feed).await;
            }
            before.stop().await;
        }
        Ok(Some(self.start(sight).unwrap_or_else(|| format!("no {} any more", R::NAME))))
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        if let Some(running) = self.running {
            running.stop().await;
        }
    }
}
