//! `cargo xtask test`: the one command that tests everything, on a machine with nothing but Rust and Docker.
//!
//! Test targets that need root or Docker say `test = false` in their manifest, so that plain `cargo test` needs
//! neither; they are found there and run here by name, as root, one after the other. Where this is root itself, those of
//! [`ON_OWN_HOST`] run beside the others.

mod needs;
mod own_host;
mod tally;

use crate::cargo::{Profile, Target, build, built_already, cargo, tests_run_by_name};
use crate::{image, package, signals};
use anyhow::{Context, Result, ensure};
use lab::{Deadline, Listing, docker, wait_for};
pub(crate) use needs::{install_missing, is_installed};
use own_host::OwnHost;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
pub(crate) use tally::Tally;

/// The longest that one target may take, building it included.
const TARGET_LIMIT: Duration = Duration::from_secs(25 * 60);

/// The targets that run on a host of their own when all do: about half of the time. Of the others some need the machine's
/// own Docker or init system, and some measure.
const ON_OWN_HOST: [&str; 10] = [
    "verdicts",
    "restart",
    "drivers",
    "posture",
    "why",
    "names",
    "churn",
    "collector",
    "first_packet",
    "hostile_names",
];

/// The images that the tests use.
const IMAGES: [&str; 2] = [lab::image::TESTBOX, lab::image::DEBIAN];

/// The variable that says where the Debian package is.
const PACKAGE: &str = "VW_PACKAGE";

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
        install_missing()?;
        let beside: &[&str] = if arguments.only.is_empty() && lab::is_root() { &ON_OWN_HOST } else { &[] };
        run_as_root(&targets, beside, &mut tally)?;
    }
    signals::check()?;
    Ok(tally)
}

/// Makes the images, runs the targets, those of the second list on a host of their own, removes the images that were not there
/// before, and compares listings.
fn run_as_root(targets: &[Target], beside: &[&str], tally: &mut Tally) -> Result<()> {
    remove_leftovers();
    let before = Listing::take()?;
    image::make_testbox()?;
    image::make_debian()?;
    let own_host = (!beside.is_empty()).then(|| OwnHost::start(beside, &IMAGES)).transpose()?;
    for target in targets.iter().filter(|target| !beside.contains(&target.name.as_str())) {
        signals::check()?;
        run_target(target, tally)?;
    }
    if let Some(own_host) = own_host {
        tally.add(own_host.finish()?);
    }
    remove_leftovers();
    let difference = before_and_after(&before)?;
    tally.record("nothing is left behind", difference.is_empty());
    if !difference.is_empty() {
        println!("left behind:\n{difference}");
    }
    Ok(())
}

/// Removes what earlier runs left. What an engine does not let go of is told; the listings show whether it is of this run.
fn remove_leftovers() {
    if let Err(error) = lab::remove_leftovers() {
        eprintln!("removing what earlier runs left: {error:#}");
    }
}

/// Runs one target. What it would have cargo build is built before, by whoever this is, if that is not root.
fn run_target(target: &Target, tally: &mut Tally) -> Result<()> {
    let is_root = lab::is_root();
    let built = if is_root { Ok(Vec::new()) } else { build_for(target) };
    match built {
        Ok(built) => run_one(&target.name, target_command(target, is_root, &built), tally),
        Err(error) => {
            println!("{}: {error:#}", target.name);
            tally.record(&target.name, false);
            Ok(())
        }
    }
}

/// Builds what a test of these commands needs; the variable that tells it where that is.
fn build_for(target: &Target) -> Result<Vec<(String, PathBuf)>> {
    match (target.package.as_str(), target.name.as_str()) {
        ("xtask", "package") => Ok(vec![(PACKAGE.to_owned(), package::make(Profile::Dev)?)]),
        ("xtask", "demo") => {
            let program = build(&[("monitor", "vethwatch")], Profile::Dev)?.pop();
            let program = program.context("cargo built nothing")?;
            Ok(vec![
                (built_already("vethwatch"), program),
                (built_already("testbox"), image::build_testbox()?),
            ])
        }
        _ => Ok(Vec::new()),
    }
}

/// `cargo test` for one target; cargo runs as whoever this is, the test itself as root, one test at a time. sudo drops
/// variables, so that these go with its arguments.
fn target_command(target: &Target, is_root: bool, built: &[(String, PathBuf)]) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", &target.package, "--test", &target.name]).env("VW_IMAGES_READY", "1");
    if !is_root {
        let told = built.iter().map(|(name, path)| format!("{name}={}", path.display()));
        let words = ["sudo", "env", "VW_IMAGES_READY=1"].map(str::to_owned).into_iter().chain(told);
        // Words in quotes are the same in TOML.
        let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
        command.args(["--config", &format!(r#"target."cfg(unix)".runner = [{}]"#, words.join(", "))]);
    }
    command.args(["--", "--test-threads", "1"]);
    command
}

/// Runs a command of tests, shows what it says, and counts its results.
fn run_one(name: &str, mut command: Command, tally: &mut Tally) -> Result<()> {
    println!("\n== {name}");
    let deadline = Deadline::after(TARGET_LIMIT);
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
    let took = TARGET_LIMIT.saturating_sub(deadline.left());
    println!("{name}: {} s", took.as_secs());
    Ok(())
}

/// Removes the images that this run made, and compares with the listing from before it.
fn before_and_after(before: &Listing) -> Result<lab::Difference> {
    for image in IMAGES {
        if !before.has_image(image) {
            docker(&["rmi", image])?;
        }
    }
    // One that was there before may have been made anew; it is there under its name, which is what counts.
    let before = &before.clone().without_images(&IMAGES);
    let compare = || -> Result<lab::Difference> {
        let now = Listing::take()?.without_images(&IMAGES);
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

#[cfg(test)]
mod tests {
    use super::{Target, target_command};
    use std::path::PathBuf;

    fn arguments(is_root: bool) -> Vec<String> {
        let target = Target { package: "xtask".to_owned(), name: "demo".to_owned() };
        let built = [("VW_BUILT_A".to_owned(), PathBuf::from("/a b/\"c\"/\\d"))];
        let command = target_command(&target, is_root, &built);
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_test_as_root_is_told_what_was_built_for_it() {
        let runner = r#"target."cfg(unix)".runner = ["sudo", "env", "VW_IMAGES_READY=1", "VW_BUILT_A=/a b/\"c\"/\\d"]"#;
        let test = ["test", "--package", "xtask", "--test", "demo"];
        let one_at_a_time = ["--", "--test-threads", "1"];
        assert_eq!(arguments(false), [&test[..], &["--config", runner], &one_at_a_time].concat());
        assert_eq!(arguments(true), [&test[..], &one_at_a_time].concat());
    }
}
