//! `cargo xtask test`: the one command that tests everything, on a machine with nothing but Rust and Docker.
//!
//! Test targets that need root or Docker say `test = false` in their manifest, so that plain `cargo test` needs
//! neither; they are found there and run here by name, one after the other, as root.

mod needs;
mod tally;

use crate::cargo::{Target, cargo, tests_run_by_name};
use crate::{image, signals};
use anyhow::{Context, Result, ensure};
use lab::{Listing, docker, wait_for};
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
pub(crate) use tally::Tally;

/// The longest that one target may take, building it included.
const TARGET_LIMIT: Duration = Duration::from_secs(20 * 60);

/// How long the kernel may take to remove the last device or namespace after its container is gone.
const SETTLE: Duration = Duration::from_secs(20);

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Run only the test targets of this name; `unit` is everything that plain `cargo test` runs.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// Runs the tests; the last line is `N passed, N failed`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    signals::watch()?;
    let tally = run_all(arguments)?;
    println!("{tally}");
    Ok(if tally.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests and counts them.
pub(crate) fn run_all(arguments: &Arguments) -> Result<Tally> {
    let chosen = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let targets: Vec<Target> =
        tests_run_by_name()?.into_iter().filter(|target| chosen(&target.name)).collect();
    ensure!(!targets.is_empty() || chosen("unit"), "no test target is named {}", arguments.only.join(" or "));
    let mut tally = Tally::default();
    if chosen("unit") {
        let mut unit = cargo();
        unit.args(["test", "--workspace", "--no-fail-fast"]);
        run_one("unit", unit, &mut tally)?;
    }
    if !targets.is_empty() {
        needs::install_missing()?;
        run_as_root(&targets, &mut tally)?;
    }
    signals::check()?;
    Ok(tally)
}

/// Makes the images, runs the targets, removes the images that were not there before, and compares listings.
fn run_as_root(targets: &[Target], tally: &mut Tally) -> Result<()> {
    lab::remove_leftovers()?;
    let before = Listing::take()?;
    image::make_testbox()?;
    image::make_debian()?;
    for target in targets {
        signals::check()?;
        run_one(&target.name, target_command(target), tally)?;
    }
    lab::remove_leftovers()?;
    let difference = before_and_after(&before)?;
    tally.record("nothing is left behind", difference.is_empty());
    if !difference.is_empty() {
        println!("left behind:\n{difference}");
    }
    Ok(())
}

/// `cargo test` for one target; cargo runs as whoever this is, the test itself as root, one test at a time.
fn target_command(target: &Target) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", &target.package, "--test", &target.name]).env("VW_IMAGES_READY", "1");
    if !lab::is_root() {
        command.args(["--config", r#"target."cfg(unix)".runner = ["sudo", "env", "VW_IMAGES_READY=1"]"#]);
    }
    command.args(["--", "--test-threads", "1"]);
    command
}

/// Runs a command of tests, shows what it says, and counts its results.
fn run_one(name: &str, mut command: Command, tally: &mut Tally) -> Result<()> {
    println!("\n== {name}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting {name}"))?;
    let output = child.stdout.take().context("a pipe from cargo")?;
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            lines.push(line);
        }
        lines
    });
    let status = signals::wait(&mut child, Some(TARGET_LIMIT))?;
    let lines = reader.join().unwrap_or_default();
    tally.count(name, &lines, status.success());
    Ok(())
}

/// Removes the images that this run made, and compares with the listing from before it.
fn before_and_after(before: &Listing) -> Result<lab::Difference> {
    for image in [lab::image::TESTBOX, lab::image::DEBIAN] {
        if !before.has_image(image) {
            docker(&["rmi", image])?;
        }
    }
    // One that was there before may have been made anew; it is there under its name, which is what counts.
    let before = &before.clone().without_images(&[lab::image::TESTBOX, lab::image::DEBIAN]);
    let compare = || -> Result<lab::Difference> {
        let now = Listing::take()?.without_images(&[lab::image::TESTBOX, lab::image::DEBIAN]);
        Ok(now.since(before))
    };
    let mut difference = compare()?;
    // A difference that stays is counted as a failure by the caller.
    let _ = wait_for("equal listings", SETTLE, || {
        difference = compare()?;
        Ok(difference.is_empty().then_some(()))
    });
    Ok(difference)
}
