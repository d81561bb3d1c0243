//! Where each value comes from, and what it is called for that.

use super::keys::Key;
use crate::model::SafeText;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// A file.
    File {
        /// Which.
        file: SafeText,
        /// The value's line, from 1.
        line: usize,
    },
    /// The environment: this variable.
    Environment(String),
    /// The command line: this flag.
    Flag(String),
}

impl Origin {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

/// What has set a value that is not the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setter {
    File(Range<usize>),
    Environment,
    Flag,
}

/// What has set each of the keys; those that are not in it have their default.
pub(super) type Setters<'k> = BTreeMap<&'k str, Setter>;

/// Calls settings by where they were set, in a message that has their flags: `VETHWATCH_TICK` or `tick` for `--tick`.
/// Also says which keys the message is about; the first is the one to blame.
pub(super) fn called<'k>(message: &str, keys: &'k [Key], setters: &Setters<'k>) -> (String, Vec<&'k Key>) {
    let (mut told, mut about) = (String::with_capacity(message.len()), Vec::new());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("--") {
        told.push_str(before);
        let is_in_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let end = after.find(|letter| !is_in_a_name(letter)).unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        match keys.iter().find(|key| key.name == name) {
            Some(key) => {
                about.push(key);
                told.push_str(&match setters.get(name) {
                    Some(Setter::File(_)) => format!("`{}`", key.path()),
                    Some(Setter::Environment) => key.variable(),
                    Some(Setter::Flag) | None => key.flag(),
                });
            }
            None => {
                told.push_str("--");
                told.push_str(name);
            }
        }
        rest = behind;
    }
    told.push_str(rest);
    (told, about)
}
