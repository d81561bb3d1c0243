//! Counters that only grow, turned into what was counted in each of the last seconds.

use crate::model::KernelTime;
use crate::tui::recent::{Both, Recent, Ways, add};
use std::collections::HashMap;
use std::hash::Hash;

/// One row's counters.
#[derive(Clone, Debug)]
struct Counter {
    totals: Both,
    recent: Recent,
    reading: u64,
}

/// The counters of rows with keys `K`.
#[derive(Clone, Debug)]
pub(super) struct Counters<K> {
    rows: HashMap<K, Counter>,
    readings: u64,
}

impl<K> Default for Counters<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), readings: 0 }
    }
}

impl<K: Eq + Hash> Counters<K> {
    /// Takes in a reading of all rows; those that are not in it are forgotten. A row that is seen for the first time
    /// adds nothing, and neither does one whose counters began anew: nobody knows when that was counted.
    pub(super) fn take(&mut self, at: KernelTime, rows: impl Iterator<Item = (K, Both)>) {
        self.readings += 1;
        let reading = self.readings;
        for (key, totals) in rows {
            let row = self.rows.entry(key).or_insert_with(|| Counter {
                totals,
                recent: Recent::default(),
                reading,
            });
            if let Some(more) = since(totals, row.totals) {
                row.recent.add(at, more.bytes);
            }
            row.totals = totals;
            row.reading = reading;
        }
        self.rows.retain(|_, row| row.reading == reading);
    }

    /// What was counted of all rows in the last `seconds` up to `now`.
    pub(super) fn sum(&self, now: KernelTime, seconds: u32) -> Ways {
        let mut sum = [0, 0];
        self.rows.values().for_each(|row| add(&mut sum, row.recent.sum(now, seconds)));
        sum
    }

    /// The last minute of a row; of one that is not known, nothing.
    pub(super) fn recent(&self, key: &K) -> Recent {
        self.rows.get(key).map(|row| row.recent.clone()).unwrap_or_default()
    }
}

/// What came on top; `None` where a counter went back.
fn since(now: Both, before: Both) -> Option<Both> {
    let less = |now: [u64; 2], before: [u64; 2]| {
        Some([now[0].checked_sub(before[0])?, now[1].checked_sub(before[1])?])
    };
    Some(Both { bytes: less(now.bytes, before.bytes)?, packets: less(now.packets, before.packets)? })
}

#[cfg(test)]
mod tests {
    use super::Counters;
    use crate::model::KernelTime;
    use crate::tui::recent::Both;

    fn check(readings: &[Option<u64>], expected: u64) {
        let mut counters: Counters<u8> = Counters::default();
        for (second, sent) in readings.iter().enumerate() {
            let at = KernelTime((second as u64 + 1) * 1_000_000_000);
            counters.take(at, sent.iter().map(|sent| (7, Both { bytes: [*sent, 0], packets: [0, 0] })));
        }
        let now = KernelTime(readings.len() as u64 * 1_000_000_000);
        assert_eq!(counters.recent(&7).sum(now, 60)[0], expected, "{readings:?}");
    }

    #[test]
    fn only_what_came_between_two_readings_of_one_counter_is_recent() {
        check(&[Some(1_000)], 0);
        check(&[Some(1_000), Some(1_300), Some(1_301)], 301);
        check(&[Some(1_000), Some(200), Some(250)], 50);
        check(&[Some(1_000), None, Some(1_300), Some(1_310)], 10);
        check(&[Some(1_000), Some(1_500), None], 0);
    }
}
