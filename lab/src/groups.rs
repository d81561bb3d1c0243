//! Control groups of an engine that has ended.

use crate::{command, wait_for};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

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
