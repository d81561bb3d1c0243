//! A finding that is known and accepted until a day.

use super::pattern::Pattern;
use crate::model::{SafeText, WallTime};

/// Nanoseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// A finding that is known and accepted until a day.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The names of the rules whose findings it accepts.
    pub rules: Box<[SafeText]>,
    /// The last day on which it counts, as the file has it.
    pub until: SafeText,
    /// The first moment at which it counts no more: the end of that day in UTC.
    pub ends: WallTime,
    /// Why, printed where the finding is shown as accepted.
    pub comment: Option<SafeText>,
    /// The line of the file where it begins.
    pub line: usize,
    pub(super) pattern: Pattern,
}

impl Accept {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: WallTime) -> bool {
        now >= self.ends
    }

    pub(super) fn counts(&self, rule: &str, now: WallTime) -> bool {
        !self.is_over(now) && self.rules.iter().any(|name| name.as_str() == rule)
    }
}

/// The first moment after a day of the Gregorian calendar, in UTC; for ever if that is too far for the clock.
pub(super) fn end_of_day(year: u16, month: u8, day: u8) -> WallTime {
    // Days since 1970-01-01, with years that begin in March.
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468;
    WallTime((days + 1).saturating_mul(DAY))
}

#[cfg(test)]
mod tests {
    use super::end_of_day;

    #[track_caller]
    fn check(day: (u16, u8, u8), expected: &str) {
        let expected = expected.parse::<jiff::Timestamp>().unwrap().as_nanosecond();
        assert_eq!(i128::from(end_of_day(day.0, day.1, day.2).0), expected, "{day:?}");
    }

    #[test]
    fn a_day_ends_when_the_next_begins() {
        check((1970, 1, 1), "1970-01-02T00:00:00Z");
        check((2027, 1, 31), "2027-02-01T00:00:00Z");
        check((2028, 2, 28), "2028-02-29T00:00:00Z");
        check((2028, 2, 29), "2028-03-01T00:00:00Z");
        check((2100, 2, 28), "2100-03-01T00:00:00Z");
        check((2026, 12, 31), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_day_beyond_the_clock_never_ends() {
        assert_eq!(end_of_day(9999, 12, 31).0, i64::MAX);
        assert!(end_of_day(0, 1, 1).0 < 0);
    }
}
