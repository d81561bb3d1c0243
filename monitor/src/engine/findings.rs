//! What readers of findings are told, and when.

use super::state::State;
use crate::model::KernelTime;
use crate::policy::Around;
use crate::policy::file::Policy;
use crate::snapshot::Record;
use std::sync::Arc;

impl State {
    /// What the judge has to tell at the end of a tick.
    pub(super) fn tell_findings(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, books, subscribers, findings_told, .. } = self;
        let around = Around { attribution, flows, now, wall };
        for silent in books.silent_replicas(attribution, self.latest.2) {
            judge.silent(&around, &silent);
        }
        for wrong in books.wrong_mtus(self.latest.2) {
            judge.wrong_mtu(&around, &wrong);
        }
        for finding in judge.tick(&around, self.latest.0) {
            *findings_told += 1;
            books.found(&finding);
            subscribers.send_finding(&Record::Finding(finding));
        }
    }

    /// Judges by other rules from the next flows on. Findings that these do not make end at once.
    pub fn judge_by(&mut self, policy: Arc<Policy>, now: KernelTime) {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, books, subscribers, findings_told, .. } = self;
        let around = Around { attribution, flows, now, wall };
        for finding in judge.judge_by(Arc::clone(&policy), &around) {
            *findings_told += 1;
            books.found(&finding);
            subscribers.send_finding(&Record::Finding(finding));
        }
        self.settings.policy = policy;
        self.standings.changed();
    }

    /// What the configuration says, as far as that changed.
    pub(super) fn tell_standing(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { attribution, books, subscribers, standings, settings, .. } = self;
        for standing in standings.look(attribution, &settings.policy, now, wall) {
            books.stood(&standing);
            subscribers.send_finding(&Record::Standing(standing));
        }
    }
}
