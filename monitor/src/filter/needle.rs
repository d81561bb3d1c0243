//! Text that is looked for, whatever its case.

use std::fmt::{self, Write};
use std::net::IpAddr;

/// Text that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needle(String);

impl Needle {
    /// Looks for `text` in any case.
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().flat_map(char::to_lowercase).collect())
    }

    /// Whether a text has it somewhere.
    pub(super) fn is_in(&self, text: &str) -> bool {
        match (self.0.is_ascii(), text.is_ascii()) {
            (true, true) => self.is_in_ascii(text.as_bytes()),
            (false, true) => false,
            (_, false) => text.char_indices().any(|(from, _)| self.begins(&text[from..])),
        }
    }

    /// Whether a text begins with it.
    pub(super) fn begins(&self, text: &str) -> bool {
        let mut lower = text.chars().flat_map(char::to_lowercase);
        self.0.chars().all(|wanted| lower.next() == Some(wanted))
    }

    fn is_in_ascii(&self, text: &[u8]) -> bool {
        let needle = self.0.as_bytes();
        let Some((first, rest)) = needle.split_first() else { return true };
        let starts = text.len().saturating_sub(rest.len());
        text[..starts].iter().enumerate().any(|(at, byte)| {
            byte.to_ascii_lowercase() == *first
                && text[at + 1..at + 1 + rest.len()].eq_ignore_ascii_case(rest)
        })
    }
}

/// An address as text, without a place on the heap.
pub(super) struct AddressText {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl AddressText {
    /// The longest text of an address is that of a mapped one.
    const LONGEST: usize = 48;

    pub(super) fn of(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; Self::LONGEST], length: 0 };
        write!(text, "{address}").expect("an address has at most 45 characters");
        text
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only whole texts were written")
    }
}

impl Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}
