//! What was not seen or not counted, by name.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The most names that are read.
const MOST_NAMES: usize = 256;
/// The longest name that is read.
const LONGEST_NAME: usize = 64;

/// Counters of losses since the start. A name that is absent was never lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(BTreeMap<Cow<'static, str>, u64>);

impl Losses {
    /// Adds to one of them.
    pub fn add(&mut self, name: &'static str, count: u64) {
        self.add_named(Cow::Borrowed(name), count);
    }

    /// Adds all of them.
    pub fn add_all(&mut self, others: &Self) {
        others.0.iter().for_each(|(name, count)| self.add_named(name.clone(), *count));
    }

    fn add_named(&mut self, name: Cow<'static, str>, count: u64) {
        if count > 0 {
            let total = self.0.entry(name).or_default();
            *total = total.saturating_add(count);
        }
    }

    /// Sets one of them to the count its owner keeps.
    pub fn set(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            self.0.insert(Cow::Borrowed(name), count);
        }
    }

    /// What was lost since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = self.0.iter().map(|(name, count)| (name.clone(), count.saturating_sub(earlier.get(name))));
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    /// All that are not zero, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (&**name, *count))
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

impl<'de> Deserialize<'de> for Losses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let losses = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let is_name = |name: &String| {
            (1..=LONGEST_NAME).contains(&name.len())
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        if losses.len() > MOST_NAMES || !losses.keys().all(is_name) {
            return Err(D::Error::custom("not names of losses"));
        }
        Ok(Self(losses.into_iter().map(|(name, count)| (Cow::Owned(name), count)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::Losses;

    #[test]
    fn what_was_lost_since_is_what_there_is_more() {
        let [mut before, mut now] = [(); 2].map(|()| Losses::default());
        for (name, earlier, later) in [("a", 3, 5), ("b", 4, 4), ("c", 0, 1), ("d", 2, 1)] {
            before.add(name, earlier);
            now.add(name, later);
        }
        let since = now.since(&before);
        assert_eq!(since.iter().collect::<Vec<_>>(), [("a", 2), ("c", 1)]);
    }
}
