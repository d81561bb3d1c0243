//! What the text of a cell depends on beside its row.

use super::column::{Cell, Tone};
use super::recent::{Recent, SECONDS};
use crate::model::KernelTime;
use crate::view::units;
use crate::wire::Clock;
use std::time::Duration;

/// How traffic is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes, in units of 1,024.
    #[default]
    Bytes,
    /// Bits, in units of 1,000.
    Bits,
}

/// Over how long rates are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Window {
    /// One second.
    #[default]
    Second,
    /// Ten seconds.
    TenSeconds,
    /// A minute.
    Minute,
}

impl Window {
    /// How long it is, in seconds.
    pub(super) const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }

    /// How long it is.
    pub(super) const fn length(self) -> Duration {
        Duration::from_secs(self.seconds() as u64)
    }

    /// The next longer one, and after the longest the shortest.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Second => Self::TenSeconds,
            Self::TenSeconds => Self::Minute,
            Self::Minute => Self::Second,
        }
    }
}

/// A way traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Sent.
    Sent,
    /// Received.
    Received,
    /// Both ways together.
    Both,
}

impl Way {
    /// Of a pair of sent and received.
    pub(super) fn of(self, [sent, received]: [u64; 2]) -> u64 {
        match self {
            Self::Sent => sent,
            Self::Received => received,
            Self::Both => sent.saturating_add(received),
        }
    }
}

/// What a cell's text depends on beside its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// When the data is of.
    pub(super) now: KernelTime,
    /// The latest reading of the counters, as [`Recent`] counts time.
    pub(super) reading: KernelTime,
    /// The first reading, as [`Recent`] counts time: a window that began before it is shorter.
    pub(super) since: KernelTime,
    /// For times of day.
    pub(super) clock: &'a Clock,
    /// How traffic is written.
    pub(super) unit: Unit,
    /// Over how long rates are taken.
    pub(super) window: Window,
    /// Whether traffic columns show what was counted since the watch began, and not rates.
    pub(super) totals: bool,
    /// How long the time is that is looked back at: totals, and the rates over all of it, are of that time. Absent now.
    pub(super) past: Option<Duration>,
}

impl Context<'_> {
    /// Bytes a second over the window; absent before a second reading, and of a time that is over.
    pub(super) fn rate(&self, recent: &Recent, way: Way) -> Option<u64> {
        if self.past.is_some() {
            return None;
        }
        self.per_second(way.of(recent.sum(self.reading, self.window.seconds())))
    }

    /// A second's share of what was counted in the window; absent before a second reading.
    pub(super) fn per_second(&self, counted: u64) -> Option<u64> {
        units::per_second(counted, self.window.length().min(self.reading.since(self.since)))
    }

    /// What a traffic column is about: the rate, or `total` bytes where totals are shown.
    pub(super) fn amount(&self, recent: &Recent, total: Option<u64>, way: Way) -> Option<u64> {
        match self.past {
            _ if self.totals => total,
            Some(length) => units::per_second(total?, length),
            None => self.rate(recent, way),
        }
    }

    /// By what rows are ordered that show their last minute: its bytes, or those of the time that is looked back at.
    pub(super) fn lately(&self, recent: &Recent, total: u64) -> u64 {
        if self.past.is_some() { total } else { Way::Both.of(recent.sum(self.reading, SECONDS)) }
    }

    /// Bytes as text in the unit that is chosen, at most 8 columns.
    pub(super) fn bytes(&self, count: u64) -> String {
        match self.unit {
            Unit::Bytes => units::bytes(count),
            Unit::Bits => units::bits(count.saturating_mul(8)),
        }
    }

    /// A cell of bytes: nothing stands back, and what was not measured is absent.
    pub(super) fn bytes_cell(&self, count: Option<u64>) -> Cell {
        match count {
            None => Cell::absent(),
            Some(0) => Cell::Text(Tone::Faint, self.bytes(0)),
            Some(count) => Cell::plain(self.bytes(count)),
        }
    }

    /// Sixty bars of a row; there are none of a time that is over.
    pub(super) fn spark(&self, recent: &Recent) -> Cell {
        if self.past.is_some() { Cell::absent() } else { Cell::Spark(recent.bars(self.reading)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, Unit, Way, Window};
    use crate::model::KernelTime;
    use crate::tui::recent::Recent;
    use crate::wire::fixtures;
    use std::time::Duration;

    #[test]
    fn a_rate_is_over_no_more_than_was_watched() {
        let clock = fixtures::clock();
        let mut recent = Recent::default();
        recent.add(KernelTime(104_500_000_000), [4_000, 800]);
        let check = |since, window, expected| {
            let context = Context {
                now: KernelTime(104_900_000_000),
                reading: KernelTime(104_500_000_000),
                since: KernelTime(since),
                clock: &clock,
                unit: Unit::Bytes,
                window,
                totals: false,
                past: None,
            };
            assert_eq!(context.rate(&recent, Way::Both), expected, "{window:?} since {since}");
        };
        check(0, Window::Second, Some(4_800));
        check(0, Window::TenSeconds, Some(480));
        check(0, Window::Minute, Some(80));
        check(100_500_000_000, Window::TenSeconds, Some(1_200));
        check(104_500_000_000, Window::TenSeconds, None);
    }

    #[test]
    fn a_rate_of_a_time_that_is_over_is_over_all_of_it() {
        let clock = fixtures::clock();
        let context = Context {
            now: KernelTime(60_000_000_000),
            reading: KernelTime(60_000_000_000),
            since: KernelTime(60_000_000_000),
            clock: &clock,
            unit: Unit::Bytes,
            window: Window::Second,
            totals: false,
            past: Some(Duration::from_secs(60)),
        };
        let recent = Recent::default();
        assert_eq!(context.amount(&recent, Some(6_000), Way::Both), Some(100));
        assert_eq!(context.amount(&recent, None, Way::Both), None);
        assert_eq!(Context { totals: true, ..context }.amount(&recent, Some(6_000), Way::Both), Some(6_000));
        assert_eq!(context.lately(&recent, 6_000), 6_000);
    }
}
