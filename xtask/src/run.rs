//! `cargo xtask run`: builds vethwatch with stable Rust alone and becomes it, as root.

use crate::cargo::{Profile, build};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Variables that choose which Docker is meant, and how output looks; sudo would drop them.
const KEPT: [&str; 12] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "NO_COLOR",
    "TERM",
    "COLORTERM",
    "COLORFGBG",
    "LC_ALL",
    "LC_CTYPE",
    "LANG",
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build for debugging, which is quicker to compile.
    #[arg(long)]
    dev: bool,
    /// Arguments of vethwatch.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds, then replaces this process, so that signals and the exit code are vethwatch's own.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let profile = if arguments.dev { Profile::Dev } else { Profile::Release };
    let programs = build(&[("monitor", "vethwatch")], profile)?;
    let program = programs.first().context("cargo built nothing")?;
    let error = as_root(program).args(&arguments.arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}

/// A command that runs a program as root with the variables that matter. Without sudo it runs as whoever this is,
/// and vethwatch then says itself what it is not permitted to do.
pub(crate) fn as_root(program: &Path) -> Command {
    if lab::is_root() || !has_sudo() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--", "env"]);
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.arg(assignment(name, value));
        }
    }
    // Docker's contexts are in the home folder of the person, not of root.
    let contexts = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    if let (None, Some(folder)) =
        (std::env::var_os("DOCKER_CONFIG"), contexts.filter(|folder| folder.exists()))
    {
        command.arg(assignment("DOCKER_CONFIG", folder.into()));
    }
    command.arg(program);
    command
}

fn assignment(name: &str, value: OsString) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    text
}

fn has_sudo() -> bool {
    Command::new("sudo").arg("--version").output().is_ok()
}
