//! What the engine wants to know, asked often at first and seldom later.

use crate::model::{Container, ContainerId, InterfaceNumber, KernelTime, SafeText};
use std::collections::HashMap;
use std::time::Duration;

/// How soon an unanswered question is asked again: doubled each time, up to the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));
/// Questions that are open at once.
const MOST: usize = 4_096;

/// Something the engine wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Which network has this bridge, and who is on it: an interface appeared under it that has no owner.
    NetworkOfBridge(SafeText),
    /// That a container on the host's network is watched at its control group.
    WatchGroup {
        /// Which container.
        container: ContainerId,
    },
    /// That it is so no more.
    LeaveGroup {
        /// Which container.
        container: ContainerId,
    },
    /// That devices in a container's namespace are watched, as long as that is there.
    WatchInside {
        /// Which container.
        container: ContainerId,
        /// The path of the namespace, as Docker gave it.
        sandbox: String,
    },
    /// The number of a container's network namespace.
    Namespace {
        /// The path of the namespace, as Docker gave it.
        sandbox: String,
    },
    /// To note whose an interface is, for the next agent; no question, so it is not asked again.
    Keep {
        /// The device.
        ifindex: u32,
        /// The interface.
        number: InterfaceNumber,
        /// The container behind it.
        owner: Box<Container>,
    },
}

/// The open questions.
#[derive(Debug, Default)]
pub(super) struct Asks(HashMap<Ask, (KernelTime, Duration)>);

impl Asks {
    /// Something new makes the question worth asking at once.
    pub(super) fn afresh(&mut self, ask: &Ask) {
        self.0.remove(ask);
    }

    /// Of what is wanted, what is to be asked now; what is no longer wanted is forgotten.
    pub(super) fn due(&mut self, wanted: Vec<Ask>, now: KernelTime) -> Vec<Ask> {
        let mut earlier = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for ask in wanted {
            if self.0.contains_key(&ask) || self.0.len() >= MOST {
                continue;
            }
            let state = match earlier.remove(&ask) {
                Some((at, pause)) if now < at => (at, pause),
                asked => {
                    due.push(ask.clone());
                    let pause = asked.map_or(AGAIN.0, |(_, pause)| (pause * 2).min(AGAIN.1));
                    (now.plus(pause), pause)
                }
            };
            self.0.insert(ask, state);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, Asks};
    use crate::model::{KernelTime, SafeText};

    fn bridge() -> Ask {
        Ask::NetworkOfBridge(SafeText::new("br-1"))
    }

    fn at(millis: u64) -> KernelTime {
        KernelTime(millis * 1_000_000)
    }

    #[test]
    fn a_question_is_asked_at_once_then_less_and_less_often() {
        let mut asks = Asks::default();
        let asked: Vec<u64> =
            (0..1_000).filter(|millis| !asks.due(vec![bridge(), bridge()], at(*millis)).is_empty()).collect();
        assert_eq!(asked, [0, 50, 150, 350, 750]);
        let later =
            (1_000..200_000).filter(|millis| !asks.due(vec![bridge()], at(*millis)).is_empty()).count();
        assert!((6..=14).contains(&later), "{later}");
    }

    #[test]
    fn a_question_no_longer_wanted_or_made_afresh_starts_again() {
        let mut asks = Asks::default();
        assert_eq!(asks.due(vec![bridge()], at(0)).len(), 1);
        assert_eq!(asks.due(vec![bridge()], at(1)).len(), 0);
        asks.afresh(&bridge());
        assert_eq!(asks.due(vec![bridge()], at(2)).len(), 1);
        asks.due(Vec::new(), at(3));
        assert_eq!(asks.due(vec![bridge()], at(4)).len(), 1);
    }
}
