//! Lengths of time as they are typed: `500ms`, `10s`, `1m30s`.

use std::time::Duration;

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// Nothing, or something that is neither a number nor a unit.
    #[error("a time is written like 500ms, 10s, 1m30s or 2h")]
    Malformed,
    /// More than a year.
    #[error("the time is longer than a year")]
    TooLong,
    /// Nothing at all.
    #[error("the time is zero")]
    Zero,
}

const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads a length of time: whole numbers, each followed by `ms`, `s`, `m` or `h`, without spaces.
///
/// # Errors
/// When the text is anything else, nothing, or more than a year.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits =
            rest.find(|character: char| !character.is_ascii_digit()).ok_or(NotADuration::Malformed)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        total = total.saturating_add(one(number, unit)?);
        rest = after;
    }
    match total {
        _ if text.is_empty() => Err(NotADuration::Malformed),
        Duration::ZERO => Err(NotADuration::Zero),
        total if total > LONGEST => Err(NotADuration::TooLong),
        total => Ok(total),
    }
}

fn one(number: &str, unit: &str) -> Result<Duration, NotADuration> {
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        _ => return Err(NotADuration::Malformed),
    };
    if number.is_empty() {
        return Err(NotADuration::Malformed);
    }
    let number: u64 = number.parse().map_err(|_| NotADuration::TooLong)?;
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)))
}

#[cfg(test)]
mod tests {
    use super::{NotADuration, parse};
    use std::time::Duration;

    fn check(text: &str, expected: Result<u64, NotADuration>) {
        assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn numbers_with_units_add_up() {
        check("500ms", Ok(500));
        check("10s", Ok(10_000));
        check("1m", Ok(60_000));
        check("1m30s", Ok(90_000));
        check("2h1ms", Ok(7_200_001));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10x", "1s2", "٣s", "10S", "1s "] {
            check(text, Err(NotADuration::Malformed));
        }
        check("0s", Err(NotADuration::Zero));
        check("99999999999999999999h", Err(NotADuration::TooLong));
        check("18446744073709551615h", Err(NotADuration::TooLong));
        check("9000h", Err(NotADuration::TooLong));
    }
}
