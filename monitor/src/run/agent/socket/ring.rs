//! Hands the engine's records to any number of clients, at the cost of one reader.
//!
//! All clients read one ring: what a slow one keeps waiting is bounded whatever their number, and only it loses what
//! is overwritten. The engine is read only while somebody reads here.

use crate::engine::{Feed, Filter, Topic};
use crate::snapshot::Record;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often it is looked whether anybody still reads.
const LOOK: Duration = Duration::from_secs(1);

/// What is handed out.
#[derive(Clone, Debug)]
struct Slot {
    /// How many records there were until then since the ring began: this one, and those that there was no room for
    /// before they came here. From its steps every client sees what it missed, for whatever reason.
    number: u64,
    /// Absent where only what was lost is told.
    record: Option<Record>,
}

/// The records of one topic, while they are read.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    feed: Feed,
    topic: Topic,
    room: usize,
    /// Absent while nobody reads.
    running: Arc<Mutex<Option<Running>>>,
}

/// A ring that is read.
#[derive(Debug)]
pub(super) struct Running {
    slots: Sender<Slot>,
    /// That of the latest slot.
    number: u64,
    /// Records that did not come here, as far as the engine has told.
    lost: u64,
}

/// A client's place in a ring.
#[derive(Debug)]
pub(super) struct Listener {
    slots: Receiver<Slot>,
    /// The number of the slot that it had last.
    number: u64,
}

/// How many records were missed, and the one after them.
pub(super) type Told = (u64, Option<Record>);

impl Ring {
    /// Of a topic, with room for so many records.
    pub(super) fn new(feed: Feed, topic: Topic, room: usize) -> Self {
        Self { feed, topic, room, running: Arc::default() }
    }

    /// Records from now on.
    pub(super) fn listen(&self) -> Listener {
        let mut running = self.running();
        if let Some(running) = &*running {
            return running.listen();
        }
        let begun = Running::with_room(self.room);
        let listener = begun.listen();
        *running = Some(begun);
        let filter = Filter { topic: self.topic, include_bridges: true, ..Filter::default() };
        tokio::spawn(self.clone().hand_out(self.feed.subscribe(filter)));
        listener
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out records until nobody reads them or the engine ends.
    async fn hand_out(self, mut records: mpsc::Receiver<Record>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                record = records.recv() => match (record, &mut *self.running()) {
                    (Some(record), Some(running)) => running.take(record),
                    _ => break,
                },
                _ = look.tick() => {
                    let mut running = self.running();
                    if running.as_ref().is_none_or(|running| running.slots.receiver_count() == 0) {
                        *running = None;
                        return;
                    }
                }
            }
        }
        *self.running() = None;
    }
}

impl Running {
    /// With room for so many slots.
    pub(super) fn with_room(room: usize) -> Self {
        Self { slots: broadcast::channel(room).0, number: 0, lost: 0 }
    }

    /// Begins after the latest slot.
    pub(super) fn listen(&self) -> Listener {
        Listener { slots: self.slots.subscribe(), number: self.number }
    }

    /// Hands out a record, or what was lost.
    pub(super) fn take(&mut self, record: Record) {
        let record = if let Record::Lost(lost) = record {
            self.number += lost.saturating_sub(self.lost);
            self.lost = lost;
            None
        } else {
            self.number += 1;
            Some(record)
        };
        // It is looked elsewhere whether anybody reads it.
        drop(self.slots.send(Slot { number: self.number, record }));
    }
}

impl Listener {
    /// Waits for what comes next; nothing when the engine has ended.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            match self.slots.recv().await {
                Ok(slot) => return Some(self.step_to(slot)),
                // How many records that were tells the number of the next slot.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What is there already.
    pub(super) fn another(&mut self) -> Option<Told> {
        loop {
            match self.slots.try_recv() {
                Ok(slot) => return Some(self.step_to(slot)),
                Err(TryRecvError::Lagged(_)) => {}
                // That it is closed is told to whoever waits.
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn step_to(&mut self, slot: Slot) -> Told {
        let before = std::mem::replace(&mut self.number, slot.number);
        let missed = slot.number - before - u64::from(slot.record.is_some());
        (missed, slot.record)
    }
}
