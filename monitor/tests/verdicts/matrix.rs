//! A row of the matrix: networks and containers, vethwatch telling findings, and what it must tell.

use crate::recorded::Recorded;
use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
pub(crate) use lab::Rules;
use lab::{Container, ContainerSpec, Lab, Network, Running, Vethwatch, image};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Revisions of the marker's finding, one each tick, after which everything before was decided.
const DECIDED: usize = 6;

/// Answers TCP at port 80 and UDP at port 7.
const SERVE: &str = "
import socket, threading
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('', 7))
def echo():
    while True:
        data, peer = udp.recvfrom(2048)
        udp.sendto(data, peer)
threading.Thread(target=echo, daemon=True).start()
tcp = socket.socket()
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(('', 80))
tcp.listen(16)
while True:
    peer, _ = tcp.accept()
    try:
        peer.settimeout(10)
        peer.recv(2048)
        peer.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nhello')
    except OSError:
        pass
    peer.close()
";

/// What is expected of one finding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect<'a> {
    pub(crate) kind: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) outcome: &'a str,
    /// A container's name without the lab's prefix, or an end's kind.
    pub(crate) source: &'a str,
    /// As the source.
    pub(crate) destination: &'a str,
    pub(crate) protocol: &'a str,
}

/// A row that is being made.
pub(crate) struct Row {
    pub(crate) lab: Lab,
    image: String,
}

/// Runs a container that answers TCP at port 80 and UDP at port 7.
pub(crate) fn serve(spec: ContainerSpec) -> Result<Container> {
    let server = spec.run(&["python3", "-c", SERVE])?;
    lab::wait_for("the server to answer", PATIENCE, || {
        Ok(server.exec(&["nc", "-z", "127.0.0.1", "80"]).ok())
    })?;
    Ok(server)
}

/// A row that is watched.
pub(crate) struct Watched {
    running: Running,
    prefix: String,
    recorded: Recorded,
    row: Row,
    _marker: [Container; 2],
}

impl Row {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self { lab: Lab::new(name)?, image: image::ready(image::DEBIAN)? })
    }

    /// Describes a container of this row.
    pub(crate) fn spec(&self, name: &str) -> ContainerSpec {
        self.lab.container(name).image(&self.image)
    }

    pub(crate) fn network(&self, name: &str, options: &[&str]) -> Result<Network> {
        self.lab.network(name, options)
    }

    /// A container that waits for commands.
    pub(crate) fn container(&self, name: &str, network: &Network, options: &[&str]) -> Result<Container> {
        let spec = self.spec(name).on(network).options(options);
        spec.run(&["sleep", "infinity"])
    }

    /// A container that runs a command.
    pub(crate) fn command(&self, name: &str, network: &Network, words: &[&str]) -> Result<Container> {
        self.lab.container(name).image(&self.image).on(network).run(words)
    }

    /// A container that answers TCP at port 80 and UDP at port 7.
    pub(crate) fn server(&self, name: &str, network: &Network, options: &[&str]) -> Result<Container> {
        let spec = self.spec(name).on(network).options(options);
        serve(spec)
    }

    /// Starts vethwatch, and a marker: one container sends to another that it must not reach, all the time. When its
    /// finding comes, everything is watched; when it has come some times more, everything before is decided.
    pub(crate) fn watch(self) -> Result<Watched> {
        self.watch_with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn watch_with(self, arguments: &[&str]) -> Result<Watched> {
        let usual = ["violations", "--json", "--tick", "200ms", "--kind", "violation,broken,crossing"];
        let prefix = self.lab.prefix().to_owned();
        let recorded = Recorded::new(&prefix)?;
        let record = ["--record", recorded.file()];
        let running = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
            .start(&[&usual, &record[..], arguments].concat())?;
        // While it loads its programs: what was there before is attached to first.
        let (from, to) = self.marker()?;
        let mut watched = Watched { running, prefix, recorded, row: self, _marker: [from, to] };
        watched.decided()?;
        Ok(watched)
    }

    /// Who sends all the time, and to whom it must not.
    fn marker(&self) -> Result<(Container, Container)> {
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let net = self.network("marker-b", &[])?;
                let to = self.lab.container("marker-to").on(&net).run(&["sleep"])?;
                let address = format!("{}:9", to.address(&net)?);
                Ok::<_, anyhow::Error>((to, address))
            });
            let net = self.network("marker-a", &[])?;
            let (to, address) = receiver.join().expect("the thread does not panic")?;
            let send = ["udp-send", &address, "--count", "6000", "--rate", "10"];
            Ok((self.lab.container("marker").on(&net).run(&send)?, to))
        })
    }
}

impl Watched {
    /// Waits until everything sent before is decided.
    fn decided(&mut self) -> Result<()> {
        let marker = format!("{}-marker", self.prefix);
        let called = Timestamp::now();
        // What is printed now may be from before: it counts from a revision on whose last packet was seen after this.
        let is_later = |line: &&Value| {
            let seen = line["last_seen"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
            line["source"]["container"]["name"] == *marker && seen.is_some_and(|at| at > called)
        };
        self.running.wait_for("the marker's finding to go on", PATIENCE, |lines| {
            (lines.iter().filter(is_later).count() > DECIDED).then_some(())
        })
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.row.lab
    }

    /// Ends the watch: exactly these findings must have been told, whatever else was sent. Returns them in this order.
    pub(crate) fn must_tell(self, expected: &[Expect<'_>]) -> Result<Vec<Value>> {
        self.tells(expected).map(|(found, _)| found)
    }

    /// The same, with the status that is told at the end.
    pub(crate) fn tells(mut self, expected: &[Expect<'_>]) -> Result<(Vec<Value>, Value)> {
        self.decided()?;
        self.running.signal(libc::SIGINT)?;
        let Self { running, prefix, recorded, row, _marker } = self;
        let (_, lines) = running.end()?;
        let status = lines.iter().find(|line| line["type"] == "status").cloned().context("a status")?;
        recorded.must_replay(&lines)?;
        // Only now may networks and containers go: what is replayed must have been recorded, not made by clearing up.
        drop((_marker, row));
        let mut latest: BTreeMap<String, Value> = BTreeMap::new();
        for line in lines.into_iter().filter(|line| line["type"] == "finding") {
            let ends = [name(&line["source"], &prefix), name(&line["destination"], &prefix)];
            let is_ours = ends.iter().any(|end| end.starts_with('~'));
            if is_ours && !ends.iter().any(|end| end.starts_with("~marker")) {
                latest.insert(line["id"].as_str().context("an id")?.to_owned(), line);
            }
        }
        let mut found = Vec::new();
        for expect in expected {
            let fits = |line: &Value| {
                line["kind"] == expect.kind
                    && line["rule"] == expect.rule
                    && line["outcome"] == expect.outcome
                    && line["protocol"] == expect.protocol
                    && name(&line["source"], &prefix).trim_start_matches('~') == expect.source
                    && name(&line["destination"], &prefix).trim_start_matches('~') == expect.destination
            };
            let Some(id) = latest.iter().find(|(_, line)| fits(line)).map(|(id, _)| id.clone()) else {
                bail!("no {expect:?} among {:#?}", told(&latest));
            };
            found.extend(latest.remove(&id));
        }
        ensure!(latest.is_empty(), "beside what was expected: {:#?}", told(&latest));
        Ok((found, status))
    }
}

fn told(latest: &BTreeMap<String, Value>) -> Vec<String> {
    let text = |line: &Value| {
        format!(
            "{} {} {}: {} {:?}",
            line["kind"],
            line["rule"],
            line["outcome"],
            line["explanation"],
            line["evidence"].to_string()
        )
    };
    latest.values().map(text).collect()
}

/// What an end is called in an expectation: a container of this lab by its name with `~` in front, others by kind.
fn name(end: &Value, prefix: &str) -> String {
    let container = end["container"]["name"].as_str().unwrap_or_default();
    match container.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) {
        Some(name) => format!("~{name}"),
        None if container.is_empty() => end["kind"].as_str().unwrap_or_default().to_owned(),
        None => container.to_owned(),
    }
}

/// Sends one datagram of six bytes to each of these ports, each from a socket of its own, from one port if that is said.
const DATAGRAMS: &str = "
import socket, sys
to, source = sys.argv[1], int(sys.argv[2])
for port in sys.argv[3:]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.bind(('', source))
        it.sendto(b'hello\\n', (to, int(port)))
";

/// Has a container send one datagram to each of these ports, from a port of its own or, for 0, any. They are all sent.
pub(crate) fn datagrams(from: &Container, to: &str, source: u16, ports: &[u16]) -> Result<()> {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let source = source.to_string();
    from.exec(&[&["python3", "-c", DATAGRAMS, to, &source], &ports[..]].concat()).map(drop)
}

/// Runs a command in a container that may fail: what counts is what it sends.
pub(crate) fn attempt(container: &Container, command: &[&str]) {
    // Whether it worked shows in the findings.
    let _ = container.exec(command);
}
