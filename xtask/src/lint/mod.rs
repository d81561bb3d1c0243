//! `cargo xtask lint`: formatting, clippy, documentation, and the commands that documents name.

mod documents;

use crate::cargo::{cargo, tests_run_by_name, workspace};
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Crates outside the workspace: their root files, for the formatter.
const OUTSIDE: [&str; 2] = ["monitor-ebpf/src/main.rs", "monitor-common/fuzz/fuzz_targets"];

type Check = fn() -> Result<()>;

/// Runs every check and names those that failed.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 4] = [
        ("formatting", formatting),
        ("clippy", clippy),
        ("documentation", documentation),
        ("documents", documents::check),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("== {name}");
        if let Err(error) = check() {
            eprintln!("{error:#}");
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "lint failed: {}", failed.join(", "));
    Ok(())
}

fn formatting() -> Result<()> {
    succeed(cargo().args(["fmt", "--all", "--check"]))?;
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(workspace()).args(["--check", "--edition", "2024"]);
    let files = outside_files()?;
    if files.is_empty() { Ok(()) } else { succeed(rustfmt.args(files)) }
}

/// Source files of the crates outside the workspace; the formatter follows their modules.
fn outside_files() -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for place in OUTSIDE.map(|place| workspace().join(place)) {
        if place.is_dir() {
            for entry in std::fs::read_dir(&place).with_context(|| format!("listing {}", place.display()))? {
                files.push(entry?.path());
            }
        } else if place.exists() {
            files.push(place);
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    Ok(files)
}

/// `--all-targets` leaves out targets with `test = false`, even those named beside it; they have a run of their own.
fn clippy() -> Result<()> {
    let deny = ["--", "--deny", "warnings"];
    succeed(cargo().args(["clippy", "--workspace", "--all-targets"]).args(deny))?;
    let mut command = cargo();
    command.args(["clippy", "--workspace"]);
    for target in tests_run_by_name()? {
        command.args(["--test", &target.name]);
    }
    succeed(command.args(deny))
}

/// Documentation is for people who work on this, so private items are in it, and links to them lead somewhere.
fn documentation() -> Result<()> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    succeed(command.env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links"))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().context("starting a check")?;
    ensure!(status.success(), "{}", status);
    Ok(())
}
