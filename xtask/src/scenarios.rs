//! `cargo xtask scenarios`: runs the matrix of real networks again, and keeps what it recorded as tests that need none.

use crate::cargo::{cargo, target_folder};
use crate::{image, signals};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

/// The variable that names the folder of the recordings.
const FOLDER: &str = "VW_RECORD";

/// Records all rows, then replaces `monitor/tests/replay/scenarios`.
pub(crate) fn run() -> Result<()> {
    signals::watch()?;
    let folder = target_folder().join("recordings");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing earlier recordings")?;
    }
    fs::create_dir_all(&folder).context("making the folder of the recordings")?;
    image::make_testbox()?;
    image::make_debian()?;
    run_test(record(&folder), "recording")?;
    own(&folder)?;
    let mut keep = cargo();
    keep.args(["test", "--package", "monitor", "--test", "replay"]).env(FOLDER, &folder);
    keep.args(["--", "--ignored", "--nocapture", "keep_what_was_recorded"]);
    run_test(keep, "keeping what was recorded")
}

/// The matrix, as root; cargo runs as whoever this is.
fn record(folder: &Path) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", "monitor", "--test", "verdicts"]);
    command.env("VW_IMAGES_READY", "1").env(FOLDER, folder);
    if !lab::is_root() {
        let variable = format!("{FOLDER}={}", folder.display());
        let runner =
            format!(r#"target."cfg(unix)".runner = ["sudo", "env", "VW_IMAGES_READY=1", {variable:?}]"#);
        command.args(["--config", &runner]);
    }
    // These look at all that goes on on the host, or are there for what is not seen, or too large to be kept.
    command.args(["--", "--test-threads", "1"]);
    command.args(["--skip", "a_check_", "--skip", "controls::", "--skip", "quiet::"]);
    command
}

/// Recordings that root made belong to root alone; here they are for whoever runs this.
fn own(folder: &Path) -> Result<()> {
    if lab::is_root() {
        return Ok(());
    }
    let owner = fs::metadata(folder).context("looking at the folder of the recordings")?.uid();
    let status = lab::privileged("chown").args(["-R", &owner.to_string()]).arg(folder).status();
    ensure!(status.context("starting chown")?.success(), "the recordings stay root's");
    Ok(())
}

fn run_test(mut command: Command, what: &str) -> Result<()> {
    let mut child = command.spawn().context("starting cargo")?;
    let status = signals::wait(&mut child, None)?;
    ensure!(status.success(), "{what} failed; the scenarios are as they were");
    Ok(())
}
