//! "A veth appeared under this bridge": hints from who watches the links, so that the name is asked for at once.

use crate::model::{KernelTime, SafeText};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The longest name of a network device.
const LONGEST_NAME: usize = 15;
/// The most bridges that wait to be looked at.
const MOST_BRIDGES: usize = 2_048;

/// Hints that were not taken yet.
#[derive(Default)]
pub(super) struct Hints {
    waiting: Mutex<BTreeMap<SafeText, Hinted>>,
    some: Notify,
}

/// What was hinted of one bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hinted {
    /// When the first of them came.
    pub(super) at: KernelTime,
    /// How many came.
    pub(super) veths: u32,
}

impl Hints {
    /// Waits for hints and takes all of them, by bridge.
    pub(super) async fn take(&self) -> BTreeMap<SafeText, Hinted> {
        loop {
            let hints = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !hints.is_empty() {
                return hints;
            }
            self.some.notified().await;
        }
    }
}

/// Gives hints to the inventory. Never waits; hints about one bridge that come together are one.
#[derive(Clone)]
pub struct Hint {
    hints: Arc<Hints>,
    now: fn() -> KernelTime,
}

impl Hint {
    pub(super) fn new(hints: Arc<Hints>, now: fn() -> KernelTime) -> Self {
        Self { hints, now }
    }

    /// A veth appeared under this bridge: its network is asked for the endpoints it lists, now and a few times more
    /// while the new one is not among them. Without a hint the name comes with Docker's own event, which may be
    /// later than the container's first packet.
    pub fn bridge_changed(&self, bridge: &str) {
        if bridge.is_empty() || bridge.len() > LONGEST_NAME {
            return;
        }
        let bridge = SafeText::new(bridge);
        let mut waiting = self.hints.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_BRIDGES || waiting.contains_key(&bridge) {
            let hinted = waiting.entry(bridge).or_insert_with(|| Hinted { at: (self.now)(), veths: 0 });
            hinted.veths = hinted.veths.saturating_add(1);
            drop(waiting);
            self.hints.some.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint() -> Hint {
        Hint::new(Arc::default(), || KernelTime(7))
    }

    #[tokio::test]
    async fn hints_of_one_bridge_are_taken_together() {
        let hint = hint();
        for bridge in ["br-1", "br-2", "br-1"] {
            hint.bridge_changed(bridge);
        }
        let taken = hint.hints.take().await;
        assert_eq!(taken[&SafeText::new("br-1")], Hinted { at: KernelTime(7), veths: 2 });
        assert_eq!(taken[&SafeText::new("br-2")], Hinted { at: KernelTime(7), veths: 1 });
    }

    #[tokio::test]
    async fn what_can_be_no_device_is_no_hint_and_their_number_is_bounded() {
        let hint = hint();
        hint.bridge_changed("");
        hint.bridge_changed("a-name-of-sixteen");
        for n in 0..3_000 {
            hint.bridge_changed(&format!("br-{n}"));
        }
        assert_eq!(hint.hints.take().await.len(), MOST_BRIDGES);
    }
}
