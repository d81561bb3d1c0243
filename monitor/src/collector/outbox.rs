//! The way to the engine, for threads that may wait and for threads that must not.

use super::losses::{Lost, OwnLosses};
use super::wake::Bell;
use crate::model::Observation;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// How long a waiting sender sleeps before it looks again whether the engine has made room.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// How many times it looks once the collector is being stopped.
const LOOKS_AT_STOP: u32 = 100;
/// The most observations that wait for room; far more than links that can change while the engine is busy.
const LONGEST_BACKLOG: usize = 65_536;

/// For the drain thread: waits for the engine.
#[derive(Debug)]
pub(super) struct Waiting {
    out: Sender<Observation>,
    stop: Bell,
    /// Looks that are left once stopping; for all observations together.
    looks: Cell<u32>,
}

impl Waiting {
    /// Waits no longer than it must once `stop` rings.
    pub(super) fn new(out: Sender<Observation>, stop: Bell) -> Self {
        Self { out, stop, looks: Cell::new(LOOKS_AT_STOP) }
    }

    /// Sends. `false`: nobody listens any more, or not in the little time there is when stopping.
    pub(super) fn send(&self, observation: Observation) -> bool {
        let mut observation = observation;
        loop {
            match self.out.try_send(observation) {
                Ok(()) => return true,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(back)) => observation = back,
            }
            if self.stop.wait(LOOK_AGAIN) {
                let Some(left) = self.looks.get().checked_sub(1) else { return false };
                self.looks.set(left);
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

/// For the thread that attaches: keeps what the engine has no room for, in order, and never waits.
#[derive(Debug)]
pub(super) struct Backlog {
    out: Sender<Observation>,
    waiting: VecDeque<Observation>,
    losses: Arc<OwnLosses>,
}

impl Backlog {
    /// An empty one.
    pub(super) fn new(out: Sender<Observation>, losses: Arc<OwnLosses>) -> Self {
        Self { out, waiting: VecDeque::new(), losses }
    }

    /// Sends now or later.
    pub(super) fn push(&mut self, observation: Observation) {
        if self.waiting.len() < LONGEST_BACKLOG {
            self.waiting.push_back(observation);
        } else {
            self.losses.add(Lost::Observations, 1);
        }
        self.flush();
    }

    /// Sends what there is room for. Whether anything still waits.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(observation) = self.waiting.pop_front() {
            match self.out.try_send(observation) {
                Ok(()) => (),
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
                Err(TrySendError::Full(back)) => {
                    self.waiting.push_front(back);
                    return true;
                }
            }
        }
        false
    }

    /// Sends what waits, in the little time there is when stopping.
    pub(super) fn finish(&mut self) {
        for _ in 0..LOOKS_AT_STOP {
            if !self.flush() {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Resources;
    use tokio::sync::mpsc;

    fn numbered(flips: u64) -> Observation {
        Observation::Resources(Resources { flips, ..Resources::default() })
    }

    #[test]
    fn a_backlog_keeps_the_order_and_never_waits() {
        let (out, mut engine) = mpsc::channel(1);
        let mut backlog = Backlog::new(out, Arc::default());
        (0..3).for_each(|number| backlog.push(numbered(number)));
        for number in 0..3 {
            assert_eq!(engine.try_recv(), Ok(numbered(number)));
            assert_eq!(backlog.flush(), number == 0);
        }
    }

    #[test]
    fn a_backlog_without_an_engine_is_empty() {
        let (out, engine) = mpsc::channel(1);
        drop(engine);
        let mut backlog = Backlog::new(out, Arc::default());
        backlog.push(numbered(0));
        assert!(!backlog.flush());
    }

    #[test]
    fn a_full_engine_does_not_hold_up_the_stop() {
        let (out, _engine) = mpsc::channel(1);
        let stop = Bell::new().unwrap();
        let waiting = Waiting::new(out, stop.clone());
        assert!(waiting.send(numbered(0)));
        stop.ring();
        assert!(!waiting.send(numbered(1)));
    }

    #[test]
    fn a_waiting_sender_waits_for_room() {
        let (out, mut engine) = mpsc::channel(1);
        let waiting = Waiting::new(out, Bell::new().unwrap());
        assert!(waiting.send(numbered(0)));
        let sender = std::thread::spawn(move || waiting.send(numbered(1)));
        assert_eq!(engine.blocking_recv(), Some(numbered(0)));
        assert_eq!(engine.blocking_recv(), Some(numbered(1)));
        assert!(sender.join().unwrap());
    }
}
