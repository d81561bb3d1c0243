//! One rule.

use super::super::{Action, Rule, Severity};
use super::fields::Fields;
use super::traffic::pattern;
use super::values::{comment, text, word};
use crate::document::{Mistakes, describe, nearest};
use crate::model::SafeText;
use crate::policy::BUILT_IN;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;

const KEYS: [&str; 8] = ["name", "action", "from", "to", "protocol", "ports", "severity", "comment"];
const ACTIONS: [(&str, Action); 3] =
    [("allow", Action::Allow), ("deny", Action::Deny), ("report", Action::Report)];
const SEVERITIES: [(&str, Severity); 3] =
    [("critical", Severity::Critical), ("warning", Severity::Warning), ("info", Severity::Info)];
/// The most characters of a rule's name.
const LONGEST_NAME: usize = 64;
/// The most names that one that no rule has is compared with.
const MOST_COMPARED: usize = 256;

/// The names of the rules so far.
#[derive(Default)]
pub(super) struct Names {
    /// Each with the line where it is given.
    lines: BTreeMap<String, usize>,
    /// The first rule that matches everything, and its line: no rule after it is ever reached.
    everything: Option<(String, usize)>,
}

impl Names {
    /// Whether a rule has that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lines.contains_key(name)
    }

    /// The name that is near to one that no rule has; of very many, only the first are looked at.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, BUILT_IN.into_iter().chain(self.lines.keys().take(MOST_COMPARED).map(String::as_str)))
    }
}

/// Reads a rule; none if it lacks what it needs.
pub(super) fn rule(
    value: &Spanned<DeValue<'_>>,
    names: &mut Names,
    mistakes: &mut Mistakes<'_>,
) -> Option<Rule> {
    let fields = Fields::open(value, "a rule", &KEYS, mistakes)?;
    let name = fields.need("name", "\"web-to-db\"", mistakes).and_then(|name| named(name, names, mistakes));
    let words = "\"allow\", \"deny\" or \"report\"";
    let action = fields.need("action", words, mistakes);
    let action = action.and_then(|action| word(action, "action", &ACTIONS, mistakes));
    let severity = fields.get("severity");
    let severity = severity.and_then(|severity| word(severity, "severity", &SEVERITIES, mistakes));
    let comment = comment(fields.get("comment"), mistakes);
    let pattern = pattern(&fields, mistakes);
    let line = mistakes.line(fields.span.start);
    if let Some((earlier, line)) = &names.everything {
        let message = format_args!("never reached: rule `{earlier}` in line {line} matches everything");
        mistakes.add(&fields.span, message, "this rule before that one");
    } else if asks_nothing(&fields) {
        names.everything = Some((name.unwrap_or_default().to_owned(), line));
    }
    Some(Rule { name: SafeText::new(name?), action: action?, severity, comment, line, pattern })
}

/// Whether a rule mentions nothing of a conversation. (One whose mention has a mistake does.)
fn asks_nothing(fields: &Fields<'_, '_>) -> bool {
    fields.has_only(&["name", "action", "severity", "comment"])
}

/// A name that no other rule has.
fn named<'d>(
    value: &'d Spanned<DeValue<'_>>,
    names: &mut Names,
    mistakes: &mut Mistakes<'_>,
) -> Option<&'d str> {
    let expected = "letters, digits, `-`, `_` and `.`, at most 64";
    let name = text(value, "name", expected, mistakes)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > LONGEST_NAME || !name.chars().all(fits) {
        mistakes.add(&value.span(), format_args!("`name` is {}", describe(value.get_ref())), expected);
        return None;
    }
    if BUILT_IN.contains(&name) {
        let message = format_args!("`{name}` is the name of a built-in rule");
        mistakes.add(&value.span(), message, "a name of its own");
    }
    let line = mistakes.line(value.span().start);
    if let Some(earlier) = names.lines.get(name) {
        let message = format!("a second rule `{name}`, after the one in line {earlier}");
        mistakes.add(&value.span(), message, "a name of its own");
    } else {
        names.lines.insert(name.to_owned(), line);
    }
    Some(name)
}
