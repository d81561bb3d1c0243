//! cargo-deb, in `target/tools`, built if it is not there.

use crate::cargo::{cargo, target_folder};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// The version, which makes the same package everywhere.
const VERSION: &str = "3.8.0";

/// Finds it, and builds it if need be.
pub(super) fn find() -> Result<PathBuf> {
    let folder = target_folder().join("tools").join(format!("cargo-deb-{VERSION}"));
    let tool = folder.join("bin/cargo-deb");
    if !tool.exists() {
        let mut install = cargo();
        // It packs for seconds either way, and is built in half the time.
        install.args(["install", "cargo-deb", "--debug", "--locked", "--quiet", "--version", VERSION]);
        install.arg("--root").arg(&folder);
        let status = install.status().context("starting cargo")?;
        ensure!(status.success(), "building cargo-deb {VERSION} failed");
    }
    Ok(tool)
}
