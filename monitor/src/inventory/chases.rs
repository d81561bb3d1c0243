//! After a hint: asking a network again until it lists the endpoint of the new veth.
//!
//! The list lags behind the veth, by 2 to 110 ms on the engines that were measured. So it is asked at once and then
//! ever more seldom, until as many new endpoints were seen as veths were hinted, or the time is over: then Docker's
//! own events tell.

use super::hint::Hinted;
use crate::model::{KernelTime, SafeText};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// When the list is asked, in milliseconds after the last hint.
const AFTER: [u64; 16] = [0, 3, 6, 10, 15, 25, 40, 60, 80, 100, 130, 180, 250, 350, 450, 600];

struct Chase {
    at: KernelTime,
    missing: u32,
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
    /// A veth appeared under a bridge.
    pub(super) fn begin(&mut self, bridge: SafeText, hinted: Hinted, now: Instant) {
        let chase = self.0.entry(bridge);
        let chase = chase.or_insert(Chase { at: hinted.at, missing: 0, begun: now, asked: 0 });
        chase.missing = chase.missing.saturating_add(hinted.veths);
        (chase.begun, chase.asked) = (now, 0);
    }

    /// When there is something to ask.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(Chase::due).min()
    }

    /// The bridges whose networks are to be asked now, each with the moment of its first hint.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(SafeText, KernelTime)> {
        let mut due = Vec::new();
        self.0.retain(|bridge, chase| {
            if chase.due().is_some_and(|moment| moment <= now) {
                while chase.due().is_some_and(|moment| moment <= now) {
                    chase.asked += 1;
                }
                due.push((bridge.clone(), chase.at));
            }
            chase.due().is_some()
        });
        due
    }

    /// New endpoints were seen in the list of a bridge's network.
    pub(super) fn found(&mut self, bridge: &SafeText, endpoints: u32) {
        if let Some(chase) = self.0.get_mut(bridge) {
            chase.missing = chase.missing.saturating_sub(endpoints);
            if chase.missing == 0 {
                self.0.remove(bridge);
            }
        }
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
            assert_eq!(chases.due(due), [(bridge(), AT)]);
        }
        assert_eq!(moments, AFTER);
    }

    #[tokio::test]
    async fn questions_that_come_late_are_one() {
        let (mut chases, begun) = begun(1);
        assert_eq!(chases.due(begun + Duration::from_millis(50)).len(), 1);
        assert_eq!(chases.next_due(), Some(begun + Duration::from_millis(60)));
        assert_eq!(chases.due(begun + Duration::from_millis(50)), []);
    }

    #[tokio::test]
    async fn the_list_is_asked_until_every_veth_has_its_endpoint() {
        let (mut chases, begun) = begun(2);
        chases.begin(bridge(), Hinted { at: KernelTime(10), veths: 1 }, begun);
        chases.found(&bridge(), 2);
        assert_eq!(chases.next_due(), Some(begun));
        chases.found(&bridge(), 1);
        assert_eq!(chases.next_due(), None);
    }
}
