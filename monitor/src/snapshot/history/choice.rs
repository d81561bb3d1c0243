//! Which rows of many intervals have one of their own in their sum, where not all find room.

use super::interval::Interval;
use super::spans::{NameKey, NameSpan, Others, PairSpan, Weight};
use super::sum::{MOST_LATENCIES, MOST_LATENCIES_OF_NAMES, MOST_NAMES, MOST_PAIRS};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::pairs::Key;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

/// Those that have one; absent where all do.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    pub(super) pairs: Option<HashSet<Key>>,
    pub(super) latencies: Option<HashSet<Arc<ServicePair>>>,
    pub(super) latencies_of_names: Option<HashSet<Arc<ServicePair>>>,
    pub(super) names: Option<HashSet<NameKey>>,
}

impl Chosen {
    /// Those that are worth most over all of these intervals; and how many are left out, which are counted once each.
    pub(super) fn of(intervals: &[&Arc<Interval>]) -> (Self, Others) {
        let pairs = intervals.iter().flat_map(|interval| &interval.pairs);
        let (pairs, pairs_left) = choose(pairs.map(|span| (span.key(), PairSpan::weight(span))), MOST_PAIRS);
        let names = intervals.iter().flat_map(|interval| &interval.names);
        let (names, names_left) = choose(names.map(|span| (span.key(), NameSpan::weight(span))), MOST_NAMES);
        let latencies = |of_names: bool| {
            let all = intervals.iter().flat_map(|interval| &interval.latencies);
            all.filter(move |span| span.is_of_name() == of_names)
                .map(|span| (Arc::clone(&span.services), Weight::of(0, span.handshakes())))
        };
        let (latencies_of_names, _) = choose(latencies(true), MOST_LATENCIES_OF_NAMES);
        let (latencies, services_left) = choose(latencies(false), MOST_LATENCIES);
        let left =
            Others { pairs: pairs_left, names: names_left, services: services_left, ..Others::default() };
        (Self { pairs, latencies, latencies_of_names, names }, left)
    }
}

/// So many with the most weight over all their rows, and how many others there are; none where all are so few. Of those that
/// are worth the same the same are chosen each time.
fn choose<K: Hash + Ord>(rows: impl Iterator<Item = (K, Weight)>, most: usize) -> (Option<HashSet<K>>, u64) {
    let mut weights: HashMap<K, Weight> = HashMap::new();
    rows.for_each(|(key, weight)| *weights.entry(key).or_default() += weight);
    let left = weights.len().saturating_sub(most);
    if left == 0 {
        return (None, 0);
    }
    let mut weights: Vec<(K, Weight)> = weights.into_iter().collect();
    weights.select_nth_unstable_by(most, |(one, weight), (other, than)| {
        Reverse(weight.rank()).cmp(&Reverse(than.rank())).then_with(|| one.cmp(other))
    });
    weights.truncate(most);
    (Some(weights.into_iter().map(|(key, _)| key).collect()), left as u64)
}
