//! Text from outside, made safe once, at the door.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The most characters of a text that are kept.
const LONGEST: usize = 256;
/// The most characters of a safe text: each may be an escape, which has ten at most, and `…` ends it.
const LONGEST_SAFE: usize = LONGEST * 10 + 1;

/// Text that may be printed to a terminal or a log as it is.
///
/// Control characters (C0, C1, DEL), bidirectional marks and overrides, zero-width and other invisible format
/// characters, line and paragraph separators, private-use and non-characters are replaced by a visible escape
/// (`\u{1b}`); a text of more than 256 characters is cut and ends in `…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeText(Arc<str>);

impl SafeText {
    /// Makes a text safe.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self::cut(raw, LONGEST)
    }

    /// Makes a text safe that may be longer or has to be shorter than the usual: it is cut after `longest` characters.
    #[must_use]
    pub fn of_length(raw: &str, longest: usize) -> Self {
        Self::cut(raw, longest)
    }

    fn cut(raw: &str, longest: usize) -> Self {
        let mut safe = String::with_capacity(raw.len().min(longest));
        for (count, character) in raw.chars().enumerate() {
            if count == longest {
                safe.push('…');
                break;
            }
            if is_printable(character) {
                safe.push(character);
            } else {
                write!(safe, "\\u{{{:x}}}", u32::from(character)).expect("writing to a String cannot fail");
            }
        }
        Self(safe.into())
    }

    /// Makes bytes that may not be UTF-8 safe; each invalid sequence becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(raw))
    }

    /// The safe text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character shows as itself and changes nothing around it.
pub(crate) fn is_printable(character: char) -> bool {
    !(character.is_control()
        || matches!(u32::from(character),
            0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0E | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFFB | 0xFFFE | 0xFFFF | 0xE000..=0xF8FF | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF
            | 0xF0000..=0x10FFFF))
}

impl fmt::Display for SafeText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl Serialize for SafeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What was safe stays as it is; what was not is made safe.
impl<'de> Deserialize<'de> for SafeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::cut(&String::deserialize(deserializer)?, LONGEST_SAFE))
    }
}

#[cfg(test)]
mod tests {
    use super::SafeText;

    fn check(raw: &str, expected: &str) {
        assert_eq!(SafeText::new(raw).as_str(), expected);
    }

    #[test]
    fn ordinary_names_are_kept() {
        check("shop-web-1", "shop-web-1");
        check("日本語 café 🐳", "日本語 café 🐳");
    }

    #[test]
    fn escape_sequences_become_visible() {
        check("a\x1b[31mb", "a\\u{1b}[31mb");
        check("a\u{9b}31mb", "a\\u{9b}31mb");
        check("a\r\nb\x7f", "a\\u{d}\\u{a}b\\u{7f}");
    }

    #[test]
    fn direction_marks_and_invisible_characters_become_visible() {
        check(
            "a\u{202e}b\u{200f}c\u{2066}d\u{feff}e\u{200b}",
            "a\\u{202e}b\\u{200f}c\\u{2066}d\\u{feff}e\\u{200b}",
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = SafeText::new(&"x".repeat(4_000));
        assert_eq!(text.as_str().chars().count(), 257);
        assert!(text.as_str().ends_with('…'));
    }

    #[test]
    fn invalid_utf8_becomes_replacement_characters() {
        assert_eq!(SafeText::from_bytes(b"a\xff\xfeb").as_str(), "a\u{fffd}\u{fffd}b");
    }
}
