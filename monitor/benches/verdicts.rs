//! How soon a finding is told: from the sending of its first packet to its line on the stream of `violations --json`,
//! at the usual tick of a second.
//!
//! `cargo xtask bench verdicts`; `cargo bench -p monitor --bench verdicts -- SAMPLES` for more; needs root, Docker,
//! iptables, and the image `vw-testbox`.
//!
//! A container sends to another of a network that an operator's rule lets it reach, and to one of a network that it
//! cannot reach, in turn. Each packet goes to a port that a rule of a policy file has for itself, so each is a new
//! finding. Packets are spread over the tick.

mod measure;

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, text, wait_for};
use measure::statistics::Sample;
use monitor::collector::clock::kernel_now;
use monitor::model::KernelTime;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// The usual tick.
const TICK: Duration = Duration::from_secs(1);
/// What a delivered one may take beyond a tick.
const BEYOND: Duration = Duration::from_millis(200);
/// Between two packets: no part of a tick, so that they fall on all of it.
const BETWEEN: Duration = Duration::from_millis(137);
const PATIENCE: Duration = Duration::from_secs(30);
/// The port of the first rule; each after it has the next.
const FIRST_PORT: u16 = 2_000;
/// Packets that are not measured: they show that everything is watched and named.
const BEFORE: u16 = 20;

/// What becomes of the packets, in turn.
const OUTCOMES: [&str; 2] = ["delivered", "blocked"];

fn main() -> Result<()> {
    let samples: u16 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100);
    let scene = Scene::new()?;
    let packets = BEFORE + samples * 2;
    let stream = Stream::start(&policy(packets))?;
    let sent = scene.send(packets)?;
    stream.wait(packets)?;
    println!(
        "From the sending of a packet to the first line about it, spread over ticks of {} s.\n",
        TICK.as_secs()
    );
    println!(
        "| a packet that is | packets | median | worst | allowed |\n| --- | ---: | ---: | ---: | ---: |"
    );
    for outcome in OUTCOMES {
        let took = stream.took(&sent, outcome)?;
        // Docker takes the operator's chain out for a moment whenever somebody makes a network: a packet that comes
        // then is one of the other kind.
        let fewest = usize::from(samples) * 19 / 20;
        ensure!(took.len() >= fewest, "{} are {outcome}, not {samples}", took.len());
        print_row(outcome, &took);
    }
    Ok(())
}

fn print_row(outcome: &str, took: &Sample) {
    let [median, worst] = [took.median(), took.worst()].map(milliseconds);
    let allowed = (outcome == "delivered").then(|| milliseconds((TICK + BEYOND).as_secs_f64()));
    println!("| {outcome} | {} | {median} | {worst} | {} |", took.len(), allowed.as_deref().unwrap_or("–"));
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1e3)
}

/// A rule for each port.
fn policy(packets: u16) -> String {
    (FIRST_PORT..FIRST_PORT + packets).fold(String::new(), |mut text, port| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "[[rule]]\nname = \"{port}\"\naction = \"deny\"\nprotocol = \"udp\"\nports = {port}"
        );
        text
    })
}

/// A container, one that it reaches, and one that it does not.
struct Scene {
    from: Container,
    /// Addresses, in the order of [`OUTCOMES`].
    to: [String; 2],
    _door: Door,
    _lab: Lab,
}

impl Scene {
    fn new() -> Result<Self> {
        let lab = Lab::new("soon")?;
        let [near, open, closed] = ["near", "open", "closed"].map(|name| lab.network(name, &[]));
        let (near, open, closed) = (near?, open?, closed?);
        let run = |name: &str, net: &Network| lab.container(name).on(net).run(&["sleep"]);
        let from = run("from", &near)?;
        let to = [run("reached", &open)?.address(&open)?, run("kept", &closed)?.address(&closed)?];
        Ok(Self { from, to, _door: Door::open(&near, &open)?, _lab: lab })
    }

    /// Sends the packets, and returns when each was sent.
    fn send(&self, packets: u16) -> Result<HashMap<u16, KernelTime>> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.from.pid()?))?;
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)?;
                let socket = UdpSocket::bind("0.0.0.0:0").context("a socket in the container")?;
                (FIRST_PORT..FIRST_PORT + packets)
                    .zip(self.to.iter().cycle())
                    .map(|(port, to)| {
                        sleep(BETWEEN);
                        let at = kernel_now();
                        // A refusal that an earlier packet met is not this one's.
                        let sent = socket.send_to(b"soon", (to.as_str(), port));
                        sent.or_else(|_| socket.send_to(b"soon", (to.as_str(), port))).context("sending")?;
                        Ok((port, at))
                    })
                    .collect()
            });
            sender.join().expect("the sender does not panic")
        })
    }
}

/// An operator's rule that lets one network reach another; taken back when dropped.
struct Door(Vec<String>);

impl Door {
    fn open(from: &Network, to: &Network) -> Result<Self> {
        let rule = format!("DOCKER-USER -i {} -o {} -j ACCEPT", from.bridge, to.bridge);
        let door = Self(rule.split_whitespace().map(str::to_owned).collect());
        door.run("-I")?;
        Ok(door)
    }

    fn run(&self, action: &str) -> Result<()> {
        let mut command = Command::new("iptables");
        text(command.args(["-w", "10", action]).args(&self.0), PATIENCE).map(drop)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = self.run("-D") {
            eprintln!("{error:#}");
        }
    }
}

/// The first line about each port, and when it was read.
type Told = Arc<Mutex<HashMap<u16, (KernelTime, Value)>>>;

/// `violations --json`, read as it comes.
struct Stream {
    agent: Child,
    policy: PathBuf,
    told: Told,
}

impl Stream {
    fn start(policy: &str) -> Result<Self> {
        let file = std::env::temp_dir().join(format!("vw-soon-{}.toml", std::process::id()));
        std::fs::write(&file, policy).context("writing a policy file")?;
        let mut agent = Command::new(env!("CARGO_BIN_EXE_vethwatch"))
            .args(["violations", "--json", "--policy", &file.to_string_lossy()])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting vethwatch")?;
        let output = agent.stdout.take().context("its output is a pipe")?;
        let told = Told::default();
        let stream = Self { agent, policy: file, told: Arc::clone(&told) };
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = kernel_now();
                let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
                let port = line["rule"].as_str().and_then(|rule| rule.parse().ok());
                let Some(port) = port else { continue };
                told.lock().unwrap_or_else(PoisonError::into_inner).entry(port).or_insert((at, line));
            }
        });
        Ok(stream)
    }

    /// Waits until the packets that are measured are all told.
    fn wait(&self, packets: u16) -> Result<()> {
        wait_for("all findings", PATIENCE, || {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let all = (FIRST_PORT + BEFORE..FIRST_PORT + packets).all(|port| told.contains_key(&port));
            Ok(all.then_some(()))
        })
    }

    /// How long those with an outcome took, seconds.
    fn took(&self, sent: &HashMap<u16, KernelTime>, outcome: &str) -> Result<Sample> {
        let mut took = Sample::default();
        for (port, (at, line)) in &*self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            if *port >= FIRST_PORT + BEFORE && line["outcome"] == outcome {
                let sent = sent.get(port).context("a finding about a packet that was not sent")?;
                took.push(at.since(*sent).as_secs_f64());
            }
        }
        Ok(took)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.agent.id()) {
            // SAFETY: a signal to a child that was not waited for yet.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        // It is over either way.
        let _ = self.agent.wait();
        let _ = std::fs::remove_file(&self.policy);
    }
}
