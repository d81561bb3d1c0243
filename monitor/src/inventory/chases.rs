//! After a hint: asking a network again until it lists the endpoint of the new veth.
//!
//! The list lags behind the veth, by 2 to 130 ms on the engines that were measured. So it is asked at once and then
//! ever more seldom, until as many new endpoints were seen as veths were hinted, or the time is over: then Docker's
//! own events tell.

use crate::model::SafeText;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// When the list is asked, in milliseconds after the last hint.
const AFTER: [u64; 24] =
    [0, 3, 6, 10, 15, 20, 25, 30, 36, 43, 50, 58, 66, 75, 85, 100, 115, 130, 150, 180, 250, 350, 450, 600];

/// The most veths of one bridge whose endpoints are waited for.
const MOST_VETHS: u32 = 1_024;

struct Chase {
    /// How many veths may still have no endpoint.
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
    /// Veths appeared under a bridge.
    pub(super) fn begin(&mut self, bridge: SafeText, veths: u32, now: Instant) {
        let chase = self.0.entry(bridge).or_insert(Chase { missing: 0, begun: now, asked: 0 });
        (chase.begun, chase.asked) = (now, 0);
        chase.missing = chase.missing.saturating_add(veths).min(MOST_VETHS);
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

    /// A new endpoint was seen in the list of a bridge's network.
    pub(super) fn found(&mut self, bridge: &SafeText) {
        let Some(chase) = self.0.get_mut(bridge) else { return };
        chase.missing = chase.missing.saturating_sub(1);
        if chase.missing == 0 {
            self.0.remove(bridge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge() -> SafeText {
        SafeText::new("br-1")
    }

    fn begun(veths: u32) -> (Chases, Instant) {
        let mut chases = Chases::default();
        let now = Instant::now();
        chases.begin(bridge(), veths, now);
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
        chases.begin(bridge(), 1, begun);
        for due in [Some(begun), Some(begun), None, None] {
            chases.found(&bridge());
            assert_eq!(chases.next_due(), due);
        }
    }

    #[tokio::test]
    async fn the_veths_that_are_waited_for_are_bounded() {
        let (mut chases, begun) = begun(u32::MAX);
        chases.begin(bridge(), 5_000, begun);
        assert_eq!(chases.0[&bridge()].missing, MOST_VETHS);
    }
}
