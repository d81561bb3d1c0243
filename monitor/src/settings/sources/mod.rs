//! Where settings come from: the command line, over the environment, over a file, over the defaults.
//!
//! ```text
//! clap's definition ─▶ keys ─┬─ file ────────┐
//!                            ├─ environment ─┼─▶ clap, as defaults ─▶ Typed ─▶ Settings
//!                            └─ flags ───────┘
//! ```
//!
//! What a file and the environment say is handed to clap as if it were the default, so that it is read by the same
//! parsers as what is typed. Everything that is wrong is told at once.

mod environment;
mod file;
mod in_force;
mod keys;
mod origin;
mod regular;
#[cfg(test)]
mod tests;

pub use in_force::{Entry, InForce, Value};
pub use origin::Origin;
pub(crate) use regular::{open as open_regular, open_by};

use super::{Senseless, Settings};
use crate::cli::Typed;
use crate::document::{self, Mistakes};
use crate::model::SafeText;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use environment::Values as ByEnvironment;
use file::Values as ByFile;
use keys::{AGENT, Key, PREFIX};
use origin::{Setter, Setters, called};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The file that is read where no other is named; it need not be there.
pub const USUAL_FILE: &str = "/etc/vethwatch/vethwatch.toml";
/// The most characters of a file's name that are told: as many as the kernel takes.
const LONGEST_NAME: usize = 4_096;
/// The most characters of a line that says what is wrong.
const LONGEST_LINE: usize = LONGEST_NAME + 1_024;

/// What was typed, and the environment: both stay as they are as long as the process lives.
#[derive(Clone, Debug)]
pub struct Sources {
    arguments: Vec<OsString>,
    variables: BTreeMap<String, OsString>,
    usual_file: PathBuf,
}

/// What the sources say.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is meant by it.
    pub settings: Settings,
    /// Each value, and where it comes from.
    pub in_force: InForce,
    /// The file that the settings were looked for in, if there may be one.
    pub file: Option<PathBuf>,
    /// What is ignored, and may have been meant: a line each.
    pub ignored: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Refused {
    /// What was typed is not understood, or asks for help.
    Usage(clap::Error),
    /// Everything that is wrong: a line each, made safe.
    Wrong(Vec<SafeText>),
}

impl Sources {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::new(std::env::args_os(), std::env::vars_os(), USUAL_FILE)
    }

    /// These.
    pub fn new(
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        usual_file: impl Into<PathBuf>,
    ) -> Self {
        let ours = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok().filter(|name| name.starts_with(PREFIX))?, value))
        };
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            variables: variables.into_iter().filter_map(ours).collect(),
            usual_file: usual_file.into(),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// When what was typed is not understood; when a file that was named is not there; when values are wrong, alone or
    /// together.
    pub fn read(&self) -> Result<Loaded, Refused> {
        let definition = Typed::command();
        let typed = definition.clone().try_get_matches_from(&self.arguments).map_err(Refused::Usage)?;
        let agent = typed.subcommand_matches(AGENT);
        let keys = keys::keys(&definition, agent.is_some());
        let mut wrong = Vec::new();
        let by_environment = environment::values(&self.variables, &keys, &mut wrong);
        let file = agent.map(|agent| self.file(agent, &by_environment, &mut wrong)).unwrap_or_default();
        let mut mistakes = Mistakes::of(&file.text);
        let by_file = file::values(&file.text, &keys, &mut mistakes);
        let layers = Layers::of(definition, &typed, &keys, &by_environment, &by_file);
        let (settings, matches) = self.understand(layers.definition)?;
        for senseless in settings.as_ref().err().into_iter().flatten() {
            let (message, about) = called(&senseless.to_string(), &keys, &layers.setters);
            if about.iter().any(|key| layers.broken.contains(key.name.as_str())) {
                // It may make sense with what was meant.
                continue;
            }
            match about.first().and_then(|key| layers.setters.get(key.name.as_str())) {
                Some(Setter::File(place)) => mistakes.add(place, message, ""),
                _ => wrong.push(message),
            }
        }
        let in_force = InForce::of(&keys, &matches, |key| match layers.setters.get(key.name.as_str()) {
            None => Origin::Default,
            Some(Setter::Flag) => Origin::Flag(key.flag()),
            Some(Setter::Environment) => Origin::Environment(key.variable()),
            Some(Setter::File(at)) => Origin::File { file: file.name.clone(), line: mistakes.line(at.start) },
        });
        let in_file = mistakes.finish().into_iter().map(|mistake| format!("{}:{mistake}", file.name));
        let wrong: Vec<String> = in_file.chain(wrong).collect();
        match settings {
            Ok(settings) if wrong.is_empty() => {
                let ignored =
                    if agent.is_some() { environment::slips(&self.variables, &keys) } else { Vec::new() };
                Ok(Loaded { settings, in_force, file: file.path, ignored })
            }
            _ => Err(Refused::Wrong(
                wrong.iter().map(|line| SafeText::of_length(line, LONGEST_LINE)).collect(),
            )),
        }
    }

    /// Has clap read what was typed once more, with what the layers below it say.
    fn understand(
        &self,
        mut definition: Command,
    ) -> Result<(Result<Settings, Vec<Senseless>>, ArgMatches), Refused> {
        let matches = definition.try_get_matches_from_mut(&self.arguments).map_err(Refused::Usage)?;
        let meant = Typed::from_arg_matches(&matches)
            .map_err(|error| Refused::Usage(error.format(&mut definition)))?;
        Ok((Settings::understand(meant), matches))
    }

    /// The file with settings. What keeps it from being read is noted; it is empty then.
    fn file(
        &self,
        agent: &ArgMatches,
        by_environment: &ByEnvironment<'_>,
        wrong: &mut Vec<String>,
    ) -> ConfigFile {
        let typed = agent.get_one::<PathBuf>("config").map(PathBuf::as_path);
        let by_environment =
            by_environment.get("config").and_then(|texts| Some(Path::new(texts.as_ref()?.first()?)));
        let named = typed.or(by_environment);
        let file = named.unwrap_or(&self.usual_file);
        let name = SafeText::of_length(&file.to_string_lossy(), LONGEST_NAME);
        let content = match content(file) {
            Ok(content) => content,
            Err(error) => {
                if named.is_some() || error.kind() != io::ErrorKind::NotFound {
                    wrong.push(format!("{name}: the file with settings cannot be read: {error}"));
                }
                Vec::new()
            }
        };
        let text = document::text(&content).map(str::to_owned).unwrap_or_else(|mistakes| {
            wrong.extend(mistakes.iter().map(|mistake| format!("{name}:{mistake}")));
            String::new()
        });
        ConfigFile { name, path: Some(file.to_owned()), text }
    }
}

/// A file with settings.
struct ConfigFile {
    name: SafeText,
    path: Option<PathBuf>,
    text: String,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self { name: SafeText::new(""), path: None, text: String::new() }
    }
}

/// The content of a file that people write, but not more than is too much by one byte.
///
/// # Errors
/// When it cannot be read, or is no regular file.
pub(crate) fn content(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let most = u64::try_from(document::MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    open_regular(file)?.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// The command line's definition, with what the layers below it say as defaults.
struct Layers<'k> {
    definition: Command,
    setters: Setters<'k>,
    /// Keys whose value is wrong.
    broken: BTreeSet<&'k str>,
}

impl<'k> Layers<'k> {
    /// For each key the highest layer that says something.
    fn of(
        definition: Command,
        typed: &ArgMatches,
        keys: &'k [Key],
        by_environment: &ByEnvironment<'k>,
        by_file: &ByFile<'k>,
    ) -> Self {
        let mut layers = Self { definition, setters: Setters::new(), broken: BTreeSet::new() };
        for key in keys {
            let name = key.name.as_str();
            if matches_of(typed, key).value_source(&key.id) == Some(ValueSource::CommandLine) {
                layers.setters.insert(name, Setter::Flag);
            } else if let Some(texts) = by_environment.get(name) {
                layers.set(key, texts.as_deref(), Setter::Environment);
            } else if let Some((texts, place)) = by_file.get(name) {
                layers.set(key, texts.as_deref(), Setter::File(place.clone()));
            }
        }
        layers
    }

    fn set(&mut self, key: &'k Key, texts: Option<&[String]>, by: Setter) {
        let Some(texts) = texts else {
            self.broken.insert(&key.name);
            return;
        };
        let change = |command: Command| {
            command.mut_arg(&key.id, |arg| arg.default_values(texts.iter().cloned().map(OsString::from)))
        };
        let definition = std::mem::take(&mut self.definition);
        self.definition = match key.of_agent {
            true => definition.mut_subcommand(AGENT, change),
            false => change(definition),
        };
        self.setters.insert(&key.name, by);
    }
}

/// Where clap has an argument.
fn matches_of<'m>(matches: &'m ArgMatches, key: &Key) -> &'m ArgMatches {
    match matches.subcommand_matches(AGENT) {
        Some(agent) if key.of_agent => agent,
        _ => matches,
    }
}
