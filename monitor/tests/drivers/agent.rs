//! An agent at a socket of its own, and what it tells.

use anyhow::{Context, Result, bail};
use lab::{Container, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running agent.
pub(crate) struct Agent {
    program: Vethwatch,
    running: Running,
    socket: PathBuf,
}

impl Agent {
    /// Starts one, and waits until it answers.
    pub(crate) fn start(name: &str) -> Result<Self> {
        Self::start_by(vethwatch(), name)
    }

    /// The same of a program that is told where it runs.
    pub(crate) fn start_by(program: Vethwatch, name: &str) -> Result<Self> {
        let socket = PathBuf::from(format!("/run/vw-{name}-{}.sock", std::process::id()));
        let at = socket.to_string_lossy();
        let words = ["agent", "--metrics-listen", "off", "--tick", "200ms", "--socket", &at];
        let running = program.start(&words)?;
        let agent = Self { program, running, socket };
        wait_for("the agent to answer", PATIENCE, || Ok(agent.ask("containers").ok()))?;
        Ok(agent)
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The lines of one of its tables.
    pub(crate) fn ask(&self, table: &str) -> Result<Vec<Value>> {
        self.program.json(&[table, "--json", "--socket", &self.socket.to_string_lossy()])
    }

    /// Waits for so many more ticks.
    pub(crate) fn wait_for_ticks(&self, count: u64) -> Result<()> {
        let ticks = || -> Result<u64> {
            let lines = self.ask("containers")?;
            lines.iter().find_map(|line| line["maps"]["generations"].as_u64()).context("no generations")
        };
        let until = ticks()? + count;
        wait_for("ticks", PATIENCE, || Ok((ticks()? >= until).then_some(())))
    }

    /// A command that asks it, and prints lines as long as it runs.
    pub(crate) fn start_asking(&self, words: &[&str]) -> Result<Running> {
        let socket = self.socket.to_string_lossy();
        self.program.start(&[words, &["--json", "--socket", &socket]].concat())
    }

    /// A container's flows of the next second.
    pub(crate) fn flows_of(&self, container: &Container) -> Result<Vec<Value>> {
        let socket = self.socket.to_string_lossy();
        let words = ["flows", "--json", "--for", "1s", "--container", &container.name, "--socket", &socket];
        self.program.json(&words)
    }

    /// The only pair of these two containers.
    pub(crate) fn pair(&self, client: &Container, server: &Container) -> Result<Value> {
        let pairs = self.ask("pairs")?;
        let is =
            |line: &Value, end: &str, container: &Container| line[end]["container"]["id"] == *container.id;
        let mut found = pairs.iter().filter(|line| is(line, "client", client) && is(line, "server", server));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.clone()),
            _ => bail!("not one pair of {} and {} among {pairs:#?}", client.name, server.name),
        }
    }

    /// The same, once it is there and has this many packets from its client.
    pub(crate) fn wait_for_pair(&self, client: &Container, server: &Container, sent: u64) -> Result<Value> {
        let mut last = None;
        let found = wait_for("a pair", PATIENCE, || {
            last = Some(self.pair(client, server));
            let pair = last.as_ref().and_then(|pair| pair.as_ref().ok());
            Ok(pair.filter(|pair| pair["sent"]["packets"] == sent).cloned())
        });
        found.with_context(|| format!("{last:?}"))
    }

    /// A container's line.
    pub(crate) fn row(&self, container: &Container) -> Result<Option<Value>> {
        let lines = self.ask("containers")?;
        Ok(lines.into_iter().find(|line| line["type"] == "container" && line["id"] == *container.id))
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

    /// What its processes hold of namespaces and programs, by kind: descriptors, threads inside of others' namespaces, and
    /// entries that tell programs of devices there.
    pub(crate) fn holds(&self) -> Result<BTreeMap<String, usize>> {
        let mut held = BTreeMap::new();
        let mut processes = vec![self.running.pid()];
        while let Some(pid) = processes.pop() {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.filter_map(Result::ok) {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                processes.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
                let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                if name.trim() == "vw-inside" {
                    *held.entry(name.trim().to_owned()).or_default() += 1;
                }
            }
            for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(Result::ok) {
                let Ok(target) = fs::read_link(descriptor.path()) else { continue };
                let target = target.to_string_lossy();
                if target.starts_with("anon_inode:bpf") || target.starts_with("net:") {
                    let kind = target.split('[').next().unwrap_or_default();
                    *held.entry(kind.to_owned()).or_default() += 1;
                }
            }
        }
        held.insert("entries".into(), lab::map_entries(self.running.pid(), "INSIDE")?);
        Ok(held)
    }

    /// Waits until they hold this again.
    pub(crate) fn wait_until_holds(&self, expected: &BTreeMap<String, usize>) -> Result<()> {
        let mut last = None;
        let as_before = wait_for("what was taken to be given back", PATIENCE, || {
            last = Some(self.holds()?);
            Ok((last.as_ref() == Some(expected)).then_some(()))
        });
        as_before.with_context(|| format!("{expected:?} before, then {last:?}"))
    }

    /// Ends it, as a service manager does.
    pub(crate) fn end(self) -> Result<()> {
        self.running.signal(libc::SIGTERM)?;
        self.running.end().map(drop)
    }
}

pub(crate) fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// Has a container send datagrams.
pub(crate) fn send(from: &Container, to: &str, count: u64, size: u64) -> Result<()> {
    let (count, size) = (count.to_string(), size.to_string());
    from.exec(&["/testbox", "udp-send", to, "--count", &count, "--size", &size, "--rate", "5000"]).map(drop)
}

/// A line of a container that is watched.
pub(crate) fn is_watched(row: &Value) -> bool {
    row["watched"] == true
}
