//! What was not seen or not counted, by name.

use serde::Serialize;
use std::collections::BTreeMap;

/// Counters of losses since the start. A name that is absent was never lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(BTreeMap<&'static str, u64>);

impl Losses {
    /// Adds to one of them.
    pub fn add(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            let total = self.0.entry(name).or_default();
            *total = total.saturating_add(count);
        }
    }

    /// Sets one of them to the count its owner keeps.
    pub fn set(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            self.0.insert(name, count);
        }
    }

    /// All that are not zero, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
