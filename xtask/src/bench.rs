//! `cargo xtask bench`: runs the benchmarks as root and keeps their figures in docs/benchmarks.md.
//!
//! A benchmark prints Markdown to standard output, and what is for the person waiting to standard error. Its text
//! becomes the section of its name, below the machine, the kernel and the command that made it.

use crate::cargo::{Target, benchmarks, cargo, workspace};
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

const TITLE: &str = "# Benchmarks\n\nWritten by `cargo xtask bench`.\n";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the benchmark of this name.
    name: Option<String>,
}

/// Runs them, and replaces their sections.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen: Vec<Target> = benchmarks()?
        .into_iter()
        .filter(|bench| arguments.name.as_ref().is_none_or(|name| *name == bench.name))
        .collect();
    ensure!(!chosen.is_empty(), "there is no such benchmark");
    let folder = workspace().join("docs");
    fs::create_dir_all(&folder).context("making docs")?;
    let file = folder.join("benchmarks.md");
    for bench in &chosen {
        eprintln!("== {}", bench.name);
        let figures = measure(bench)?;
        println!("{figures}");
        let section = format!("{}\n{}\n", heading(bench)?, figures.trim());
        let known = fs::read_to_string(&file).unwrap_or_else(|_| TITLE.to_owned());
        fs::write(&file, with_section(&known, &bench.name, &section))
            .context("writing docs/benchmarks.md")?;
    }
    Ok(())
}

fn measure(bench: &Target) -> Result<String> {
    let mut command = cargo();
    command.args(["bench", "--package", &bench.package, "--bench", &bench.name]);
    if !lab::is_root() {
        command.args(["--config", r#"target."cfg(unix)".runner = ["sudo"]"#]);
    }
    let output = command.stdout(Stdio::piped()).spawn().context("starting cargo")?.wait_with_output()?;
    let figures = String::from_utf8(output.stdout).context("reading the figures")?;
    ensure!(output.status.success(), "the benchmark {} failed after\n{figures}", bench.name);
    Ok(figures)
}

/// Machine, kernel and command.
fn heading(bench: &Target) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let count = std::thread::available_parallelism().context("counting processors")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(workspace()).output();
    let commit =
        commit.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    let mut text = String::new();
    writeln!(text, "`cargo xtask bench {}` at {}: {count} × {model},", bench.name, commit.trim())?;
    writeln!(text, "Linux {}.", kernel.trim())?;
    Ok(text)
}

/// A document with one section replaced, or added at the end.
fn with_section(document: &str, name: &str, section: &str) -> String {
    let heading = format!("## {name}\n");
    let new = format!("{heading}\n{section}");
    let Some(start) = document.find(&heading) else { return format!("{}\n{new}", document) };
    let rest = &document[start + heading.len()..];
    let end = rest.find("\n## ").map_or(document.len(), |at| start + heading.len() + at + 1);
    let (after, gap) = (&document[end..], if end < document.len() { "\n" } else { "" });
    format!("{}{new}{gap}{after}", &document[..start])
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn a_section_is_added_and_then_replaced() {
        let one = with_section("# Benchmarks\n", "kernel", "1 ns\n");
        assert_eq!(one, "# Benchmarks\n\n## kernel\n\n1 ns\n");
        let two = with_section(&one, "drain", "2 ms\n");
        assert_eq!(two, "# Benchmarks\n\n## kernel\n\n1 ns\n\n## drain\n\n2 ms\n");
        let three = with_section(&two, "kernel", "3 ns\n");
        assert_eq!(three, "# Benchmarks\n\n## kernel\n\n3 ns\n\n## drain\n\n2 ms\n");
        assert_eq!(with_section(&three, "drain", "2 ms\n"), three);
    }
}
