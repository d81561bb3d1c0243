//! From the text of a file to its rules; every mistake is noted, and what has one is left out.

mod accept;
mod fields;
mod rule;
mod selector;
mod traffic;
mod values;

use super::mistakes::Mistakes;
use super::{Accept, MOST_BYTES, MOST_ENTRIES, Mistake, Policy, Rule};
use accept::accept;
use fields::Fields;
use rule::{Names, rule};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of a file.
const KEYS: [&str; 2] = ["rule", "accept"];
/// The most characters of a piece of the file that a message quotes.
const QUOTED: usize = 40;

/// Reads a file's content.
pub(super) fn policy(content: &[u8]) -> Result<Policy, Vec<Mistake>> {
    if content.len() > MOST_BYTES {
        let mut mistakes = Mistakes::of("");
        mistakes.add(&(0..0), "the file is larger than 1 MiB", "at most 1 MiB");
        return Err(mistakes.finish());
    }
    let text = text_of(content)?;
    let mut mistakes = Mistakes::of(text);
    let document = document(text, &mut mistakes);
    let policy = entries(&document, &mut mistakes);
    let mistakes = mistakes.finish();
    if mistakes.is_empty() { Ok(policy) } else { Err(mistakes) }
}

/// The content as text.
fn text_of(content: &[u8]) -> Result<&str, Vec<Mistake>> {
    std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to();
        let before = String::from_utf8_lossy(&content[..at]);
        let mut mistakes = Mistakes::of(&before);
        mistakes.add(&(at..at), "bytes that are no UTF-8", "text in UTF-8");
        mistakes.finish()
    })
}

/// What can be read of a text as TOML.
fn document<'t>(text: &'t str, mistakes: &mut Mistakes<'_>) -> Spanned<DeValue<'t>> {
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

fn entries(document: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Policy {
    let Some(fields) = Fields::open(document, "the file", &KEYS, mistakes) else { return Policy::default() };
    let mut names = Names::default();
    let rules: Vec<Rule> = list_of(&fields, "rule", mistakes)
        .iter()
        .filter_map(|value| rule(value, &mut names, mistakes))
        .collect();
    let accepts: Vec<Accept> = list_of(&fields, "accept", mistakes)
        .iter()
        .filter_map(|value| accept(value, &names, mistakes))
        .collect();
    Policy { rules, accepts }
}

/// The entries `[[key]]`, cut to as many as are allowed.
fn list_of<'d, 't>(
    fields: &Fields<'d, 't>,
    key: &str,
    mistakes: &mut Mistakes<'_>,
) -> &'d [Spanned<DeValue<'t>>] {
    let Some(value) = fields.get(key) else { return &[] };
    let DeValue::Array(list) = value.get_ref() else {
        let found = values::describe(value.get_ref());
        mistakes.add(&value.span(), format_args!("`{key}` is {found}"), format_args!("`[[{key}]]`"));
        return &[];
    };
    if let Some(first_over) = list.get(MOST_ENTRIES) {
        let message = format_args!("{} entries `[[{key}]]`", list.len());
        mistakes.add(&first_over.span(), message, format_args!("at most {MOST_ENTRIES}"));
    }
    &list[..list.len().min(MOST_ENTRIES)]
}
