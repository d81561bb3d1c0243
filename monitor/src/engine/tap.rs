//! A copy of what the engine takes in, for whoever records it. The engine never waits: what finds no room is a loss,
//! and with the first one the copy ends, because steps behind a gap would tell another story.

use crate::model::{KernelTime, Observation, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What may wait to be recorded, by weight: 65,536 flows are about 20 MB.
const ROOM: u32 = 65_536;

/// The engine's end.
#[derive(Debug)]
pub struct Tap {
    started: KernelTime,
    steps: Option<UnboundedSender<Tapped>>,
    room: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
}

/// The other end.
#[derive(Debug)]
pub struct Tapping {
    steps: UnboundedReceiver<Tapped>,
    lost: Arc<AtomicU64>,
}

/// A step, and the room that it takes.
#[derive(Debug)]
struct Tapped {
    step: Step,
    _room: OwnedSemaphorePermit,
}

impl Tap {
    /// A tap on an engine that starts at `started`.
    #[must_use]
    pub fn new(started: KernelTime) -> (Self, Tapping) {
        let (sender, steps) = mpsc::unbounded_channel();
        let lost = Arc::new(AtomicU64::new(0));
        let room = Arc::new(Semaphore::new(ROOM as usize));
        (Self { started, steps: Some(sender), room, lost: Arc::clone(&lost) }, Tapping { steps, lost })
    }

    /// When the engine starts.
    pub(super) fn started(&self) -> KernelTime {
        self.started
    }

    /// Hands over a step, or counts it as lost.
    pub fn note(&mut self, step: Step) {
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight(&step));
        let noted = match (&self.steps, room) {
            (Some(steps), Ok(room)) => steps.send(Tapped { step, _room: room }).is_ok(),
            _ => false,
        };
        if !noted {
            self.steps = None;
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Steps that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Tapping {
    /// Steps that were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Iterator for Tapping {
    type Item = Step;

    /// The next step; waits for it on this thread. `None` when the engine has ended, or a step was lost.
    fn next(&mut self) -> Option<Step> {
        self.steps.blocking_recv().map(|tapped| tapped.step)
    }
}

/// How much room a step takes: one for each thing in it.
fn weight(step: &Step) -> u32 {
    let Step::Observation { seen, .. } = step else { return 1 };
    let things = match seen {
        Observation::Flows(batch) => batch.flows.len(),
        Observation::Totals(readings) => readings.len(),
        Observation::Drops(batch) => batch.drops.len(),
        Observation::Claims(claims) => claims.len(),
        Observation::Failures(signs) => signs.len(),
        Observation::Names(told) => told.len(),
        Observation::Translations(changes) => changes.len(),
        Observation::Host(host) => host.addresses.len() + host.devices.len(),
        _ => 0,
    };
    u32::try_from(things).unwrap_or(ROOM).clamp(1, ROOM)
}

#[cfg(test)]
mod tests {
    use super::{ROOM, Tap};
    use crate::model::{KernelTime, Step};

    #[test]
    fn what_finds_no_room_is_counted_and_nothing_is_copied_behind_the_gap() {
        let (mut tap, mut tapping) = Tap::new(KernelTime(1));
        for number in 0..u64::from(ROOM) {
            tap.note(Step::Housekeeping(KernelTime(number)));
        }
        assert_eq!((tap.lost(), tapping.next()), (0, Some(Step::Housekeeping(KernelTime(0)))));
        let more = u64::from(ROOM);
        (more..more + 3).for_each(|number| tap.note(Step::Housekeeping(KernelTime(number))));
        assert_eq!(tapping.lost(), 2);
        let copied = tapping.last();
        assert_eq!(copied, Some(Step::Housekeeping(KernelTime(more))));
    }
}
