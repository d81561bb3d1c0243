//! Numbers for people.

use std::time::Duration;

const BINARY: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const BITS: [&str; 6] = ["kb", "Mb", "Gb", "Tb", "Pb", "Eb"];
const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

/// Bytes in units of 1,024, at most 8 columns: `812 B`, `1.37 KiB`, `12.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1_024 { format!("{count} B") } else { scaled(count, 1_024, &BINARY) }
}

/// Bits in units of 1,000, at most 7 columns: `812 b`, `1.37 kb`, `12.3 Mb`.
pub(crate) fn bits(count: u64) -> String {
    if count < 1_000 { format!("{count} b") } else { scaled(count, 1_000, &BITS) }
}

/// A count, at most 7 columns: `9,412`, `1.26 M`.
pub(crate) fn count(count: u64) -> String {
    if count < 1_000_000 { exact(count) } else { scaled(count, 1_000, &DECIMAL) }
}

/// A count with all its digits: `1,003,111`.
pub(crate) fn exact(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 packet`, `1,203 packets`.
pub(crate) fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", exact(number), if number == 1 { "" } else { "s" })
}

/// What a second's share of a count over a window is; `None` for a window of no length.
pub(crate) fn per_second(count: u64, window: Duration) -> Option<u64> {
    let nanoseconds = window.as_nanos();
    let share = (u128::from(count) * 1_000_000_000 + nanoseconds / 2).checked_div(nanoseconds)?;
    Some(u64::try_from(share).unwrap_or(u64::MAX))
}

/// A part of a whole in per cent: `3.2 %`; never rounded to 0 or 100 when it is not.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    match tenths {
        0 => "<0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A length of time with three digits: `213 µs`, `1.04 ms`, `12.0 s`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    let (unit, name) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{} {name}", three_digits(nanoseconds, unit))
}

/// An age, at most 6 columns: `7 s`, `12 m`, `3.5 h`, `12 d`.
pub(crate) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m", seconds / 60),
        3_600..86_400 => format!("{}.{} h", seconds / 3_600, seconds % 3_600 / 360),
        _ => format!("{} d", (seconds / 86_400).min(9_999)),
    }
}

/// `count` in the first of `units` in which it has at most three digits before the point.
fn scaled(count: u64, step: u64, units: &[&str]) -> String {
    let (count, step) = (u128::from(count), u128::from(step));
    let (mut unit, mut names) = (step, units.iter());
    let mut name = names.next();
    while count >= unit * 1_000 {
        unit *= step;
        name = names.next();
    }
    format!("{} {}", three_digits(count, unit), name.expect("64 bits fit the last unit"))
}

/// `value / unit` with three significant digits, cut off, not rounded up.
fn three_digits(value: u128, unit: u128) -> String {
    let whole = value / unit;
    let hundredths = value * 100 / unit % 100;
    match whole {
        0..10 => format!("{whole}.{hundredths:02}"),
        10..100 => format!("{whole}.{}", hundredths / 10),
        _ => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{age, bits, bytes, count, duration, per_second, plural, share};
    use std::time::Duration;

    #[test]
    fn bytes_have_three_digits_and_fit_eight_columns() {
        for (number, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.00 KiB"),
            (1_403, "1.37 KiB"),
            (1_023_999, "999 KiB"),
            (1_024_000, "0.97 MiB"),
            (12_900_000, "12.3 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(number), expected);
            assert!(bytes(number).len() <= 8);
        }
    }

    #[test]
    fn counts_fit_seven_columns() {
        for (number, expected) in
            [(0, "0"), (9_412, "9,412"), (999_999, "999,999"), (1_263_111, "1.26 M"), (u64::MAX, "18.4 E")]
        {
            assert_eq!(count(number), expected);
            assert!(count(number).len() <= 7);
        }
        assert_eq!(
            (plural(1, "packet"), plural(1_203, "packet")),
            ("1 packet".into(), "1,203 packets".into())
        );
    }

    #[test]
    fn bits_fit_seven_columns_and_ages_six() {
        for (number, expected) in [(0, "0 b"), (999, "999 b"), (12_300_000, "12.3 Mb"), (u64::MAX, "18.4 Eb")]
        {
            assert_eq!(bits(number), expected);
        }
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (3_599, "59 m"),
            (12_600, "3.5 h"),
            (90_000, "1 d"),
            (u64::MAX, "9999 d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_rate_needs_a_window() {
        assert_eq!(per_second(100, Duration::ZERO), None);
        assert_eq!(per_second(100, Duration::from_millis(500)), Some(200));
        assert_eq!(per_second(u64::MAX, Duration::from_nanos(1)), Some(u64::MAX));
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_all() {
        for (part, whole, expected) in [
            (0, 7, "0 %"),
            (1, 1_000_000, "<0.1 %"),
            (1, 3, "33.3 %"),
            (999_999, 1_000_000, "99.9 %"),
            (7, 7, "100 %"),
        ] {
            assert_eq!(share(part, whole), expected);
        }
    }

    #[test]
    fn lengths_of_time_have_three_digits() {
        for (nanoseconds, expected) in
            [(12, "12 ns"), (213_500, "213 µs"), (1_049_000, "1.04 ms"), (12_000_000_000, "12.0 s")]
        {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
