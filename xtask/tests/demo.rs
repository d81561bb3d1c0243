//! The demo leaves the machine as it was, however it ends.

use anyhow::{Context, Result, ensure};
use lab::{Listing, docker, wait_for};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// Building vethwatch, if that was not done yet, is part of it.
const PATIENCE: Duration = Duration::from_secs(600);

/// A demo that runs; what it says on standard error is collected.
struct Demo {
    child: Child,
    said: JoinHandle<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["demo", "--dev"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the demo")?;
        let mut pipe = child.stderr.take().context("a pipe")?;
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        });
        Ok(Self { child, said })
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: plain system call; the child has not been waited for, so its number cannot have been reused.
        ensure!(unsafe { libc::kill(pid, signal) } == 0, "sending signal {signal}");
        Ok(())
    }

    /// Its exit code, what it printed, and what it said on standard error.
    fn end(mut self) -> Result<(Option<i32>, String, String)> {
        let mut pipe = self.child.stdout.take().context("a pipe")?;
        let mut printed = String::new();
        pipe.read_to_string(&mut printed)?;
        let status = self.child.wait()?;
        Ok((status.code(), printed, self.said.join().unwrap_or_default()))
    }

    /// Waits for an object of the demo, by the command that lists such objects and a part of its name.
    fn wait_for(&mut self, list: &[&str], name: &str) -> Result<()> {
        let name = format!("vw-demo-{}-{name}", self.child.id());
        self.wait_until(&name, || Ok(docker(list)?.lines().any(|line| line == name)))
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        wait_for(what, PATIENCE, || {
            ensure!(self.child.try_wait()?.is_none(), "the demo ended before {what}");
            Ok(is_so()?.then_some(()))
        })
    }
}

const NETWORKS: [&str; 4] = ["network", "ls", "--format", "{{.Name}}"];
const CONTAINERS: [&str; 3] = ["ps", "--format", "{{.Names}}"];

/// Runs `play`, and compares what existed before with what exists after.
fn leaves_nothing(play: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = Listing::take()?;
    play()?;
    let mut difference = Listing::take()?.since(&before);
    // A difference that stays is told below, not by the wait's own error.
    let _ = wait_for("equal listings", Duration::from_secs(60), || {
        difference = Listing::take()?.since(&before);
        Ok(difference.is_empty().then_some(()))
    });
    ensure!(difference.is_empty(), "left behind:\n{difference}");
    Ok(())
}

#[test]
fn a_demo_shows_its_containers_and_leaves_nothing() -> Result<()> {
    leaves_nothing(|| {
        let (code, printed, said) = Demo::start(&[])?.end()?;
        ensure!(code == Some(0), "exit code {code:?}:\n{said}");
        for name in ["app", "proxy", "client", "stranger"] {
            ensure!(printed.contains(name), "{name} is not on the screen:\n{printed}");
        }
        ensure!(said.contains("everything removed"), "{said}");
        Ok(())
    })
}

#[test]
fn a_command_that_does_not_exist_keeps_its_exit_code() -> Result<()> {
    leaves_nothing(|| {
        let (code, _, said) = Demo::start(&["--", "no-such-command"])?.end()?;
        ensure!(code == Some(2), "exit code {code:?}:\n{said}");
        Ok(())
    })
}

#[test]
fn ctrl_c_while_the_command_runs_leaves_nothing() -> Result<()> {
    leaves_nothing(|| {
        let mut demo = Demo::start(&["--", "flows", "--for", "10m"])?;
        demo.wait_for(&CONTAINERS, "client")?;
        wait_for("vethwatch to start", PATIENCE, || {
            Ok(has_child_named(demo.child.id(), "vethwatch").then_some(()))
        })?;
        demo.signal(libc::SIGINT)?;
        let (_, _, said) = demo.end()?;
        ensure!(said.contains("everything removed"), "{said}");
        Ok(())
    })
}

#[test]
fn a_signal_while_the_containers_are_made_leaves_nothing() -> Result<()> {
    leaves_nothing(|| {
        let mut demo = Demo::start(&[])?;
        demo.wait_for(&NETWORKS, "front")?;
        demo.signal(libc::SIGTERM)?;
        let (code, _, said) = demo.end()?;
        ensure!(code == Some(128 + libc::SIGTERM), "exit code {code:?}:\n{said}");
        Ok(())
    })
}

fn has_child_named(parent: u32, name: &str) -> bool {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().any(|child| {
        std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|comm| comm.trim() == name)
    })
}
