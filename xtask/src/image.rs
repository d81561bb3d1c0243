//! `cargo xtask image`: makes a test image.

use crate::cargo::{Profile, build, target_folder};
use anyhow::{Context, Result};
use lab::image::{DEBIAN, TESTBOX};
use std::fs;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which.
    #[arg(value_parser = [TESTBOX, DEBIAN], default_value = TESTBOX)]
    image: String,
}

/// Makes it unless it exists already.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.image == DEBIAN { make_debian() } else { make_testbox() }
}

/// Builds the testbox program, always for release: two builds would be two images of one name.
pub(crate) fn build_testbox() -> Result<PathBuf> {
    build(&[("testbox", "testbox")], Profile::Release)?.pop().context("cargo built nothing")
}

/// Makes the image of the testbox.
pub(crate) fn make_testbox() -> Result<()> {
    let program = build_testbox()?;
    let scratch = target_folder().join("images");
    fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    lab::image::make_testbox(&program, &scratch).context("making the testbox image")
}

/// Makes the image with nginx, Flask, iperf3 and network tools.
pub(crate) fn make_debian() -> Result<()> {
    lab::image::make_debian(&target_folder().join("images")).context("making the Debian image")
}
