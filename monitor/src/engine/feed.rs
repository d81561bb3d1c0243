//! By which anybody follows the engine, without keeping it alive.

use super::subscribers::{Filter, Subscription};
use super::task::Command;
use crate::policy::{Answer, Asked};
use crate::snapshot::{Interval, Record, Snapshot};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{mpsc, oneshot, watch};

/// What the engine gives out. Clones are for the same engine.
#[derive(Clone, Debug)]
pub struct Feed {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::WeakSender<Command>,
}

impl Feed {
    pub(super) fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        commands: mpsc::WeakSender<Command>,
    ) -> Self {
        Self { snapshots, commands }
    }

    /// Snapshots, a new one each time the totals were read and soon after anything notable. The channel closes when
    /// the engine has ended.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Records from now on, through a queue of this subscriber's own. The queue ends when the engine has ended (or
    /// when 64 other commands wait for it).
    #[must_use]
    pub fn subscribe(&self, filter: Filter) -> mpsc::Receiver<Record> {
        self.subscribe_for_now(filter).0
    }

    /// The same, for who may go on through another queue later.
    #[must_use]
    pub fn subscribe_for_now(&self, filter: Filter) -> (mpsc::Receiver<Record>, Subscription) {
        let (queue, records) = filter.queue();
        let subscription = Subscription::of(&queue);
        // A refused command drops the queue's sender, which the reader sees as its end.
        self.send(Command::Subscribe(filter, queue));
        (records, subscription)
    }

    /// Records from where another subscription ends, which is now: no record is in both queues, and none in neither,
    /// but for open findings, which the new one is told again if it wants them. Waits until that is so.
    pub async fn go_on(
        &self,
        before: &Subscription,
        filter: Filter,
    ) -> (mpsc::Receiver<Record>, Subscription) {
        let (queue, records) = filter.queue();
        let subscription = Subscription::of(&queue);
        // An engine that has ended drops what it is sent, and both queues have ended with it.
        if let Some(commands) = self.commands.upgrade() {
            let (done, is_done) = oneshot::channel();
            drop(commands.send(Command::Replace(before.clone(), filter, queue, done)).await);
            // While this waits, it is no reason for the engine to live.
            drop(commands);
            drop(is_done.await);
        }
        (records, subscription)
    }

    /// Answers about two ends from now on: after each tick, by what was seen until then. Nothing is answered before the
    /// first tick; the channel closes when the engine has ended (or when 16 others ask).
    #[must_use]
    pub fn inquire(&self, asked: Asked) -> watch::Receiver<Option<Arc<Answer>>> {
        let (answers, told) = watch::channel(None);
        // A refused command drops the sender, which the reader sees as its end.
        self.send(Command::Inquire(asked, answers));
        told
    }

    /// What is kept of the last hour, the oldest first; nothing if the engine has ended.
    pub async fn history(&self) -> Vec<Arc<Interval>> {
        let Some(commands) = self.commands.upgrade() else { return Vec::new() };
        let (to, told) = oneshot::channel();
        drop(commands.send(Command::History(to)).await);
        // While this waits, it is no reason for the engine to live.
        drop(commands);
        told.await.unwrap_or_default()
    }

    /// Has a loss that the caller counts, since the start, told in every snapshot from the next one on.
    pub async fn count_losses(&self, name: &'static str, counter: Arc<AtomicU64>) {
        if let Some(commands) = self.commands.upgrade() {
            // An engine that has ended makes no more snapshots.
            drop(commands.send(Command::CountLosses(name, counter)).await);
        }
    }

    /// A command that the engine does not take is dropped, and with it what it would answer through.
    fn send(&self, command: Command) {
        if let Some(commands) = self.commands.upgrade() {
            drop(commands.try_send(command));
        }
    }
}
