//! `policy check` and `policy explain`.

mod ends;
mod explain;

pub(super) use explain::explain;

use super::failure::Failure;
use super::host;
use super::output::Output;
use crate::collector::clock;
use crate::model::{SafeText, WallTime};
use crate::policy::file::{MOST_BYTES, Mistake, Policy};
use crate::settings::Settings;
use crate::wire::{PolicyBody, PolicyErrorBody, Stream};
use anyhow::{Context as _, anyhow};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let content = tokio::task::spawn_blocking(move || content(&file)).await;
    let content = content.context("read the policy file")?.map_err(Failure::wrong)?;
    let mistakes = match Policy::read(&content) {
        Ok(policy) => return Ok((policy, String::from_utf8_lossy(&content).into_owned())),
        Err(mistakes) => mistakes,
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

/// A file's content, but not more than is too much by one byte.
fn content(file: &Path) -> anyhow::Result<Vec<u8>> {
    let opened = File::open(file).with_context(|| format!("open {}", name_of(file)))?;
    let mut content = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    opened.take(most).read_to_end(&mut content).with_context(|| format!("read {}", name_of(file)))?;
    Ok(content)
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
