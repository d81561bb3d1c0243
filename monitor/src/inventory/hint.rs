//! "A veth appeared under this bridge": hints from who watches the links, so that the name is asked for at once.

use crate::model::SafeText;
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
    waiting: Mutex<BTreeMap<SafeText, u32>>,
    some: Notify,
}

impl Hints {
    /// Waits for hints and takes all of them: how many came, by bridge.
    pub(super) async fn take(&self) -> BTreeMap<SafeText, u32> {
        loop {
            let hints = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !hints.is_empty() {
                return hints;
            }
            self.some.notified().await;
        }
    }
}

/// Gives hints to the inventory. Never waits.
///
/// A hint says when to ask, not when an endpoint began: it may be about a veth that has its endpoint already, so its
/// time would be too early for the next one.
#[derive(Clone)]
pub struct Hint {
    hints: Arc<Hints>,
}

impl Hint {
    pub(super) fn new(hints: Arc<Hints>) -> Self {
        Self { hints }
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
            let veths = waiting.entry(bridge).or_insert(0);
            *veths = veths.saturating_add(1);
            drop(waiting);
            self.hints.some.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint() -> Hint {
        Hint::new(Arc::default())
    }

    #[tokio::test]
    async fn hints_of_one_bridge_are_taken_together() {
        let hint = hint();
        for bridge in ["br-1", "br-2", "br-1"] {
            hint.bridge_changed(bridge);
        }
        let taken = hint.hints.take().await;
        assert_eq!(taken, [(SafeText::new("br-1"), 2), (SafeText::new("br-2"), 1)].into());
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
