//! The keys of settings: the flags of the command line, under the names that files and the environment have for them.
//!
//! There is no other table of them than clap's definition. A flag `--metrics-listen` below the heading "Metrics" is
//! `listen` in the table `[metrics]` of a file, and `VETHWATCH_METRICS_LISTEN` in the environment.

use crate::document::{nearest, one_of};
use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::error::Error as _;

/// The command that has settings of its own beside those of every command.
pub(super) const AGENT: &str = "agent";
/// Flags that are about one call alone.
const ONLY_TYPED: [&str; 3] = ["json", "record", "print-config"];
/// Where the file is cannot be said in it.
const NOT_IN_A_FILE: [&str; 1] = ["config"];
/// What names of variables begin with.
pub(super) const PREFIX: &str = "VETHWATCH_";

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Number,
    Text,
    List,
}

/// A setting.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Its name among clap's arguments.
    pub(super) id: String,
    /// Its flag, without the dashes.
    pub(super) name: String,
    /// The table of a file that it is in; absent above the first one.
    pub(super) table: Option<String>,
    pub(super) kind: Kind,
    pub(super) of_agent: bool,
    pub(super) in_file: bool,
    default: String,
    parser: ValueParser,
}

/// Why a text is no value of a setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// What would be one.
    Expected(String),
    /// What is wrong with it.
    Because(String),
}

/// The settings of every command, and of the agent if it is about that.
pub(super) fn keys(definition: &Command, of_agent: bool) -> Vec<Key> {
    let common = definition.get_opts().map(|arg| (arg, false));
    let agent = definition.find_subcommand(AGENT).filter(|_| of_agent);
    let own = agent.into_iter().flat_map(Command::get_opts).map(|arg| (arg, true));
    common.chain(own).filter_map(|(arg, of_agent)| Key::of(arg, of_agent)).collect()
}

impl Key {
    fn of(arg: &Arg, of_agent: bool) -> Option<Self> {
        let name = arg.get_long().filter(|name| !ONLY_TYPED.contains(name))?;
        let table = arg.get_help_heading().map(str::to_lowercase);
        let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        Some(Self {
            id: arg.get_id().to_string(),
            name: name.to_owned(),
            table: table.filter(|table| name.starts_with(&format!("{table}-"))),
            kind: Kind::of(arg),
            of_agent,
            in_file: !NOT_IN_A_FILE.contains(&name),
            default: default.join(","),
            parser: arg.get_value_parser().clone(),
        })
    }

    /// Its flag.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.name)
    }

    /// Its variable.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// Its name in its table.
    pub(super) fn name_in_table(&self) -> &str {
        match &self.table {
            Some(table) => &self.name[table.len() + 1..],
            None => &self.name,
        }
    }

    /// Its name in a file, from the top: `metrics.listen`.
    pub(super) fn path(&self) -> String {
        match &self.table {
            Some(table) => format!("{table}.{}", self.name_in_table()),
            None => self.name.clone(),
        }
    }

    /// What is written for it in a file, as a sentence has it.
    pub(super) fn example(&self) -> String {
        match self.kind {
            Kind::Switch => "`true` or `false`".to_owned(),
            Kind::Number => "a whole number".to_owned(),
            Kind::List => "a list of texts".to_owned(),
            Kind::Text if self.default.is_empty() => "a text".to_owned(),
            Kind::Text => format!("a text such as \"{}\"", self.default),
        }
    }

    /// Judges a text as the command line would.
    ///
    /// # Errors
    /// When it is no value of this setting.
    pub(super) fn judge(&self, text: &str) -> Result<(), Unfit> {
        let expected = || Err(Unfit::Expected(self.example()));
        if text.is_empty() {
            return expected();
        }
        if self.kind == Kind::Switch {
            return if text.parse::<bool>().is_ok() { Ok(()) } else { expected() };
        }
        // An argument of its own: clap tells of one wrong value, and of no other after it.
        let arg = Arg::new("value").long("value").action(ArgAction::Set).value_parser(self.parser.clone());
        let alone = Command::new("value").no_binary_name(true).disable_help_flag(true).arg(arg);
        let Err(error) = alone.try_get_matches_from([format!("--value={text}")]) else { return Ok(()) };
        if let Some(ContextValue::Strings(words)) = error.get(ContextKind::ValidValue)
            && !words.is_empty()
        {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let near = nearest(text, words.iter().copied());
            return Err(Unfit::Expected(near.map_or_else(|| one_of(&words), |near| one_of(&[near]))));
        }
        match error.source() {
            Some(why) => Err(Unfit::Because(why.to_string())),
            None => expected(),
        }
    }
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let parsed = arg.get_value_parser().type_id();
        let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
        match arg.get_action() {
            ArgAction::SetTrue => Self::Switch,
            _ if arg.get_value_delimiter().is_some() => Self::List,
            // A size is a number as well, but written with its unit.
            _ if numbers.iter().any(|number| parsed == *number) && is_plain(arg) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// Whether a number is written as one, without a unit.
fn is_plain(arg: &Arg) -> bool {
    let default = arg.get_default_values().first().and_then(|value| value.to_str());
    default.is_none_or(|default| default.parse::<u64>().is_ok())
}
