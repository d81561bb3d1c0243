//! From the text of a file to its rules; every mistake is noted, and what has one is left out.

mod accept;
mod fields;
mod rule;
mod selector;
mod traffic;
mod values;

use super::{Accept, MOST_ENTRIES, Mistake, Policy, Rule};
use crate::document::{self, Mistakes, describe};
use accept::accept;
use fields::Fields;
use rule::{Names, rule};
use toml::Spanned;
use toml::de::DeValue;

/// The keys of a file.
const KEYS: [&str; 2] = ["rule", "accept"];

/// Reads a file's content.
pub(super) fn policy(content: &[u8]) -> Result<Policy, Vec<Mistake>> {
    let text = document::text(content)?;
    let mut mistakes = Mistakes::of(text);
    let document = document::read(text, &mut mistakes);
    let policy = entries(&document, &mut mistakes);
    let mistakes = mistakes.finish();
    if mistakes.is_empty() { Ok(policy) } else { Err(mistakes) }
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
        let found = describe(value.get_ref());
        mistakes.add(&value.span(), format_args!("`{key}` is {found}"), format_args!("`[[{key}]]`"));
        return &[];
    };
    if let Some(first_over) = list.get(MOST_ENTRIES) {
        let message = format_args!("{} entries `[[{key}]]`", list.len());
        mistakes.add(&first_over.span(), message, format_args!("at most {MOST_ENTRIES}"));
    }
    &list[..list.len().min(MOST_ENTRIES)]
}
