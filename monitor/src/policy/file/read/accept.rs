//! One accepted finding.

use super::super::Accept;
use super::super::accept::end_of_day;
use super::fields::Fields;
use super::rule::Names;
use super::traffic::pattern;
use super::values::{comment, text, values};
use crate::document::{Mistakes, describe};
use crate::model::{SafeText, WallTime};
use crate::policy::BUILT_IN;
use toml::Spanned;
use toml::de::DeValue;

const KEYS: [&str; 7] = ["rule", "from", "to", "protocol", "ports", "until", "comment"];

/// Reads an accepted finding; none if it lacks what it needs.
pub(super) fn accept(
    value: &Spanned<DeValue<'_>>,
    names: &Names,
    mistakes: &mut Mistakes<'_>,
) -> Option<Accept> {
    let fields = Fields::open(value, "an accepted finding", &KEYS, mistakes)?;
    let rules = fields.need("rule", "\"cross-network\"", mistakes);
    let rules = rules.map(|value| rules_of(value, names, mistakes));
    let until = fields.need("until", "2027-01-31", mistakes).and_then(|value| until(value, mistakes));
    let comment = comment(fields.get("comment"), mistakes);
    let pattern = pattern(&fields, mistakes);
    let line = mistakes.line(fields.span.start);
    let (until, ends) = until?;
    Some(Accept { rules: rules?, until, ends, comment, line, pattern })
}

/// The rules it names: of this file, or built in.
fn rules_of(value: &Spanned<DeValue<'_>>, names: &Names, mistakes: &mut Mistakes<'_>) -> Box<[SafeText]> {
    let expected = "the name of a rule of this file or of a built-in one, or a list of them";
    let mut rules = Vec::new();
    for value in values(value, "rule", expected, mistakes) {
        let Some(name) = text(value, "rule", expected, mistakes) else { continue };
        if !BUILT_IN.contains(&name) && !names.has(name) {
            let message = format!("there is no rule `{name}`");
            let near = if mistakes.is_full() { None } else { names.nearest(name) };
            match near {
                Some(near) => mistakes.missing(&value.span(), message, format_args!("\"{near}\"")),
                None => mistakes.missing(&value.span(), message, expected),
            }
        }
        rules.push(SafeText::new(name));
    }
    rules.into()
}

/// The last day on which it counts, and its end.
fn until(value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Option<(SafeText, WallTime)> {
    let quoted = match value.get_ref() {
        DeValue::String(text) => DeValue::parse(text).ok(),
        _ => None,
    };
    let written = match quoted.as_ref().unwrap_or(value).get_ref() {
        DeValue::Datetime(written) => Some(*written),
        _ => None,
    };
    let day = written.filter(|written| written.time.is_none()).and_then(|written| written.date);
    let Some(day) = day else {
        mistakes.add(
            &value.span(),
            format_args!("`until` is {}", describe(value.get_ref())),
            "a day such as 2027-01-31",
        );
        return None;
    };
    Some((SafeText::new(&day.to_string()), end_of_day(day.year, day.month, day.day)))
}
