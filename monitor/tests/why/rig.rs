//! Two networks with containers, and what `vethwatch why` answers about two ends while something is sent.

use anyhow::{Context, Result, anyhow, ensure};
use lab::{Container, Finished, Lab, Network, Outside, Vethwatch, image, text, wait_for};
use serde_json::Value;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// A lab with its image.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    image: String,
}

impl Rig {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self { lab: Lab::new(name)?, image: image::ready(image::DEBIAN)? })
    }

    /// A container that waits for commands.
    pub(crate) fn client(&self, name: &str, network: &Network, options: &[&str]) -> Result<Container> {
        let spec = self.lab.container(name).image(&self.image).on(network).options(options);
        spec.run(&["sleep", "infinity"])
    }

    /// A container that answers TCP at port 80.
    pub(crate) fn server(&self, name: &str, network: &Network, options: &[&str]) -> Result<Container> {
        let spec = self.lab.container(name).image(&self.image).on(network).options(options);
        let server = spec.run(&["python3", "-m", "http.server", "80"])?;
        wait_for("the server to answer", PATIENCE, || {
            Ok(server.exec(&["nc", "-z", "127.0.0.1", "80"]).ok())
        })?;
        Ok(server)
    }
}

/// What is answered about `from` and `to` while `send` is done. It is ended by a signal when that is over, and tells what
/// became of everything that was sent before.
pub(crate) fn why(from: &str, to: &str, send: impl FnOnce() -> Result<()>) -> Result<Value> {
    let mut running = vethwatch().start(&["why", from, to, "--for", "60s", "--tick", "200ms", "--json"])?;
    wait_for("the watch to begin", PATIENCE, || {
        Ok(running.errors().contains("make the traffic now").then_some(()))
    })?;
    send()?;
    running.signal(libc::SIGINT)?;
    let answer = running.wait_for("the answer", PATIENCE, |lines| lines.first().cloned())?;
    let (code, lines) = running.end()?;
    ensure!(code == Some(0) && lines.len() == 1, "exit code {code:?}: {lines:?}");
    ensure!(answer["type"] == "why" && answer["schema"] == "vethwatch/1", "{answer}");
    ensure!(answer["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{answer}");
    Ok(answer)
}

/// What is wrong, said to the end of a usage error.
pub(crate) fn refused(from: &str, to: &str) -> Result<Finished> {
    vethwatch().finish(&["why", from, to, "--for", "1s"])
}

/// Runs a command in a container that may fail: what counts is what it sends.
pub(crate) fn attempt(container: &Container, command: &[&str]) -> Result<()> {
    // Whether it worked shows in the answer.
    let _ = container.exec(command);
    Ok(())
}

/// Checks the one conversation that must have been seen: expectation, rule, outcome, and whether it was refused.
/// Returns it.
#[track_caller]
pub(crate) fn the_one(answer: &Value, [expected, rule, outcome]: [&str; 3], refused: bool) -> Result<Value> {
    let all = answer["conversations"].as_array().context("a list")?;
    ensure!(all.len() == 1 && answer["conversation_count"] == 1, "{answer}");
    let one = &all[0];
    for level in [answer, one] {
        ensure!(level["expected"] == expected && level["rule"] == rule, "{answer}");
    }
    ensure!(one["direction"] == "forward" && one["outcome"] == outcome, "{answer}");
    ensure!(one["refused"] == refused, "{answer}");
    Ok(one.clone())
}

/// Where evidence was seen, each place once, in order.
pub(crate) fn places(conversation: &Value) -> Vec<String> {
    let evidence = conversation["evidence"].as_array().into_iter().flatten();
    let mut places: Vec<String> = evidence.filter_map(|one| one["at"].as_str()).map(str::to_owned).collect();
    places.dedup();
    places
}

/// The commands to look for oneself.
pub(crate) fn commands(answer: &Value) -> Vec<String> {
    let look = answer["look"].as_array().into_iter().flatten();
    look.filter_map(|look| look["command"].as_str()).map(str::to_owned).collect()
}

/// The ways as `address:port expected rule`.
pub(crate) fn ways(answer: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let ways = answer["ways"].as_array().into_iter().flatten();
    ways.map(|way| {
        let [address, port, expected, rule] =
            ["address", "port", "expected", "rule"].map(|field| word(&way[field]));
        format!("{address}:{port} {expected} {rule}")
    })
    .collect()
}

/// A rule of iptables, removed when dropped; it must name a device of the rig. `words` begin with options and the chain.
pub(crate) struct Rule {
    table: &'static str,
    words: String,
}

impl Rule {
    pub(crate) fn insert(table: &'static str, words: String) -> Result<Self> {
        iptables(table, "-I", &words)?;
        Ok(Self { table, words })
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        if let Err(error) = iptables(self.table, "-D", &self.words) {
            eprintln!("{error:#}");
        }
    }
}

fn iptables(table: &str, action: &str, words: &str) -> Result<()> {
    let mut command = Command::new("iptables");
    command.args(["-w", "10", "-t", table, action]).args(words.split_whitespace());
    text(&mut command, PATIENCE).map(drop)
}

/// Tries to reach a port from outside.
pub(crate) fn connect(from: &Outside, address: &str, port: &str) -> Result<()> {
    let target: std::net::SocketAddr = format!("{address}:{port}").parse()?;
    let namespace = std::fs::File::open(format!("/run/netns/{}", from.name))?;
    let try_it = move || {
        // SAFETY: a plain system call on a descriptor that is open; only this thread changes its namespace.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        ensure!(entered == 0, "entering the namespace: {}", std::io::Error::last_os_error());
        // Whether it worked shows in the answer.
        drop(TcpStream::connect_timeout(&target, Duration::from_secs(1)));
        Ok(())
    };
    std::thread::spawn(try_it).join().map_err(|_| anyhow!("the thread panicked"))?
}
