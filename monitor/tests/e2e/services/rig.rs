//! An agent at a socket of its own, and clients whose kernel is asked how long it took.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch, image, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Opens connections one after the other, each to the address and the port of an argument, as often as that says. Prints
/// for each how many microseconds the handshake took, as its kernel measured it, or that it was refused.
const CLIENT: &str = "
import socket, struct, sys
for word in sys.argv[1:]:
    address, port, count = word.split(',')
    for _ in range(int(count)):
        with socket.socket() as it:
            it.settimeout(5)
            try:
                it.connect((address, int(port)))
            except ConnectionRefusedError:
                print(address, 'refused')
                continue
            info = it.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            print(address, struct.unpack_from('I', info, 68)[0])
";

/// Connections of a container: `(address, port, how many)`. Gives back address and microseconds of each.
pub(crate) fn connect(client: &Container, to: &[(&str, u16, usize)]) -> Result<Vec<(String, Option<u64>)>> {
    let to: Vec<String> =
        to.iter().map(|(address, port, count)| format!("{address},{port},{count}")).collect();
    let words: Vec<&str> =
        ["python3", "-c", CLIENT].into_iter().chain(to.iter().map(String::as_str)).collect();
    let said = client.exec(&words)?;
    let line = |line: &str| {
        let (address, took) = line.split_once(' ').with_context(|| format!("{line:?}"))?;
        Ok((address.to_owned(), took.parse().ok()))
    };
    said.lines().map(line).collect()
}

/// Two containers of two services: a client that waits for commands, and a server that runs a program and has said that it
/// listens.
pub(crate) fn client_and_server(lab: &Lab, network: &Network, program: &str) -> Result<[Container; 2]> {
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(network).compose("lab", name);
    let client = container("client").run(&["sleep", "600"])?;
    let server = container("server").run(&["python3", "-c", program])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    Ok([client, server])
}

/// An agent.
pub(crate) struct Agent {
    pub(crate) running: Running,
    socket: PathBuf,
}

impl Agent {
    /// Starts one, and waits until it watches these containers.
    pub(crate) fn watching(name: &str, containers: &[&Container]) -> Result<Self> {
        let socket = std::env::temp_dir().join(format!("vw-{name}-{}", std::process::id()));
        let at = socket.to_str().context("a path")?.to_owned();
        let running = vethwatch().start(&[
            "agent",
            "--metrics-listen",
            "127.0.0.1:0",
            "--metrics-pairs",
            "--socket",
            &at,
        ])?;
        let agent = Self { running, socket };
        wait_for("the agent to watch", PATIENCE, || {
            let Ok(rows) = agent.ask(&["containers"]) else { return Ok(None) };
            let is_watched = |wanted: &&Container| {
                rows.iter().any(|row| row["id"] == *wanted.id && row["networks"][0]["interface"].is_string())
            };
            Ok(containers.iter().all(is_watched).then_some(()))
        })?;
        Ok(agent)
    }

    /// What a command that asks it prints.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Vec<Value>> {
        vethwatch().json(&self.words(words)?)
    }

    /// A command that asks it, for a while.
    pub(crate) fn start(&self, words: &[&str]) -> Result<Running> {
        vethwatch().start(&self.words(words)?)
    }

    fn words<'a>(&'a self, words: &[&'a str]) -> Result<Vec<&'a str>> {
        let at = self.socket.to_str().context("a path")?;
        Ok([words, &["--json", "--socket", at]].concat())
    }

    /// How many ask it just now.
    pub(crate) fn clients(&self) -> Result<usize> {
        lab::clients_at(&self.socket)
    }

    /// Ends it.
    pub(crate) fn end(self) -> Result<()> {
        self.running.signal(libc::SIGTERM)?;
        let (code, _) = self.running.end()?;
        drop(std::fs::remove_file(self.socket.with_extension("lock")));
        ensure!(code == Some(0), "the agent ended with {code:?}");
        Ok(())
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}
