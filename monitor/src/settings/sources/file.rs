//! The file with settings.

use super::keys::{Key, Kind, Unfit};
use crate::document::{self, Mistakes, describe, nearest};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is expected where nothing is near to what was written.
const LISTED: &str = "a setting, as `vethwatch agent --print-config` lists them";
/// The most characters of a key that a message quotes.
const QUOTED: usize = 64;

/// The values of a file by the names of their keys, each with its place; absent where it is wrong.
pub(super) type Values<'k> = BTreeMap<&'k str, (Option<Vec<String>>, Range<usize>)>;

/// Reads a text; what is wrong in it is noted and left out.
pub(super) fn values<'k>(text: &str, keys: &'k [Key], mistakes: &mut Mistakes<'_>) -> Values<'k> {
    let document = document::read(text, mistakes);
    let mut values = Values::new();
    if let DeValue::Table(table) = document.get_ref() {
        of_table(table, None, keys, &mut values, mistakes);
    }
    values
}

fn of_table<'k>(
    table: &DeTable<'_>,
    within: Option<&str>,
    keys: &'k [Key],
    values: &mut Values<'k>,
    mistakes: &mut Mistakes<'_>,
) {
    for (written, value) in table {
        let known = keys.iter().find(|key| {
            key.in_file && key.table.as_deref() == within && key.name_in_table() == written.get_ref()
        });
        let is_table = |key: &Key| key.table.as_deref() == Some(written.get_ref().as_ref());
        match (known, value.get_ref()) {
            (Some(key), _) => {
                values.insert(&key.name, (texts(key, value, mistakes), value.span()));
            }
            (None, DeValue::Table(inner)) if within.is_none() && keys.iter().any(is_table) => {
                of_table(inner, Some(written.get_ref()), keys, values, mistakes);
            }
            (None, other) if within.is_none() && keys.iter().any(is_table) => {
                let message = format!("`{}` is {}", written.get_ref(), describe(other));
                mistakes.add(&value.span(), message, format_args!("`[{}]`", written.get_ref()));
            }
            (None, _) => unknown(written, within, keys, mistakes),
        }
    }
}

/// Notes a key that there is not, with what may have been meant.
fn unknown(
    written: &Spanned<std::borrow::Cow<'_, str>>,
    within: Option<&str>,
    keys: &[Key],
    mistakes: &mut Mistakes<'_>,
) {
    let name: String = written.get_ref().chars().take(QUOTED).collect();
    let message = match within {
        Some(table) => format!("unknown key `{name}` in `[{table}]`"),
        None => format!("unknown key `{name}`"),
    };
    if mistakes.is_full() {
        return mistakes.add(&written.span(), message, LISTED);
    }
    let in_file = || keys.iter().filter(|key| key.in_file);
    // A key behind the header of a table is in that table, which is not what everybody means.
    let elsewhere = in_file().find(|key| key.name == name || key.path() == name);
    let expected = match elsewhere {
        Some(Key { table: None, name, .. }) => format!("`{name}` above the first `[table]`"),
        Some(key @ Key { table: Some(table), .. }) => format!("`{}` in `[{table}]`", key.name_in_table()),
        None => {
            let beside = in_file().filter(|key| key.table.as_deref() == within).map(Key::name_in_table);
            let tables = in_file().filter(|_| within.is_none()).filter_map(|key| key.table.as_deref());
            nearest(&name, beside.chain(tables)).map_or_else(|| LISTED.to_owned(), |near| format!("`{near}`"))
        }
    };
    mistakes.add(&written.span(), message, expected);
}

/// A value as it would be typed; a list has several.
fn texts(key: &Key, value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Option<Vec<String>> {
    match (key.kind, value.get_ref()) {
        (Kind::List, DeValue::Array(list)) if !list.is_empty() => {
            let texts: Vec<Option<String>> = list.iter().map(|value| one(key, value, mistakes)).collect();
            texts.into_iter().collect()
        }
        _ => one(key, value, mistakes).map(|text| vec![text]),
    }
}

fn one(key: &Key, value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = match (key.kind, value.get_ref()) {
        (Kind::Switch, DeValue::Boolean(is_on)) => Some(is_on.to_string()),
        (Kind::Number, DeValue::Integer(number)) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        (Kind::Text | Kind::List, DeValue::String(text)) => Some(text.to_string()),
        _ => None,
    };
    let judged = text.as_deref().map_or_else(|| Err(Unfit::Expected(key.example())), |text| key.judge(text));
    let message = format!("`{}` is {}", key.path(), describe(value.get_ref()));
    match judged {
        Ok(()) => return text,
        Err(Unfit::Expected(expected)) => mistakes.add(&value.span(), message, expected),
        Err(Unfit::Because(why)) => mistakes.add(&value.span(), format_args!("{message}: {why}"), ""),
    }
    None
}
