//! Sizes as they are typed: `64KB`, `100MB`, `2GB`.

/// Why a text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    /// Something that is not a whole number and a unit.
    #[error("a size is written like 64KB, 100MB or 2GB")]
    Malformed,
    /// Less than a line of text needs, or more than a disk has.
    #[error("the size must be between 64KB and 1000GB")]
    OutOfRange,
}

/// Reads a size in bytes: a whole number and `KB`, `MB` or `GB`, which are thousands.
///
/// # Errors
/// When the text is anything else, less than 64 KB or more than 1,000 GB.
pub(super) fn parse(text: &str) -> Result<u64, NotASize> {
    const KILOBYTE: u64 = 1_000;
    let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or(NotASize::Malformed)?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "KB" => KILOBYTE,
        "MB" => KILOBYTE * KILOBYTE,
        "GB" => KILOBYTE * KILOBYTE * KILOBYTE,
        _ => return Err(NotASize::Malformed),
    };
    if number.is_empty() {
        return Err(NotASize::Malformed);
    }
    // What does not fit is too large.
    let bytes = number.parse().unwrap_or(u64::MAX).saturating_mul(unit);
    let allowed = 64 * KILOBYTE..=1_000 * KILOBYTE * KILOBYTE * KILOBYTE;
    if allowed.contains(&bytes) { Ok(bytes) } else { Err(NotASize::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use super::{NotASize, parse};

    #[test]
    fn a_number_and_a_unit_are_bytes() {
        assert_eq!(parse("64KB"), Ok(64_000));
        assert_eq!(parse("100MB"), Ok(100_000_000));
        assert_eq!(parse("1000GB"), Ok(1_000_000_000_000));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "100", "MB", "1.5MB", "-1MB", "1 MB", "1mb", "1MiB", "٣MB"] {
            assert_eq!(parse(text), Err(NotASize::Malformed), "{text}");
        }
        for text in ["0KB", "63KB", "1001GB", "99999999999999999999GB"] {
            assert_eq!(parse(text), Err(NotASize::OutOfRange), "{text}");
        }
    }
}
