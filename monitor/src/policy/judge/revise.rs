//! Other rules while conversations go on.

use super::{Around, Case, Expected, Judge, Kind, Outcome, Policy, Rule};
use crate::model::FlowId;
use crate::policy::findings::{Finding, Key};
use std::collections::HashSet;
use std::sync::Arc;

impl Judge {
    /// Judges by other rules from now on. What they say the same of is followed on; everything else is judged anew when
    /// its next packets are told. Returns the findings that nothing is left of, closed.
    pub fn judge_by(&mut self, policy: Arc<Policy>, around: &Around<'_>) -> Vec<Arc<Finding>> {
        self.policy = policy;
        self.since = around.now;
        self.pending.clear();
        let mut cases = std::mem::take(&mut self.cases);
        cases.retain(|id, case| self.says_the_same(around, *id, case));
        let keys = cases.iter().filter_map(|(id, case)| self.key_of(around, *id, case));
        let founded: HashSet<Key> = keys.collect();
        self.cases = cases;
        self.findings.close_unfounded(&founded)
    }

    /// Whether a conversation would be judged now as it was.
    fn says_the_same(&self, around: &Around<'_>, id: FlowId, case: &Case) -> bool {
        // Who forges is told before any rule of a file is asked.
        if case.judgement.rule == Rule::SpoofedSource {
            return true;
        }
        let Some(flow) = around.flows.get(id) else { return false };
        self.opening(around).reopen(flow, case.epoch).is_some_and(|now| {
            let of = |case: &Case| (case.judgement, case.severity);
            of(&now) == of(case) && now.rule == case.rule && now.comment == case.comment
        })
    }

    /// The finding that a followed conversation is part of, unless the rules say that it is known.
    fn key_of(&self, around: &Around<'_>, id: FlowId, case: &Case) -> Option<Key> {
        let protocol = around.flows.get(id)?.key.protocol;
        let kind = case.kind().filter(|_| !self.is_accepted(around, case, protocol))?;
        Some(Key::new(kind, &case.rule, &case.from, &case.to, protocol.name()))
    }
}

impl Case {
    /// What kind of finding it makes by what became of it.
    pub(super) fn kind(&self) -> Option<Kind> {
        match (self.judgement.expected, self.outcome) {
            (_, Outcome::Attempted) => None,
            (Expected::Deny, _) => Some(Kind::Violation),
            (Expected::Allow, Outcome::Blocked | Outcome::Undelivered) => Some(Kind::Broken),
            (Expected::Allow, _) if self.judgement.crossing => Some(Kind::Crossing),
            (Expected::Allow, _) => None,
        }
    }
}
