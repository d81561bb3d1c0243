//! An agent at a socket of its own, and what it tells.

use anyhow::{Context, Result};
use lab::{Container, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running agent.
pub(crate) struct Agent {
    running: Running,
    socket: PathBuf,
}

impl Agent {
    /// Starts one, and waits until it answers.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let socket = PathBuf::from(format!("/run/vw-{name}-{}.sock", std::process::id()));
        let at = socket.to_string_lossy();
        let words = ["agent", "--metrics-listen", "off", "--tick", "200ms", "--socket", &at];
        let running = vethwatch().start(&words)?;
        let agent = Self { running, socket };
        wait_for("the agent to answer", PATIENCE, || Ok(agent.ask("containers").ok()))?;
        Ok(agent)
    }

    /// The lines of one of its tables.
    pub(crate) fn ask(&self, table: &str) -> Result<Vec<Value>> {
        vethwatch().json(&[table, "--json", "--socket", &self.socket.to_string_lossy()])
    }

    /// A container's line.
    pub(crate) fn row(&self, container: &Container) -> Result<Option<Value>> {
        Ok(self.ask("containers")?.into_iter().find(|line| line["id"] == *container.id))
    }

    /// Waits until a container's line is as it should be; returns it.
    pub(crate) fn wait_for_row(
        &self,
        what: &str,
        container: &Container,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        let found = wait_for(what, PATIENCE, || {
            last = self.row(container)?;
            Ok(last.clone().filter(&fits))
        });
        found.with_context(|| format!("{}: {last:#?}", self.running.errors()))
    }

    /// Ends it, as a service manager does.
    pub(crate) fn end(self) -> Result<()> {
        self.running.signal(libc::SIGTERM)?;
        self.running.end().map(drop)
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}
