//! The task that owns the engine's state.

use super::asks::Ask;
use super::state::{Publish, State};
use super::subscribers::{Filter, Subscription};
use super::tap::Tap;
use crate::model::{Change, KernelTime, Observation, Step};
use crate::policy::file::Policy;
use crate::policy::{Answer, Asked};
use crate::snapshot::{Interval, Record, Snapshot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// The most observations, and the most changes, that are taken in at once.
const BATCH: usize = 4_096;
/// Batches that are taken in at the end, at most.
const LAST_ROUNDS: usize = 16;
/// How often time alone is looked after, and what is notable is published.
const HOUSEKEEPING: Duration = Duration::from_millis(50);

/// What a handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    /// Add a reader.
    Subscribe(Filter, mpsc::Sender<Record>),
    /// Add a reader in place of another one; the last is dropped when that is done.
    Replace(Subscription, Filter, mpsc::Sender<Record>, oneshot::Sender<()>),
    /// Add somebody who asks about two ends.
    Inquire(Asked, watch::Sender<Option<Arc<Answer>>>),
    /// Judge by other rules.
    JudgeBy(Arc<Policy>),
    /// Tell this loss, which somebody else counts, with ours.
    CountLosses(&'static str, Arc<AtomicU64>),
    /// Say there how many flows do not wait, after whatever may change it.
    SaySettled(Arc<AtomicU64>),
    /// Tell what is kept of the last hour.
    History(oneshot::Sender<Vec<Arc<Interval>>>),
    /// End.
    Stop,
}

/// The task's channels.
pub(super) struct Task {
    pub(super) state: State,
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) observations: mpsc::Receiver<Observation>,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) published: watch::Sender<Arc<Snapshot>>,
    pub(super) now: fn() -> KernelTime,
    pub(super) tap: Option<Tap>,
    pub(super) counted_outside: Vec<(&'static str, Arc<AtomicU64>)>,
    pub(super) settled: Option<Arc<AtomicU64>>,
}

impl Task {
    /// Runs until it is stopped or the collector ends; the last snapshot has everything that was told.
    pub(super) async fn run(mut self) {
        let mut timer = tokio::time::interval(HOUSEKEEPING);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut told, mut seen) = (Vec::new(), Vec::new());
        let mut publish = Publish::No;
        let mut looked_after = (self.now)();
        let mut inventory_lives = true;
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Subscribe(filter, queue)) => self.state.subscribe(filter, queue),
                    Some(Command::Replace(before, filter, queue, done)) => {
                        self.state.replace(&before, filter, queue);
                        drop(done);
                    }
                    Some(Command::Inquire(asked, answers)) => {
                        self.state.inquire(asked, answers, (self.now)());
                    }
                    Some(Command::JudgeBy(policy)) => {
                        self.state.judge_by(policy, (self.now)());
                        publish = publish.max(Publish::Soon);
                    }
                    Some(Command::CountLosses(name, counter)) => self.counted_outside.push((name, counter)),
                    Some(Command::SaySettled(settled)) => self.settled = Some(settled),
                    // Whoever asked may have gone.
                    Some(Command::History(to)) => drop(to.send(self.state.history())),
                    Some(Command::Stop) | None => break,
                },
                count = self.changes.recv_many(&mut told, BATCH), if inventory_lives => inventory_lives = count > 0,
                count = self.observations.recv_many(&mut seen, BATCH) => if count == 0 { break },
                _ = timer.tick() => {}
            }
            publish = publish.max(self.take_in(&mut told, &mut seen));
            let now = (self.now)();
            if now.since(looked_after) >= HOUSEKEEPING {
                looked_after = now;
                self.look_at_clock();
                self.note(|| Step::Housekeeping(now));
                self.state.housekeeping(now);
                self.ask(now);
                if publish == Publish::Soon {
                    publish = Publish::Now;
                }
            }
            if let Some(settled) = &self.settled {
                settled.store(self.state.settled(), Ordering::Relaxed);
            }
            if publish == Publish::Now {
                publish = Publish::No;
                self.publish();
            }
        }
        // The collector may have ended just before; what it told last is still in the channel.
        for _ in 0..LAST_ROUNDS {
            self.take_in(&mut told, &mut seen);
            if self.observations.is_empty() {
                break;
            }
        }
        let now = (self.now)();
        self.note(|| Step::Finish(now));
        self.state.finish(now);
        self.publish();
    }

    /// Sees whether the wall clock was set.
    fn look_at_clock(&mut self) {
        if let Some(clock) = self.state.settings.clock {
            let (kernel, wall) = clock();
            self.state.clock_is(kernel, wall);
        }
    }

    /// What the tap gets, if there is one.
    fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(tap) = &mut self.tap {
            tap.note(step());
        }
    }

    /// Changes first, then observations: what a container's first packets are named by came before them.
    fn take_in(&mut self, told: &mut Vec<Change>, seen: &mut Vec<Observation>) -> Publish {
        fill(told, &mut self.changes);
        fill(seen, &mut self.observations);
        let mut publish = Publish::No;
        for change in told.drain(..) {
            publish = publish.max(self.change(&change));
        }
        for observation in seen.drain(..) {
            // Changes that came meanwhile may name what this batch carries.
            if matches!(observation, Observation::Flows(_)) {
                fill(told, &mut self.changes);
                for change in told.drain(..) {
                    publish = publish.max(self.change(&change));
                }
            }
            let attached = matches!(observation, Observation::Attached { .. });
            let now = (self.now)();
            self.note(|| Step::Observation { at: now, seen: observation.clone() });
            publish = publish.max(self.state.observe(observation, now));
            if attached {
                // Its first packet may come 38 ms from now.
                self.ask((self.now)());
            }
        }
        publish
    }

    fn change(&mut self, change: &Change) -> Publish {
        self.note(|| Step::Change(change.clone()));
        self.state.change(change)
    }

    fn ask(&mut self, now: KernelTime) {
        for ask in self.state.asks(now) {
            if let Err(mpsc::error::TrySendError::Full(ask)) = self.asks.try_send(ask) {
                self.state.not_asked(&ask);
            }
        }
    }

    fn publish(&mut self) {
        let now = (self.now)();
        self.note(|| Step::Snapshot(now));
        let mut snapshot = self.state.snapshot(now);
        snapshot.losses.add("steps_not_recorded", self.tap.as_ref().map_or(0, Tap::lost));
        for (name, counter) in &self.counted_outside {
            snapshot.losses.add(name, counter.load(Ordering::Relaxed));
        }
        self.published.send_replace(Arc::new(snapshot));
    }
}

fn fill<T>(batch: &mut Vec<T>, channel: &mut mpsc::Receiver<T>) {
    while batch.len() < BATCH {
        let Ok(item) = channel.try_recv() else { return };
        batch.push(item);
    }
}
