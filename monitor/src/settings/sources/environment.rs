//! The environment.

use super::keys::{Key, Kind, PREFIX, Unfit};
use crate::document::nearest;
use crate::model::SafeText;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// The values of the environment by the names of their keys; absent where one is wrong.
pub(super) type Values<'k> = BTreeMap<&'k str, Option<Vec<String>>>;

/// Reads the environment; what is wrong in it is noted. A variable that is empty counts as not set.
pub(super) fn values<'k>(
    variables: &BTreeMap<String, OsString>,
    keys: &'k [Key],
    wrong: &mut Vec<String>,
) -> Values<'k> {
    let mut values = Values::new();
    for key in keys {
        let variable = key.variable();
        let Some(written) = variables.get(&variable).filter(|written| !written.is_empty()) else { continue };
        let texts = texts(key, written).map_err(|why| wrong.push(format!("{variable} {why}")));
        values.insert(key.name.as_str(), texts.ok());
    }
    values
}

/// Variables that are near to one of a key, and are none: as good as surely a slip.
pub(super) fn slips(variables: &BTreeMap<String, OsString>, keys: &[Key]) -> Vec<String> {
    let slip = |variable: &String| {
        let name = variable.strip_prefix(PREFIX)?.to_lowercase().replace('_', "-");
        let near = nearest(&name, keys.iter().map(|key| key.name.as_str())).filter(|near| *near != name)?;
        let meant = keys.iter().find(|key| key.name == near)?.variable();
        Some(format!("{} is no setting; {meant} is one", SafeText::of_length(variable, 64)))
    };
    variables.keys().filter_map(slip).collect()
}

/// A value as it would be typed; a list has several.
fn texts(key: &Key, written: &OsString) -> Result<Vec<String>, String> {
    let text = written.to_str().ok_or_else(|| "is no text in UTF-8".to_owned())?;
    let texts: Vec<String> = match key.kind {
        Kind::List => text.split(',').map(str::to_owned).collect(),
        Kind::Switch | Kind::Number | Kind::Text => vec![text.to_owned()],
    };
    for text in &texts {
        let safe = SafeText::of_length(text, 64);
        key.judge(text).map_err(|unfit| match unfit {
            Unfit::Expected(expected) => format!("is \"{safe}\"; expected {expected}"),
            Unfit::Because(why) => format!("is \"{safe}\": {why}"),
        })?;
    }
    Ok(texts)
}
