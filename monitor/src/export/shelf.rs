//! What is kept of containers, networks and pairs: as long as each is seen and a minute more, and only as many as there
//! may be series.

use crate::model::KernelTime;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How long after it was last seen something has series.
pub(super) const KEEP: Duration = Duration::from_secs(60);

/// How many series there may be.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    /// Series that were not made.
    pub(super) refused: u64,
}

impl Budget {
    pub(super) const fn new(most: usize) -> Self {
        Self { left: most, refused: 0 }
    }

    /// Takes so many, if that many are left.
    pub(super) fn take(&mut self, series: usize) -> bool {
        let left = self.left.checked_sub(series);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// Things with series, each of which costs the same. What there is no room for is counted once, and asked for again as
/// long as it is seen.
#[derive(Debug)]
pub(super) struct Shelf<K, V> {
    cost: usize,
    kept: HashMap<K, (V, KernelTime)>,
    refused: HashMap<K, KernelTime>,
}

impl<K: Clone + Eq + Hash, V> Shelf<K, V> {
    /// An empty one, for things that make so many series each.
    pub(super) fn new(cost: usize) -> Self {
        Self { cost, kept: HashMap::new(), refused: HashMap::new() }
    }

    /// What is kept of something that is seen now; `None` if there is no room for it.
    pub(super) fn seen(
        &mut self,
        key: &K,
        at: KernelTime,
        budget: &mut Budget,
        new: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        if !self.kept.contains_key(key) {
            if !budget.take(self.cost) {
                if self.refused.insert(key.clone(), at).is_none() {
                    budget.refused += self.cost as u64;
                }
                return None;
            }
            self.refused.remove(key);
            self.kept.insert(key.clone(), (new(), at));
        }
        let (kept, seen) = self.kept.get_mut(key)?;
        *seen = at;
        Some(kept)
    }

    /// Lets go what was not seen for a minute, and whatever `keep` does not want.
    pub(super) fn tidy(&mut self, now: KernelTime, budget: &mut Budget, keep: impl Fn(&K) -> bool) {
        let before = self.kept.len();
        self.kept.retain(|key, (_, seen)| now.since(*seen) <= KEEP && keep(key));
        budget.left += (before - self.kept.len()) * self.cost;
        self.refused.retain(|_, seen| now.since(*seen) <= KEEP);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter().map(|(key, (kept, _))| (key, kept))
    }

    /// Does something to each.
    pub(super) fn each(&mut self, change: impl Fn(&mut V)) {
        self.kept.values_mut().for_each(|(kept, _)| change(kept));
    }

    pub(super) fn has(&self, key: &K) -> bool {
        self.kept.contains_key(key)
    }
}
