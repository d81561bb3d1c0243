//! Every command line that a document shows must exist: the subcommand, and each long option.

use crate::cargo::{Profile, build, workspace};
use anyhow::{Context, Result, ensure};
use lab::finish;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The documents whose commands are checked.
const DOCUMENTS: [&str; 20] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "contrib/prometheus/vethwatch.rules.yml",
    "docs/alerts.md",
    "docs/capture.md",
    "docs/configuration.md",
    "docs/drivers.md",
    "docs/health.md",
    "docs/history.md",
    "docs/metrics.md",
    "docs/operations.md",
    "docs/policy.md",
    "docs/recording.md",
    "docs/records.md",
    "docs/socket.md",
    "docs/top.md",
    "docs/verdicts.md",
    "docs/why.md",
    "examples/nginx-flask/README.md",
];

/// Commands whose first word is another command.
const COMMANDS_OF_COMMANDS: [&str; 1] = ["policy"];

/// A command of ours as a document shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    program: &'static str,
    subcommand: String,
    options: Vec<String>,
}

/// Checks all documents.
pub(crate) fn check() -> Result<()> {
    let mut programs = Programs::build()?;
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let text =
            fs::read_to_string(workspace().join(document)).with_context(|| format!("reading {document}"))?;
        for shown in shown_in(&text) {
            if let Some(fault) = programs.fault(&shown)? {
                wrong.push(format!("{document}: {fault}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "commands that do not exist:\n{}", wrong.join("\n"));
    Ok(())
}

/// The commands in a document: lines of its blocks, but for what a program prints (` ```text `), and what its
/// sentences have between backticks.
fn shown_in(text: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut block = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
        } else if block == Some("text") {
            continue;
        } else if block.is_some() {
            let command = line.split(" #").next().unwrap_or(line);
            found.extend(parse(command.trim_start_matches("$ ")));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).flat_map(parse));
        }
    }
    found
}

/// `cargo xtask run -- …` and `demo -- …` hold a command of vethwatch as well.
fn parse(command: &str) -> Vec<Shown> {
    let command = command.trim().trim_start_matches("sudo ");
    let (first, rest) = command.split_once(" -- ").unwrap_or((command, ""));
    if let Some(task) = first.strip_prefix("cargo xtask ") {
        let mut found: Vec<_> = shown("cargo xtask", task).into_iter().collect();
        if matches!(task.split(' ').next(), Some("run" | "demo")) {
            found.extend(shown("vethwatch", rest));
        }
        return found;
    }
    first.strip_prefix("vethwatch ").and_then(|words| shown("vethwatch", words)).into_iter().collect()
}

fn shown(program: &'static str, words: &str) -> Option<Shown> {
    let mut words = words.split_whitespace();
    let subcommand = words.next()?;
    if !subcommand.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        || subcommand.starts_with('-')
    {
        return None;
    }
    let mut subcommand = subcommand.to_owned();
    if COMMANDS_OF_COMMANDS.contains(&subcommand.as_str()) {
        let second = words.next()?;
        subcommand = format!("{subcommand} {second}");
    }
    let options = words
        .filter(|word| word.starts_with("--"))
        .map(|word| word.trim_end_matches(|end: char| !end.is_ascii_alphanumeric()))
        .map(|word| word.split('=').next().unwrap_or(word).to_owned())
        .collect();
    Some(Shown { program, subcommand, options })
}

/// The programs, and the help texts that they gave.
struct Programs {
    vethwatch: PathBuf,
    help: BTreeMap<(&'static str, String), Option<String>>,
}

impl Programs {
    fn build() -> Result<Self> {
        let programs = build(&[("monitor", "vethwatch")], Profile::Dev)?;
        let vethwatch = programs.into_iter().next().context("cargo built nothing")?;
        Ok(Self { vethwatch, help: BTreeMap::new() })
    }

    /// What is wrong with a command, if anything.
    fn fault(&mut self, shown: &Shown) -> Result<Option<String>> {
        let Shown { program, subcommand, options } = shown;
        let Some(help) = self.help(program, subcommand)? else {
            return Ok(Some(format!("{program} {subcommand}")));
        };
        let words: Vec<_> = help.split(|end: char| !(end.is_ascii_alphanumeric() || end == '-')).collect();
        let missing = options.iter().find(|option| !words.contains(&option.as_str()));
        Ok(missing.map(|option| format!("{program} {subcommand} {option}")))
    }

    /// The help text of a subcommand; none if there is no such subcommand.
    fn help(&mut self, program: &'static str, subcommand: &str) -> Result<Option<String>> {
        let key = (program, subcommand.to_owned());
        if !self.help.contains_key(&key) {
            let mut command = match program {
                "vethwatch" => Command::new(&self.vethwatch),
                _ => Command::new(std::env::current_exe().context("finding this program")?),
            };
            let finished =
                finish(command.args(subcommand.split(' ')).arg("--help"), Duration::from_secs(20))?;
            let text = finished.status.success().then_some(finished.stdout);
            self.help.insert(key.clone(), text);
        }
        Ok(self.help.get(&key).cloned().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::shown_in;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = shown_in(text)
            .iter()
            .map(|shown| format!("{} {} {}", shown.program, shown.subcommand, shown.options.join(" ")))
            .map(|shown| shown.trim().to_owned())
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    fn check_block(line: &str, expected: &[&str]) {
        check(&format!("```console\n{line}\n```"), expected);
    }

    #[test]
    fn commands_are_found_in_blocks_and_in_sentences() {
        check_block("cargo xtask test", &["cargo xtask test"]);
        check_block("$ sudo vethwatch flows --for 10s --json", &["vethwatch flows --for --json"]);
        check_block("cargo xtask fuzz --for=60s   # a minute of --nothing", &["cargo xtask fuzz --for"]);
        check("```text\nvethwatch myhost\n```\n`vethwatch top`", &["vethwatch top"]);
        check_block("vethwatch policy explain f.toml --from web", &["vethwatch policy explain --from"]);
        check(
            "Run `cargo xtask lint` and `vethwatch top --once`.",
            &["cargo xtask lint", "vethwatch top --once"],
        );
    }

    #[test]
    fn a_run_holds_a_command_of_vethwatch() {
        check_block("cargo xtask run -- top --once", &["cargo xtask run", "vethwatch top --once"]);
        check_block("cargo xtask demo", &["cargo xtask demo"]);
    }

    #[test]
    fn prose_is_not_a_command() {
        check("vethwatch counts packets", &[]);
        check_block("vethwatch: 93 records", &[]);
        check("The library `monitor` and `vethwatch`.", &[]);
    }
}
