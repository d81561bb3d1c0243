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

/// Removes the control groups whose name starts so, and those below them, once no process is in them.
///
/// # Errors
/// Processes are in them for a minute more, or the kernel refuses.
pub fn remove_groups(name: &str) -> Result<()> {
    let path = format!("*/{name}*");
    wait_for("control groups to be empty", PATIENCE, || {
        let mut find = Command::new("find");
        find.args(["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &path, "-delete"]);
        Ok(command::text(&mut find, PATIENCE).ok())
    })
    .map(drop)
}

/// Whether a process, by its folder below `/proc`, is of a host of the tests' own.
pub(crate) fn is_of_own_host(process: &Path) -> bool {
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    groups.contains(&format!("/{OWN_HOST}"))
}
