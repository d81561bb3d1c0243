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

    /// What crossed before the watch. What crossed while the programs were put in place is between the device's two readings, and
    /// partly in our totals: it is what the device counts and we do not, and exact as soon as nothing moves.
    fn before_watch(&self) -> Traffic {
        let Some((before, after)) = self.attached else { return Traffic::default() };
        let latest = self.latest.as_ref();
        let device = latest.and_then(|latest| latest.device_before.or(latest.device_after));
        let ours = latest.map(|latest| latest.totals.traffic()).unwrap_or_default();
        let at = |figure: fn(&DeviceCounters) -> u64, counted: u64| {
            let (least, most) = (figure(&before), figure(&after).max(figure(&before)));
            device.map_or(least, |device| figure(&device).saturating_sub(counted).clamp(least, most))
        };
        Traffic {
            sent: skbs_only(
                at(|device| device.sent_skbs, ours.sent.skbs),
                at(|device| device.sent_bytes, ours.sent.skb_bytes),
            ),
            received: skbs_only(
                at(|device| device.received_skbs, ours.received.skbs),
                at(|device| device.received_bytes, ours.received.skb_bytes),
            ),
        }
    }

    pub(super) fn sums(&self, base: Base) -> Sums {
        let before_watch = self.before_watch();
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

#[cfg(test)]
mod tests {
    use super::{Account, Base};
    use crate::model::{
        ClassCounts, Counts, DeviceCounters, InterfaceKind, InterfaceNumber, KernelTime, Reading,
    };
    use std::time::Duration;

    fn device(received_skbs: u64, received_bytes: u64) -> DeviceCounters {
        DeviceCounters { received_skbs, received_bytes, ..DeviceCounters::default() }
    }

    #[test]
    fn what_crosses_while_programs_are_put_in_place_is_before_the_watch_or_in_our_totals_and_never_in_neither()
     {
        // Three skbs between the two readings, the last of which our program saw; then one more.
        let account = |now: Option<DeviceCounters>| {
            let kind = InterfaceKind::Veth;
            let mut account = Account::new(kind, Some(device(4, 400)), Some(device(7, 700)), false);
            let mut totals = ClassCounts::default();
            totals.received.ipv4 = Counts { packets: 2, bytes: 200, skbs: 2, skb_bytes: 200 };
            let (number, at) = (InterfaceNumber(1), KernelTime(1));
            let reading = Reading { number, at, totals, device_before: now, device_after: now };
            account.read(reading, None, 0);
            account.sums(Base { mark: None, window: Duration::ZERO }).before_watch.received
        };
        let of = |skbs, skb_bytes| Counts { skbs, skb_bytes, ..Counts::default() };
        assert_eq!(account(Some(device(8, 800))), of(6, 600));
        // What is on its way is no more than what crossed in that time.
        assert_eq!(account(Some(device(30, 3_000))), of(7, 700));
        assert_eq!(account(Some(device(5, 500))), of(4, 400));
        assert_eq!(account(None), of(4, 400));
    }
}
