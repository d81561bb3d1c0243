//! The `docker` command.

use crate::command;
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// Long enough for an engine on a busy two-core machine.
const USUAL: Duration = Duration::from_secs(60);

/// Runs `docker ARGUMENTS` and returns what it prints.
///
/// # Errors
/// There is no `docker`, it fails, or it takes longer than a minute.
pub fn docker(arguments: &[&str]) -> Result<String> {
    docker_within(arguments, USUAL)
}

/// The same with a time of the caller's choice.
///
/// # Errors
/// There is no `docker`, it fails, or it takes longer.
pub fn docker_within(arguments: &[&str], within: Duration) -> Result<String> {
    command::text(Command::new("docker").args(arguments), within)
}
