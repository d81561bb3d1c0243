//! What stands, kept from look to look: new, revised, over.

use super::{Standing, look};
use crate::attribution::Attribution;
use crate::model::{DockerState, KernelTime, Losses, WallTime};
use crate::policy::file::Policy;
use std::collections::HashMap;
use std::sync::Arc;

/// Nanoseconds of a day: an entry of a policy file ends with one.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// All open standing findings.
#[derive(Debug, Default)]
pub struct Standings {
    open: Vec<Arc<Standing>>,
    /// The day of the last look; none where something changed since.
    looked: Option<i64>,
    /// The most at one look that there was no room for.
    refused: u64,
    rights_unknown: usize,
}

impl Standings {
    /// What Docker told has changed: the next look is not in vain.
    pub fn changed(&mut self) {
        self.looked = None;
    }

    /// Looks again if anything changed, or another day has begun. Returns what is new, what changed and what is over,
    /// each with its revision. While Docker does not answer, nothing is looked at: what stood, stands.
    pub fn look(
        &mut self,
        facts: &Attribution,
        policy: &Policy,
        now: KernelTime,
        wall: WallTime,
    ) -> Vec<Arc<Standing>> {
        let day = wall.0.div_euclid(DAY);
        if self.looked == Some(day) || !matches!(facts.docker(), DockerState::Up { .. }) {
            return Vec::new();
        }
        self.looked = Some(day);
        let found = look(facts, policy, now, wall);
        self.refused = self.refused.max(found.refused);
        self.rights_unknown = found.rights_unknown;
        let mut before: HashMap<u64, Arc<Standing>> =
            self.open.drain(..).map(|standing| (standing.id, standing)).collect();
        let mut told = Vec::new();
        for standing in found.standing {
            let standing = match before.remove(&standing.id) {
                None => Arc::new(standing),
                Some(old) if says_the_same(&old, &standing) => {
                    self.open.push(old);
                    continue;
                }
                Some(old) => {
                    Arc::new(Standing { revision: old.revision + 1, first_seen: old.first_seen, ..standing })
                }
            };
            told.push(Arc::clone(&standing));
            self.open.push(standing);
        }
        let mut over: Vec<Arc<Standing>> = before.into_values().collect();
        over.sort_by_key(|standing| (standing.first_seen, standing.id));
        told.extend(over.iter().map(|standing| {
            let revision = standing.revision + 1;
            Arc::new(Standing { revision, is_open: false, last_seen: now, ..Standing::clone(standing) })
        }));
        told
    }

    /// All that are open, worst first; at most 1,024.
    #[must_use]
    pub fn open(&self) -> &[Arc<Standing>] {
        &self.open
    }

    /// Running containers whose rights and mounts were not told at the last look.
    #[must_use]
    pub const fn rights_unknown(&self) -> usize {
        self.rights_unknown
    }

    /// What there was no room for, by name.
    #[must_use]
    pub fn not_kept(&self) -> Losses {
        let mut losses = Losses::default();
        losses.set("standing_findings_refused", self.refused);
        losses
    }
}

/// Whether two looks found the same, whenever that was.
fn says_the_same(old: &Standing, new: &Standing) -> bool {
    let Standing { revision, first_seen, last_seen, .. } = *old;
    *old == Standing { revision, first_seen, last_seen, ..new.clone() }
}
