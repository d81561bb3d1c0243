//! After a hint: asking a network again until it lists the endpoint of the new veth.
//!
//! The list lags behind the veth, by 2 to 130 ms on the engines that were measured. So it is asked at once and then
//! ever more seldom, until as many new endpoints were seen as veths were hinted, or the time is over: then Docker's
//! own events tell.

use super::hint::Hinted;
use crate::model::{KernelTime, SafeText};
use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::time::Duration;
use tokio::time::Instant;

/// When the list is asked, in milliseconds after the last hint.
const AFTER: [u64; 24] =
    [0, 3, 6, 10, 15, 20, 25, 30, 36, 43, 50, 58, 66, 75, 85, 100, 115, 130, 150, 180, 250, 350, 450, 600];

/// The most veths of one bridge whose endpoints are waited for.
const MOST_VETHS: usize = 1_024;

struct Chase {
    /// When the veths appeared whose endpoints are missing, the first one first.
    missing: VecDeque<KernelTime>,
    begun: Instant,
    asked: usize,
}

impl Chase {
    fn due(&self) -> Option<Instant> {
        AFTER.get(self.asked).map(|after| self.begun + Duration::from_millis(*after))
    }
}

/// The bridges whose networks are being asked.
#[derive(Default)]
pub(super) struct Chases(BTreeMap<SafeText, Chase>);

impl Chases {
    /// Veths appeared under a bridge.
    pub(super) fn begin(&mut self, bridge: SafeText, hinted: Hinted, now: Instant) {
        let chase = self.0.entry(bridge).or_insert(Chase { missing: VecDeque::new(), begun: now, asked: 0 });
        (chase.begun, chase.asked) = (now, 0);
        let too_old = hinted.at.minus(Duration::from_millis(AFTER[AFTER.len() - 1]));
        chase.missing.retain(|at| *at >= too_old);
        let room = MOST_VETHS - chase.missing.len();
        chase.missing.extend(iter::repeat_n(hinted.at, room.min(hinted.veths as usize)));
    }

    /// When there is something to ask.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(Chase::due).min()
    }

    /// The bridges whose networks are to be asked now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<SafeText> {
        let mut due = Vec::new();
        self.0.retain(|bridge, chase| {
            if chase.due().is_some_and(|moment| moment <= now) {
                while chase.due().is_some_and(|moment| moment <= now) {
                    chase.asked += 1;
                }
                due.push(bridge.clone());
            }
            chase.due().is_some()
        });
        due
    }

    /// A new endpoint was seen in the list of a bridge's network; returns when its veth appeared, if that was hinted.
    pub(super) fn found(&mut self, bridge: &SafeText) -> Option<KernelTime> {
        let chase = self.0.get_mut(bridge)?;
        let at = chase.missing.pop_front();
        if chase.missing.is_empty() {
            self.0.remove(bridge);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: KernelTime = KernelTime(9);

    fn bridge() -> SafeText {
        SafeText::new("br-1")
    }

    fn begun(veths: u32) -> (Chases, Instant) {
        let mut chases = Chases::default();
        let now = Instant::now();
        chases.begin(bridge(), Hinted { at: AT, veths }, now);
        (chases, now)
    }

    #[tokio::test]
    async fn a_list_is_asked_at_once_and_then_more_and_more_seldom_until_the_time_is_over() {
        let (mut chases, begun) = begun(1);
        let mut moments = Vec::new();
        while let Some(due) = chases.next_due() {
            moments.push(u64::try_from((due - begun).as_millis()).unwrap());
            assert_eq!(chases.due(due), [bridge()]);
        }
        assert_eq!(moments, AFTER);
    }

    #[tokio::test]
    async fn questions_that_come_late_are_one() {
        let (mut chases, begun) = begun(1);
        assert_eq!(chases.due(begun + Duration::from_millis(50)).len(), 1);
        assert_eq!(chases.next_due(), Some(begun + Duration::from_millis(58)));
        assert_eq!(chases.due(begun + Duration::from_millis(50)), []);
    }

    #[tokio::test]
    async fn the_list_is_asked_until_every_veth_has_its_endpoint() {
        let (mut chases, begun) = begun(2);
        chases.begin(bridge(), Hinted { at: KernelTime(10), veths: 1 }, begun);
        assert_eq!(chases.found(&bridge()), Some(AT));
        assert_eq!(chases.found(&bridge()), Some(AT));
        assert_eq!(chases.next_due(), Some(begun));
        assert_eq!(chases.found(&bridge()), Some(KernelTime(10)));
        assert_eq!(chases.next_due(), None);
        assert_eq!(chases.found(&bridge()), None);
    }

    #[tokio::test]
    async fn a_veth_that_never_gets_an_endpoint_lends_its_time_to_no_later_one() {
        let (mut chases, begun) = begun(1);
        let later = AT.plus(Duration::from_secs(1));
        chases.begin(bridge(), Hinted { at: later, veths: 5_000 }, begun);
        assert_eq!(chases.found(&bridge()), Some(later));
        assert_eq!(chases.0[&bridge()].missing.len(), MOST_VETHS - 1);
    }
}
