//! `policy check` and `policy explain`.

mod explain;

pub(super) use explain::explain;

use super::failure::Failure;
use super::host;
use super::output::Output;
use crate::collector::clock;
use crate::model::{SafeText, WallTime};
use crate::policy::file::{Mistake, Policy};
use crate::settings::Settings;
use crate::settings::sources::content;
use crate::wire::{PolicyBody, PolicyErrorBody, Stream};
use anyhow::{Context as _, anyhow};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most characters of a line about a mistake.
const LONGEST_LINE: usize = 5_120;

/// Says that a policy file is fine, or everything that is not.
pub(super) async fn check(settings: &Settings, file: PathBuf) -> Result<(), Failure> {
    let name = name_of(&file);
    let policy = read(settings, file).await?;
    let now = clock::wall_now();
    let line = if settings.json {
        Stream::new(host::id()?).line(body(&name, &policy, now))
    } else {
        fine(&body(&name, &policy, now))
    };
    print(Output::to(std::io::stdout()), [line]).await
}

/// Reads a policy file; its mistakes are told, as lines on standard error or as JSON.
///
/// # Errors
/// When it cannot be read, or has mistakes.
pub(super) async fn read(settings: &Settings, file: PathBuf) -> Result<Policy, Failure> {
    Ok(read_with_text(settings, file).await?.0)
}

/// The same, with the file's text.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_with_text(settings: &Settings, file: PathBuf) -> Result<(Policy, String), Failure> {
    let name = name_of(&file);
    let loaded = tokio::task::spawn_blocking(move || load(&file)).await.context("read the policy file")?;
    let mistakes = match loaded {
        Ok(loaded) => return Ok(loaded),
        Err(Unread::Unreadable(error)) => return Err(Failure::wrong(error)),
        Err(Unread::Wrong(_, mistakes)) => mistakes,
    };
    if settings.json {
        let mut stream = Stream::new(host::id()?);
        let lines = mistakes.into_iter().map(|mistake| stream.line(PolicyErrorBody::from(mistake)));
        print(Output::to(std::io::stdout()), lines).await?;
    } else {
        let lines = mistakes.iter().map(|mistake| format!("{name}:{mistake}"));
        print(Output::to(std::io::stderr()), lines).await?;
    }
    Err(Failure::wrong(anyhow!("{name} has mistakes")))
}

/// Why there is no policy.
#[derive(Debug)]
pub(super) enum Unread {
    /// The file cannot be read.
    Unreadable(anyhow::Error),
    /// The file of this name has mistakes.
    Wrong(SafeText, Vec<Mistake>),
}

impl Unread {
    /// All of it, a line each.
    pub(super) fn lines(&self) -> Vec<SafeText> {
        let safe = |line: String| SafeText::of_length(&line, LONGEST_LINE);
        match self {
            Self::Unreadable(error) => vec![safe(format!("{error:#}"))],
            Self::Wrong(name, mistakes) => {
                mistakes.iter().map(|mistake| safe(format!("{name}:{mistake}"))).collect()
            }
        }
    }
}

/// Reads a policy file, and gives back its text too. It waits for the file.
///
/// # Errors
/// When it cannot be read, or has mistakes.
pub(super) fn load(file: &Path) -> Result<(Policy, String), Unread> {
    let content =
        content(file).with_context(|| format!("read {}", name_of(file))).map_err(Unread::Unreadable)?;
    let policy = Policy::read(&content).map_err(|mistakes| Unread::Wrong(name_of(file), mistakes))?;
    Ok((policy, String::from_utf8_lossy(&content).into_owned()))
}

async fn print(mut output: Output, lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    for line in lines {
        if output.line(&line).await.is_err() {
            break;
        }
    }
    output.finish(PATIENCE).await
}

fn name_of(file: &Path) -> SafeText {
    SafeText::new(&file.to_string_lossy())
}

fn body(name: &SafeText, policy: &Policy, now: WallTime) -> PolicyBody {
    let over = policy.accepts().iter().filter(|accept| accept.is_over(now)).map(|accept| accept.line);
    PolicyBody {
        file: name.clone(),
        rules: policy.rules().len(),
        accepts: policy.accepts().len(),
        over: over.collect(),
    }
}

/// `policy.toml is fine: 5 rules, 2 accepted findings; over: lines 40 and 47`.
fn fine(body: &PolicyBody) -> String {
    let PolicyBody { file, rules, accepts, over } = body;
    let many = |count: usize| if count == 1 { "" } else { "s" };
    let text =
        format!("{file} is fine: {rules} rule{}, {accepts} accepted finding{}", many(*rules), many(*accepts));
    let lines: Vec<String> = over.iter().map(ToString::to_string).collect();
    match lines.len() {
        0 => text,
        count => format!("{text}; accepted no longer: line{} {}", many(count), lines.join(", ")),
    }
}

impl From<Mistake> for PolicyErrorBody {
    fn from(mistake: Mistake) -> Self {
        let Mistake { line, column, message, expected } = mistake;
        Self { line, column, message, expected }
    }
}
