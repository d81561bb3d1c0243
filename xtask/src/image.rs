//! `cargo xtask image`: makes an image on this machine, for tests or of vethwatch itself.

use crate::cargo::{Profile, build, target_folder};
use anyhow::{Context, Result, bail};
use lab::image::{DEBIAN, TESTBOX};
use std::fs;
use std::path::PathBuf;

/// The repository of images of vethwatch itself.
const VETHWATCH: &str = "vethwatch";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which: `vw-testbox:latest`, `vw-lab:latest`, or `vethwatch:TAG`, which is of vethwatch itself.
    #[arg(default_value = TESTBOX)]
    image: String,
    /// Build vethwatch for debugging, which is quicker to compile.
    #[arg(long)]
    dev: bool,
}

/// Makes it unless it exists already.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.image.as_str() {
        TESTBOX => make_testbox(),
        DEBIAN => make_debian(),
        name if name.split(':').next() == Some(VETHWATCH) => make_vethwatch(name, arguments.dev),
        name => bail!("{name} is none of {TESTBOX}, {DEBIAN} and {VETHWATCH}:TAG"),
    }
}

/// Builds the testbox program, always for release: two builds would be two images of one name.
pub(crate) fn build_testbox() -> Result<PathBuf> {
    build(&[("testbox", "testbox")], Profile::Release)?.pop().context("cargo built nothing")
}

/// Makes the image of the testbox.
pub(crate) fn make_testbox() -> Result<()> {
    let program = build_testbox()?;
    lab::image::make_testbox(&program, &scratch()?).context("making the testbox image")
}

/// Makes an image of vethwatch itself.
fn make_vethwatch(name: &str, dev: bool) -> Result<()> {
    let profile = if dev { Profile::Dev } else { Profile::Release };
    let program = build(&[("monitor", "vethwatch")], profile)?.pop().context("cargo built nothing")?;
    lab::image::make_vethwatch(name, &program, &scratch()?).with_context(|| format!("making {name}"))
}

/// A folder for archives on their way.
fn scratch() -> Result<PathBuf> {
    let folder = target_folder().join("images");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Makes the image with nginx, Flask, iperf3 and network tools.
pub(crate) fn make_debian() -> Result<()> {
    lab::image::make_debian(&target_folder().join("images")).context("making the Debian image")
}
