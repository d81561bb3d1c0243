//! What readers of findings are told, and when.

use super::state::State;
use crate::model::KernelTime;
use crate::policy::Around;
use crate::snapshot::Record;

impl State {
    /// What the judge has to tell at the end of a tick.
    pub(super) fn tell_findings(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, subscribers, .. } = self;
        let around = Around { attribution, flows, now, wall };
        for finding in judge.tick(&around, self.latest.0) {
            subscribers.send_finding(&Record::Finding(finding));
        }
    }

    /// What the configuration says, as far as that changed.
    pub(super) fn tell_standing(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { attribution, subscribers, standings, settings, .. } = self;
        for standing in standings.look(attribution, &settings.policy, now, wall) {
            subscribers.send_finding(&Record::Standing(standing));
        }
    }
}
