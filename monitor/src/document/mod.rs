//! TOML that people write: read as far as it goes, so that all that is wrong in it is told at once, with its place.
//!
//! Who reads a document walks its values and notes each [`Mistake`] in a list of [`Mistakes`]. What is written may be
//! anything: it is bounded here, and text of it is made safe where it is quoted.

mod mistakes;
mod suggest;
mod words;

pub use mistakes::{Mistake, Mistakes};
pub use suggest::nearest;
pub use words::{describe, one_of};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most bytes of a file that is read.
pub const MOST_BYTES: usize = 1 << 20;
/// The most characters of a piece of the file that a message quotes.
const QUOTED: usize = 40;

/// The content of a file as text.
///
/// # Errors
/// When it is too large, or no UTF-8.
pub fn text(content: &[u8]) -> Result<&str, Vec<Mistake>> {
    if content.len() > MOST_BYTES {
        let mut mistakes = Mistakes::of("");
        mistakes.add(&(0..0), "the file is larger than 1 MiB", "at most 1 MiB");
        return Err(mistakes.finish());
    }
    std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to();
        let before = String::from_utf8_lossy(&content[..at]);
        let mut mistakes = Mistakes::of(&before);
        mistakes.add(&(at..at), "bytes that are no UTF-8", "text in UTF-8");
        mistakes.finish()
    })
}

/// What can be read of a text as TOML: a table.
pub fn read<'t>(text: &'t str, mistakes: &mut Mistakes<'_>) -> Spanned<DeValue<'t>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        let (problem, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
        let quoted: String = text.get(at.clone()).unwrap_or("").chars().take(QUOTED).collect();
        let message =
            if quoted.trim().is_empty() { problem.to_owned() } else { format!("{problem}: `{quoted}`") };
        let expected = match (expected, problem) {
            ("", "duplicate key") => "each key once",
            ("", _) => "TOML as of toml.io",
            (expected, _) => expected,
        };
        mistakes.tear(&at, message, expected);
    }
    Spanned::new(document.span(), DeValue::Table(document.into_inner()))
}
