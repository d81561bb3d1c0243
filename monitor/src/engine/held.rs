//! Flows that wait for a name: their interface, or the one at the other end, has not been announced yet.

use crate::attribution::Packets;
use crate::flows::Update;
use crate::model::{FlowDelta, KernelTime};
use std::collections::VecDeque;

/// Flows that may wait at once.
const MOST: usize = 8_192;

/// One tick of one flow, counted but not named yet.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) epoch: u64,
    pub(super) tick_start: KernelTime,
    pub(super) tick_end: KernelTime,
    pub(super) delta: FlowDelta,
    pub(super) update: Update,
    pub(super) last: bool,
}

impl Tick {
    /// What of it is to be named.
    pub(super) fn packets(&self) -> Packets {
        Packets {
            key: self.delta.key,
            origin: self.update.origin,
            first: self.delta.first_seen,
            last: self.delta.last_seen,
        }
    }
}

/// The flows that wait, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: VecDeque<(KernelTime, Tick)>,
    /// Flows that had to go without a name because too many waited.
    pub(super) given_up: u64,
}

impl Held {
    /// Lets a flow wait; the one that waited longest comes back if there is no room.
    pub(super) fn push(&mut self, tick: Tick, now: KernelTime) -> Option<Tick> {
        let first = if self.waiting.len() >= MOST { self.waiting.pop_front() } else { None };
        self.given_up += u64::from(first.is_some());
        self.waiting.push_back((now, tick));
        first.map(|(_, tick)| tick)
    }

    /// Takes all out, with the time each came.
    pub(super) fn take(&mut self) -> VecDeque<(KernelTime, Tick)> {
        std::mem::take(&mut self.waiting)
    }

    /// Puts one back that waits on.
    pub(super) fn put_back(&mut self, since: KernelTime, tick: Tick) {
        self.waiting.push_back((since, tick));
    }

    /// How many of them count something.
    pub(super) fn counted(&self) -> usize {
        self.waiting.iter().filter(|(_, tick)| !tick.last).count()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
