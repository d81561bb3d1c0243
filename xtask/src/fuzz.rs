//! `cargo xtask fuzz`: replays the kept corpus through the fuzz targets, or fuzzes for a while.
//!
//! Replaying needs no instrumentation, so a stable compiler does; fuzzing needs `cargo fuzz`.

use crate::cargo::{cargo, target_folder, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The crate of the fuzz targets.
const FUZZ: &str = "monitor-common/fuzz";

/// Kept inputs, of each target.
fn corpus(target: &str) -> &'static str {
    if target == "dns" { "monitor/corpus/dns" } else { "monitor-common/corpus" }
}

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Fuzz each target for so many seconds; without it, only the corpus is replayed.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u32>,
}

/// Replays or fuzzes every target.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = workspace().join(FUZZ);
    let targets = targets(&folder)?;
    ensure!(!targets.is_empty(), "there is no fuzz target in {}", folder.display());
    for target in &targets {
        eprintln!("== {target}");
        match arguments.seconds {
            None => replay(&folder, target)?,
            Some(seconds) => fuzz(&folder, target, seconds)?,
        }
    }
    Ok(())
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = files(&folder.join("fuzz_targets"))?
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Gives every file of the corpus to the target once.
fn replay(folder: &Path, target: &str) -> Result<()> {
    let kept = corpus(target);
    let corpus = files(&workspace().join(kept))?;
    ensure!(!corpus.is_empty(), "there is no kept input in {kept}");
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--bin", target, "--manifest-path"]);
    command.arg(folder.join("Cargo.toml")).env("RUSTFLAGS", "--cfg fuzzing").arg("--").args(&corpus);
    // The fuzzer's library names every file it runs.
    let output = command.stderr(Stdio::piped()).output().context("starting cargo")?;
    if !output.status.success() {
        bail!("{target}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    eprintln!("{target}: {} files replayed", corpus.len());
    Ok(())
}

fn fuzz(folder: &Path, target: &str, seconds: u32) -> Result<()> {
    let has_fuzz = cargo().args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success());
    ensure!(has_fuzz, "fuzzing needs cargo-fuzz: cargo install cargo-fuzz");
    let mut command: Command = cargo();
    // The parser has no unsafe code for a sanitizer to look at, and without one a stable compiler does.
    command.args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]).arg(folder).arg(target);
    // What the fuzzer finds goes into the first folder; a person moves what is worth keeping to the second.
    let found = target_folder().join("fuzz-found").join(target);
    fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
    command.arg(&found).arg(workspace().join(corpus(target)));
    command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=512"]);
    let status = command.status().context("starting cargo fuzz")?;
    ensure!(status.success(), "{target}: {status}");
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
