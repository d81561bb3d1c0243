//! What is told of conversations and waits until their flows are in.

use crate::model::KernelTime;
use std::collections::VecDeque;

/// How many may wait.
const MOST: usize = 8_192;

/// What waits, the first first.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    queue: VecDeque<(KernelTime, T)>,
    /// What one counts for.
    count: fn(&T) -> u64,
    /// What was told of containers and belongs to no conversation that is known.
    pub(super) not_booked: u64,
}

impl<T> Waiting<T> {
    pub(super) fn new(count: fn(&T) -> u64) -> Self {
        Self { queue: VecDeque::new(), count, not_booked: 0 }
    }

    /// Takes in a tick's, which come before its flows.
    pub(super) fn take(&mut self, told: Vec<T>, now: KernelTime) {
        for one in told {
            if self.queue.len() >= MOST
                && let Some((_, first)) = self.queue.pop_front()
            {
                self.give_up(&first);
            }
            self.queue.push_back((now, one));
        }
    }

    /// All that waits, to be looked at once; who is not done with one puts it back.
    pub(super) fn look(&mut self) -> VecDeque<(KernelTime, T)> {
        std::mem::take(&mut self.queue)
    }

    /// It waits on.
    pub(super) fn put_back(&mut self, since: KernelTime, one: T) {
        self.queue.push_back((since, one));
    }

    /// It has waited long enough.
    pub(super) fn give_up(&mut self, one: &T) {
        self.not_booked += (self.count)(one);
    }
}
