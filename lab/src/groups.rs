//! Control groups of hosts and engines that tests make.

use crate::{command, wait_for};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the control group of a host of the tests' own, its folder in it, and its containers' groups are called by, before the
/// number of the process that made it.
pub const OWN_HOST: &str = "vw-host-";

/// How long processes that were killed may take to leave theirs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Removes the control groups of this name, and those below them, once no process is in them.
///
/// # Errors
/// Processes are in them for a minute more, or the kernel refuses.
pub fn remove_groups(name: &str) -> Result<()> {
    let (itself, below) = (format!("*/{name}"), format!("*/{name}/*"));
    wait_for("control groups to be empty", PATIENCE, || {
        let mut find = Command::new("find");
        find.args([
            "/sys/fs/cgroup",
            "-depth",
            "-type",
            "d",
            "(",
            "-path",
            &itself,
            "-o",
            "-path",
            &below,
            ")",
        ]);
        find.arg("-delete");
        Ok(command::text(&mut find, PATIENCE).ok())
    })
    .map(drop)
}

/// The control group of an engine of a test's own: on a host of the tests' own it is below that one's, which all its containers can
/// be told by.
pub(crate) fn of_engine(name: &str) -> String {
    let above = std::env::var("VW_OWN_HOST").unwrap_or_default();
    format!("{above}/{name}")
}

/// Whether a process, by its folder below `/proc`, is of a host of the tests' own.
pub(crate) fn is_of_own_host(process: &Path) -> bool {
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    groups.contains(&format!("/{OWN_HOST}"))
}
