//! Plain values: texts, lists, one of some words.

use crate::document::{Mistakes, describe, nearest, one_of};
use crate::model::SafeText;
use toml::Spanned;
use toml::de::DeValue;

/// The most characters of a name, a pattern or a comment: as many as are kept of a text from outside.
const LONGEST: usize = 256;
/// The most values of a list.
const MOST_VALUES: usize = 64;

/// A text that is not empty and not too long.
pub(super) fn text<'d>(
    value: &'d Spanned<DeValue<'_>>,
    key: &str,
    expected: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<&'d str> {
    match value.get_ref() {
        DeValue::String(text) if text.is_empty() => {
            mistakes.add(&value.span(), format_args!("`{key}` is empty"), expected);
        }
        DeValue::String(text) if text.chars().nth(LONGEST).is_some() => {
            let message = format_args!("`{key}` is longer than {LONGEST} characters");
            mistakes.add(&value.span(), message, format_args!("at most {LONGEST} characters"));
        }
        DeValue::String(text) => return Some(text),
        other => {
            mistakes.add(&value.span(), format_args!("`{key}` is {}", describe(other)), expected);
        }
    }
    None
}

/// A comment, which any text can be.
pub(super) fn comment(value: Option<&Spanned<DeValue<'_>>>, mistakes: &mut Mistakes<'_>) -> Option<SafeText> {
    value.and_then(|value| text(value, "comment", "a text", mistakes)).map(SafeText::new)
}

/// The values of a list, or the one value that stands for a list of one.
pub(super) fn values<'d, 't>(
    value: &'d Spanned<DeValue<'t>>,
    key: &str,
    expected: &str,
    mistakes: &mut Mistakes<'_>,
) -> &'d [Spanned<DeValue<'t>>] {
    let DeValue::Array(list) = value.get_ref() else { return std::slice::from_ref(value) };
    if list.is_empty() {
        mistakes.add(&value.span(), format_args!("`{key}` is an empty list"), expected);
    } else if list.len() > MOST_VALUES {
        let message = format_args!("`{key}` has {} values", list.len());
        mistakes.add(&value.span(), message, format_args!("at most {MOST_VALUES}"));
    }
    &list[..list.len().min(MOST_VALUES)]
}

/// One of some words, each with what it means.
pub(super) fn word<T: Copy>(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    words: &[(&'static str, T)],
    mistakes: &mut Mistakes<'_>,
) -> Option<T> {
    let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
    let expected = one_of(&names);
    let written = text(value, key, &expected, mistakes)?;
    let found = words.iter().find(|(name, _)| *name == written);
    if found.is_none() {
        let message = format!("`{key}` is {}", describe(value.get_ref()));
        match nearest(written, names) {
            Some(near) => mistakes.add(&value.span(), message, format_args!("\"{near}\"")),
            None => mistakes.add(&value.span(), message, expected),
        }
    }
    found.map(|(_, meaning)| *meaning)
}
