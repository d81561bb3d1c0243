//! Values of options.

use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// A time with its unit: `200ms`, `5s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let digits =
        text.find(|letter: char| !letter.is_ascii_digit()).context("a time needs a unit: ms, s or m")?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().context("a time starts with a number")?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        _ => anyhow::bail!("{unit:?} is no unit of time: use ms, s or m"),
    };
    milliseconds.map(Duration::from_millis).context("too long a time")
}

/// An Ethernet address: `02:42:ac:12:00:02`.
pub(crate) fn mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()
        .context("an Ethernet address is six hexadecimal bytes with colons")?;
    <[u8; 6]>::try_from(bytes).ok().context("an Ethernet address has six bytes")
}

/// Bytes in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl std::str::FromStr for Hex {
    type Err = anyhow::Error;

    /// White space between the digits is skipped.
    fn from_str(text: &str) -> Result<Self> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .context("not hexadecimal")?;
        ensure!(digits.len().is_multiple_of(2), "an odd number of hexadecimal digits");
        Ok(Self(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hex, duration, mac};
    use std::time::Duration;

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(duration("200ms").unwrap(), Duration::from_millis(200));
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        for wrong in ["", "5", "s", "5h", "18446744073709551615m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ethernet_addresses_have_six_bytes() {
        assert_eq!(mac("02:42:ac:12:00:fe").unwrap(), [2, 0x42, 0xac, 0x12, 0, 0xfe]);
        for wrong in ["", "02:42", "02:42:ac:12:00:02:03", "02:42:ac:12:00:xx"] {
            assert!(mac(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hexadecimal_may_have_spaces() {
        assert_eq!("01 02\nfF".parse::<Hex>().unwrap().0, [1, 2, 255]);
        assert!("0".parse::<Hex>().is_err());
        assert!("zz".parse::<Hex>().is_err());
    }
}
