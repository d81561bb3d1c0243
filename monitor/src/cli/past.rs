//! Moments as they are typed, and the time that is looked back at.

use super::durations::{self, NotADuration};
use crate::model::WallTime;
use clap::Args;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::str::FromStr;
use std::time::Duration;

/// Seconds since 1970 have at least so many digits; fewer are taken for a time without its unit.
const UNIX_DIGITS: usize = 9;
/// One day, in nanoseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Options of commands that can look back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Past {
    /// Look back, instead of now: from this moment on. So long ago (15m), a time of day (03:12), a date and time
    /// (2026-11-30T03:12:00Z), or seconds since 1970. A time without a zone is in UTC, as all that is printed. An agent keeps
    /// one hour: docs/history.md.
    #[arg(long, value_name = "TIME", conflicts_with = "watch_for")]
    pub since: Option<When>,
    /// Look back, until this moment [default: now].
    #[arg(long, value_name = "TIME", conflicts_with = "watch_for")]
    pub until: Option<When>,
}

impl Past {
    /// Whether it is asked to look back.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// A container by its name or the beginning of its id, or a service (or project/service).
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// From when: so long ago (15m), a time of day (03:12), a date and time (2026-11-30T03:12:00Z), or seconds since 1970. A
    /// time without a zone is in UTC, as all that is printed.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub since: When,
    /// Until when [default: now].
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// How long each row of NAME is, at least [default: so that there are 60 at most].
    #[arg(long, value_name = "TIME", value_parser = durations::parse, requires = "name")]
    pub step: Option<Duration>,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(Duration),
    /// On the wall clock.
    At(WallTime),
    /// The last time that it was so late in the day, in nanoseconds, UTC.
    TimeOfDay(i64),
}

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMoment {
    /// It is none.
    #[error(
        "a moment is written like 15m (ago), 03:12 (UTC), 2026-11-30T03:12:00Z, or 1795511403 (seconds since 1970)"
    )]
    Malformed,
    /// It is too far away.
    #[error("that is too far away")]
    TooFar,
}

impl FromStr for When {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return if text.len() < UNIX_DIGITS { Err(NotAMoment::Malformed) } else { unix(text) };
        }
        match durations::parse(text) {
            Ok(ago) => return Ok(Self::Ago(ago)),
            Err(NotADuration::TooLong) => return Err(NotAMoment::TooFar),
            Err(NotADuration::Malformed | NotADuration::Zero) => {}
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return wall(at);
        }
        // What has a zone and is no moment would be read as if it had none.
        let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
        let is_of = |part: &str, signs: &[u8]| {
            part.bytes().all(|byte| byte.is_ascii_digit() || signs.contains(&byte))
        };
        if !is_of(date, b"-:.") || !is_of(time, b":.") || (text.len() > date.len() && time.is_empty()) {
            return Err(NotAMoment::Malformed);
        }
        if date.contains(':')
            && time.is_empty()
            && let Ok(time) = text.parse::<Time>()
        {
            let since_midnight = time.duration_since(Time::midnight()).as_nanos();
            return i64::try_from(since_midnight).map(Self::TimeOfDay).map_err(|_| NotAMoment::Malformed);
        }
        let at: DateTime = text.parse().map_err(|_| NotAMoment::Malformed)?;
        let at: Zoned = at.to_zoned(TimeZone::UTC).map_err(|_| NotAMoment::TooFar)?;
        wall(at.timestamp())
    }
}

fn unix(seconds: &str) -> Result<When, NotAMoment> {
    let seconds = seconds.parse().map_err(|_| NotAMoment::TooFar)?;
    wall(Timestamp::from_second(seconds).map_err(|_| NotAMoment::TooFar)?)
}

fn wall(at: Timestamp) -> Result<When, NotAMoment> {
    i64::try_from(at.as_nanosecond()).map(WallTime).map(When::At).map_err(|_| NotAMoment::TooFar)
}

impl When {
    /// The moment, on the wall clock.
    #[must_use]
    pub fn resolve(self, now: WallTime) -> WallTime {
        match self {
            Self::Ago(ago) => {
                WallTime(now.0.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)))
            }
            Self::At(at) => at,
            Self::TimeOfDay(since_midnight) => {
                let today = now.0 - now.0.rem_euclid(DAY) + since_midnight;
                WallTime(if today > now.0 { today - DAY } else { today })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAMoment, When};
    use crate::model::WallTime;

    /// 2026-11-30T03:40:00Z.
    const NOW: WallTime = WallTime(1_796_010_000_000_000_000);
    const MINUTE: i64 = 60_000_000_000;

    #[track_caller]
    fn check(text: &str, minutes_ago: i64) {
        let when: When = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(when.resolve(NOW), WallTime(NOW.0 - minutes_ago * MINUTE), "{text}");
    }

    #[test]
    fn a_moment_is_written_as_users_of_other_tools_write_it() {
        check("15m", 15);
        check("1h30m", 90);
        check("03:12", 28);
        check("03:12:00", 28);
        check("03:41", 24 * 60 - 1);
        check("2026-11-30T03:12:00Z", 28);
        check("2026-11-30T03:12:00", 28);
        check("2026-11-30 03:12", 28);
        check("2026-11-30T04:12:00+01:00", 28);
        check("2026-11-30T03:12:00.000000000Z", 28);
        check("2026-11-30", 220);
        check("1796008320", 28);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "15",
            "yesterday",
            "03",
            "25:00",
            "03:60",
            "-15m",
            "15 m",
            "0s",
            "2026-13-01",
            "2026-11-30T",
            "2026-11-30T03:12:00[Europe/Berlin]",
            "2026-11-30T03:12:00+99:00",
            "\u{1b}[2J",
            "٣m",
            "1e9",
            "12345678",
        ] {
            assert_eq!(text.parse::<When>(), Err(NotAMoment::Malformed), "{text:?}");
        }
        for text in ["99999999999999999999", "999999999999999999", "2300-01-01T00:00:00Z", "99999999h"] {
            assert_eq!(text.parse::<When>(), Err(NotAMoment::TooFar), "{text:?}");
        }
        assert_eq!(When::Ago(std::time::Duration::MAX).resolve(WallTime(i64::MIN)), WallTime(i64::MIN));
    }
}
