//! What was counted at each interface.

use super::bracket::{Difference, difference, difference_inside};
use super::window::{AtMarks, Base};
use crate::model::{Counts, DeviceCounters, InterfaceKind, KernelTime, Reading, Traffic};
use std::ops::AddAssign;

/// Sums over interfaces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) totals: Traffic,
    pub(super) window: Traffic,
    pub(super) before_watch: Traffic,
    pub(super) not_recorded: Counts,
    /// Absent when no device could be compared.
    pub(super) difference: Option<Difference>,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.totals += other.totals;
        self.window += other.window;
        self.before_watch += other.before_watch;
        self.not_recorded += other.not_recorded;
        self.difference = match (self.difference, other.difference) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
    }
}

/// One interface's figures.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Whether it is a device in a container's namespace.
    is_inside: bool,
    attached: Option<(DeviceCounters, DeviceCounters)>,
    latest: Option<Reading>,
    /// What the latest reading and the one before it both show.
    difference: Option<Difference>,
    at_marks: AtMarks,
    /// What of the totals the history was told; absent if it begins with the next reading.
    told: Option<Traffic>,
    /// When it was watched no longer.
    pub(super) gone: Option<KernelTime>,
}

impl Account {
    /// `is_adopted`: whether it was watched before this watch began, so that its totals are not all of it.
    pub(super) fn new(
        kind: InterfaceKind,
        before: Option<DeviceCounters>,
        after: Option<DeviceCounters>,
        is_adopted: bool,
    ) -> Self {
        let attached = before.map(|before| (before, after.unwrap_or(before)));
        let told = (!is_adopted).then(Traffic::default);
        Self { is_inside: kind == InterfaceKind::Inside, attached, told, ..Self::default() }
    }

    /// What the history was not told of its totals; it counts as told.
    pub(super) fn tell(&mut self) -> Option<Traffic> {
        let latest = self.latest.as_ref()?.totals.traffic();
        let told = self.told.replace(latest)?;
        latest.since(&told).filter(|more| *more != Traffic::default())
    }

    fn difference(&self, reading: &Reading) -> Option<Difference> {
        let difference = if self.is_inside { difference_inside } else { difference };
        difference(self.attached, reading)
    }

    /// Takes in a reading, marked if it is one of those that are kept.
    pub(super) fn read(&mut self, reading: Reading, mark: Option<u64>, oldest: u64) {
        if let Some(mark) = mark {
            self.at_marks.push(mark, reading.totals.traffic(), oldest);
        }
        let earlier = self.latest.as_ref().and_then(|latest| self.difference(latest));
        self.difference =
            self.difference(&reading).map(|now| earlier.map_or(now, |earlier| now.shared_with(earlier)));
        self.told.get_or_insert_with(|| reading.totals.traffic());
        self.latest = Some(reading);
    }

    /// Whether it went before the window began.
    pub(super) fn left_the_window(&self, base: Base) -> bool {
        self.gone.is_some() && self.at_marks.is_before(base)
    }

    pub(super) fn sums(&self, base: Base) -> Sums {
        let before_watch = self.attached.map_or_else(Traffic::default, |(before, _)| Traffic {
            sent: skbs_only(before.sent_skbs, before.sent_bytes),
            received: skbs_only(before.received_skbs, before.received_bytes),
        });
        let Some(latest) = &self.latest else { return Sums { before_watch, ..Sums::default() } };
        let totals = latest.totals.traffic();
        Sums {
            totals,
            window: self.at_marks.window(totals, base),
            before_watch,
            not_recorded: latest.totals.not_recorded(),
            difference: self.difference,
        }
    }
}

fn skbs_only(skbs: u64, skb_bytes: u64) -> Counts {
    Counts { packets: 0, bytes: 0, skbs, skb_bytes }
}
