//! `cargo xtask demo`: vethwatch over a small set of containers that is made for it.
//!
//! Needs Rust and Docker and nothing else. Whatever happens, everything is removed again, and listings from before
//! and after are compared to prove it.

mod scene;

use crate::cargo::{Profile, build};
use crate::image::{build_testbox, make_testbox};
use crate::run::as_root;
use crate::signals;
use anyhow::{Context, Result, ensure};
use lab::{Listing, docker, image, wait_for};
use scene::Scene;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// How long the kernel may take to remove the last device or namespace after its container is gone.
const SETTLE: Duration = Duration::from_secs(15);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build vethwatch for debugging, which is quicker to compile.
    #[arg(long)]
    dev: bool,
    /// Arguments of vethwatch.
    #[arg(last = true, default_values = ["top", "--once"])]
    arguments: Vec<String>,
}

/// Makes the scene, runs the command, removes the scene, and says whether anything stayed.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let profile = if arguments.dev { Profile::Dev } else { Profile::Release };
    let vethwatch = build(&[("monitor", "vethwatch")], profile)?.pop().context("cargo built nothing")?;
    build_testbox()?;
    authenticate()?;
    signals::watch()?;
    let before = Listing::take()?;
    let had_image = image::exists(image::TESTBOX)?;
    let outcome = perform(&vethwatch, &arguments.arguments);
    let image_removed = if had_image { Ok(()) } else { remove_image() };
    let left = left_behind(&before);
    match outcome {
        Ok(code) => image_removed.and(left).map(|()| code),
        Err(error) => {
            for other in [image_removed, left].into_iter().filter_map(Result::err) {
                eprintln!("demo: {other:#}");
            }
            signals::received().map_or(Err(error), |signal| Ok(ExitCode::from(128 + u8::try_from(signal)?)))
        }
    }
}

/// Asks for the password now, in the foreground; what needs root later must not stop to ask.
fn authenticate() -> Result<()> {
    if !lab::is_root() {
        let status = Command::new("sudo").arg("--validate").status().context("becoming root needs sudo")?;
        ensure!(status.success(), "the demo needs root");
    }
    Ok(())
}

/// The scene lives only here: it is removed before this returns.
fn perform(vethwatch: &Path, arguments: &[String]) -> Result<ExitCode> {
    make_testbox()?;
    signals::check()?;
    let scene = Scene::set_up(&signals::check)?;
    eprintln!("demo: running vethwatch {}", arguments.join(" "));
    let mut child = as_root(vethwatch).args(arguments).spawn().context("starting vethwatch")?;
    let status = signals::wait(&mut child, None)?;
    scene.close().context("removing the demo's containers and networks")?;
    Ok(signals::exit_code(status))
}

fn remove_image() -> Result<()> {
    if image::exists(image::TESTBOX)? {
        docker(&["rmi", image::TESTBOX]).context("removing the demo's image")?;
    }
    Ok(())
}

/// Compares with the listing from before, and waits a little for what the kernel removes late.
fn left_behind(before: &Listing) -> Result<()> {
    let mut difference = Listing::take()?.since(before);
    // A difference that stays is told below, not by the wait's own error.
    let _ = wait_for("equal listings", SETTLE, || {
        difference = Listing::take()?.since(before);
        Ok(difference.is_empty().then_some(()))
    });
    for missing in before.not_listed() {
        eprintln!("demo: not compared: {missing}");
    }
    ensure!(difference.is_empty(), "listings from before and after differ:\n{difference}");
    eprintln!("demo: everything removed: Docker objects, links, namespaces and firewall rules are as before");
    Ok(())
}
