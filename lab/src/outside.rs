//! The outside world, for tests: a network namespace behind a link to the host, with addresses that the host routes to
//! it. What is sent to them never leaves the machine.

use crate::{command, wait_for};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What every namespace of an outside is called by, before the process's number.
const NAME: &str = "vw-out-";
/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A namespace that stands for everything outside; gone when dropped.
#[derive(Debug)]
pub struct Outside {
    /// Its name.
    pub name: String,
    /// Its address on the link, from the range for benchmarks (RFC 2544).
    pub address: String,
    /// The host's address on the link.
    pub host: String,
    /// The host's end of the link.
    pub device: String,
    /// What the host routes there beside the link's own.
    routes: Vec<String>,
    /// The namespace that is the host to it, below `/run/netns`; the machine's own, if it is none.
    near: Option<String>,
}

impl Outside {
    /// Makes it; `more` are further addresses that are there, such as a metadata service's. They are routed before this
    /// returns.
    ///
    /// # Errors
    /// The kernel refuses, or the machine has a route to one of these addresses already that is not its default one.
    pub fn new(more: &[&str]) -> Result<Self> {
        Self::of(None, more)
    }

    /// The same for what is in a network namespace, such as an engine of a test's own.
    ///
    /// # Errors
    /// As [`Outside::new`].
    pub fn of_namespace(near: &str) -> Result<Self> {
        Self::of(Some(near.to_owned()), &[])
    }

    fn of(near: Option<String>, more: &[&str]) -> Result<Self> {
        remove_leftovers()?;
        let pid = std::process::id();
        // A link of four addresses for each process; process numbers are below 2^22, links that live at once are few.
        let [_, high, middle, low] = (pid % (1 << 15) * 4).to_be_bytes();
        let at = |last: u8| format!("198.{}.{middle}.{}", 18 + high, low + last);
        let outside = Self {
            name: format!("{NAME}{pid}"),
            address: at(2),
            host: at(1),
            device: format!("vwo{pid}"),
            routes: more.iter().map(|&address| address.to_owned()).collect(),
            near,
        };
        let Self { name, address, host, device, .. } = &outside;
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {device} type veth peer name eth0 netns {name}"))?;
        if let Some(near) = &outside.near {
            ip(&format!("link set {device} netns {near}"))?;
        }
        let near = |words: &str| ip(&format!("{}{words}", outside.near_option()));
        near(&format!("addr add {host}/30 dev {device}"))?;
        near(&format!("link set {device} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} addr add {address}/30 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} route add default via {host}"))?;
        for more in &outside.routes {
            ip(&format!("-n {name} addr add {more}/32 dev eth0"))?;
            near(&format!("route add {more}/32 via {address} dev {device}"))?;
        }
        for there in outside.routes.iter().chain([address]) {
            let words = format!("{}route get {there}", outside.near_option());
            let route = command::text(Command::new("ip").args(words.split_whitespace()), PATIENCE)?;
            ensure!(route.contains(&format!("dev {device} ")), "{there} is not behind {device}: {route}");
        }
        wait_for("the outside to answer", PATIENCE, || {
            let mut ping = outside.command(&["ping", "-q", "-c", "1", "-W", "1", host]);
            Ok(command::text(&mut ping, PATIENCE).ok())
        })?;
        Ok(outside)
    }

    /// What has `ip` work where the host's end of the link is.
    fn near_option(&self) -> String {
        self.near.as_ref().map_or_else(String::new, |near| format!("-n {near} "))
    }

    /// Runs a command there and returns what it prints.
    ///
    /// # Errors
    /// It fails, or takes longer than fifteen seconds.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        command::text(&mut self.command(words), PATIENCE)
    }

    /// A command that would run there.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words);
        command
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

/// Removes the namespaces of processes that no longer run; their links and routes go with them.
fn remove_leftovers() -> Result<()> {
    for name in command::text(Command::new("ip").args(["netns", "list"]), PATIENCE)?.lines() {
        let name = name.split_whitespace().next().unwrap_or_default();
        let pid = name.strip_prefix(NAME).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name)?;
        }
    }
    Ok(())
}

/// Removes a namespace. A process that still runs there would keep the link, so the host's end goes first.
fn remove(name: &str) -> Result<()> {
    let device = format!("vwo{}", name.strip_prefix(NAME).context("a name of ours")?);
    if Path::new(&format!("/sys/class/net/{device}")).exists() {
        ip(&format!("link del {device}"))?;
    }
    ip(&format!("netns del {name}"))
}

fn ip(words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command::text(command.args(words.split_whitespace()), PATIENCE).map(drop)
}
