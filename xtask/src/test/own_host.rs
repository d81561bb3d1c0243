//! A second host for a part of the tests, so that two run at a time: its own network, mount and process namespaces, and a
//! Docker engine of its own, which sees nothing of the machine's and is not seen by it.

use super::Tally;
use crate::signals;
use anyhow::{Context, Result};
use lab::{OWN_HOST, remove_groups, text};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// What makes the namespaces such a host and runs a command on it.
const SCRIPT: &str = include_str!("own_host.sh");

/// The longest that all its tests may take.
const LIMIT: Duration = Duration::from_secs(50 * 60);

/// How long Docker may take to write its images to a file.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tests that run on a host of their own; what it has is gone when dropped.
pub(super) struct OwnHost {
    child: Child,
    reader: Option<JoinHandle<Vec<String>>>,
    folder: PathBuf,
    name: String,
}

impl OwnHost {
    /// Starts a host with these images of the machine's Docker, and these tests on it, by `cargo xtask test`. Each line that they print
    /// is shown.
    pub(super) fn start(targets: &[&str], images: &[&str]) -> Result<Self> {
        let name = format!("{OWN_HOST}{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let archive = folder.join("images.tar");
        text(Command::new("docker").args(["save", "--output"]).arg(&archive).args(images), PATIENCE)?;
        let mut command = Command::new("bash");
        command.args(["-c", SCRIPT, "own-host"]).arg(&folder).arg(&name).arg(&archive);
        command.arg(std::env::current_exe().context("finding this program")?).arg("test");
        command.args(targets.iter().flat_map(|target| ["--only", target]));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("starting a host of its own")?;
        let output = child.stdout.take().context("a pipe from it")?;
        let reader = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("own host | {line}");
                lines.push(line);
            }
            lines
        });
        Ok(Self { child, reader: Some(reader), folder, name })
    }

    /// Waits for the end of its tests, and counts them.
    pub(super) fn finish(mut self) -> Result<Tally> {
        let status = signals::wait(&mut self.child, Some(LIMIT))?;
        let lines = self.reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ok(Tally::of_another_run("own host", &lines, status.success()))
    }

    fn remove(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            // Its first process ends with it, and with that all others.
            self.child.kill().context("ending a host of its own")?;
            self.child.wait().context("waiting for its end")?;
        }
        remove_groups(&self.name)?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("removing {}", self.folder.display()))
    }
}

impl Drop for OwnHost {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}
