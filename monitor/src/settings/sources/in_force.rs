//! What is in force: each setting, its value, and where that comes from.

use super::keys::{Key, Kind};
use super::matches_of;
use super::origin::Origin;
use crate::model::is_printable;
use clap::ArgMatches;
use std::fmt::{self, Write as _};

/// Settings above the tables that a running agent can change; of the tables it can change all.
const AT_RUN_TIME: [&str; 3] = ["policy", "socket", "socket-group"];

/// All settings, in the order of `--help`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce(Vec<Entry>);

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The table of a file that it is in; absent above the first one.
    pub table: Option<String>,
    /// Its name in that table.
    pub name: String,
    /// Its value; absent is not set.
    pub value: Option<Value>,
    /// Where that comes from.
    pub origin: Origin,
}

/// A value, as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Number(u64),
    /// Anything else.
    Text(String),
    /// Several.
    List(Vec<String>),
}

impl Entry {
    /// Whether a running agent goes on with the value that it was started with.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        self.table.is_none() && !AT_RUN_TIME.contains(&self.name.as_str())
    }

    /// Its name from the top: `metrics.listen`.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.table {
            Some(table) => format!("{table}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl InForce {
    pub(super) fn of(keys: &[Key], matches: &ArgMatches, origin: impl Fn(&Key) -> Origin) -> Self {
        let in_file = keys.iter().filter(|key| key.in_file);
        let entry = |key: &Key| Entry {
            table: key.table.clone(),
            name: key.name_in_table().to_owned(),
            value: value(key, matches_of(matches, key)),
            origin: origin(key),
        };
        Self(in_file.map(entry).collect())
    }

    /// All of them: first those above the tables, then table by table.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let mut entries: Vec<&Entry> = self.0.iter().collect();
        entries.sort_by_key(|entry| &entry.table);
        entries.into_iter()
    }

    /// Those that have another value in `other`.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Entry> {
        self.0.iter().filter(|entry| {
            !other
                .0
                .iter()
                .any(|it| it.table == entry.table && it.name == entry.name && it.value == entry.value)
        })
    }
}

/// Its value by what clap was given for it.
fn value(key: &Key, matches: &ArgMatches) -> Option<Value> {
    let mut texts = matches.get_raw(&key.id)?.map(|text| text.to_string_lossy().into_owned());
    Some(match key.kind {
        Kind::Switch => Value::Switch(matches.get_flag(&key.id)),
        Kind::Number => Value::Number(texts.next()?.parse().ok()?),
        Kind::Text => Value::Text(texts.next()?),
        Kind::List => Value::List(texts.collect()),
    })
}

impl fmt::Display for InForce {
    /// As a file that says the same.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut within = &None;
        for entry in self.entries() {
            if let Some(table) = entry.table.as_ref().filter(|_| *within != entry.table) {
                write!(formatter, "\n[{table}]\n")?;
                within = &entry.table;
            }
            match &entry.value {
                Some(value) => writeln!(formatter, "{} = {value} # {}", entry.name, entry.origin)?,
                None => writeln!(formatter, "# {} is not set", entry.name)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { file, line } => write!(formatter, "{file}:{line}"),
            Self::Environment(name) | Self::Flag(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Display for Value {
    /// As TOML has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(is_on) => is_on.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => quote(formatter, text),
            Self::List(texts) => {
                formatter.write_char('[')?;
                for (number, text) in texts.iter().enumerate() {
                    formatter.write_str(if number == 0 { "" } else { ", " })?;
                    quote(formatter, text)?;
                }
                formatter.write_char(']')
            }
        }
    }
}

/// A basic string of TOML, in which everything that does not show as itself is an escape.
fn quote(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(formatter, "\\{character}")?,
            _ if is_printable(character) => formatter.write_char(character)?,
            _ => write!(formatter, "\\U{:08X}", u32::from(character))?,
        }
    }
    formatter.write_char('"')
}
