//! How long answers take, against tcpdump in the container: at its own end of the same interface, and at `lo` for Docker's resolver.
//!
//! On a busy machine the kernel may do something else between two taps, so single differences can be anything up to a slice of
//! time. What is compared is the difference of each question by itself: every question has to be there once on both sides, so
//! that none is left out; the median of the differences, with their signs, shows an error that all have; and nine in ten have to be
//! within the bound, so that it cannot hide behind its opposite.

use crate::programs::{PATIENCE, RESOLVER, ask, vethwatch, wait_until_heard};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Running, image, wait_for};
use serde_json::Value;
use std::collections::HashMap;

/// How much the two may differ, in microseconds.
const BOUND: i64 = 50;
/// How much a single one may, where the kernel did something else in between.
const BUSY: i64 = 20_000;
/// How often is asked until a machine is not so busy that too many single ones differ.
const ROUNDS: usize = 3;

/// What tcpdump saw of each question, by its transport and id: when it and its answer passed, in microseconds.
type Seen = HashMap<(&'static str, u64), (Vec<i64>, Vec<i64>)>;

/// tcpdump in a container, and where it writes what it has seen.
struct Tap<'a>(&'a Container, String);

impl<'a> Tap<'a> {
    /// Starts it; gives it back once it listens. There may be others of other names.
    fn start(client: &'a Container, name: &str, [device, filter]: [&str; 2]) -> Result<Self> {
        let tap = Self(client, format!("/tmp/{name}"));
        let file = &tap.1;
        // Its buffer has as many places as the longest packet fits into it: with what is usual for both, eight.
        let words = format!(
            "exec tcpdump -i {device} -s 2048 -B 8192 -Z root -n -tt -l --immediate-mode -T domain '{filter}' >{file} 2>{file}-said"
        );
        lab::docker(&["exec", "--detach", &client.id, "sh", "-c", &words])?;
        wait_for("tcpdump", PATIENCE, || {
            Ok(tap.said().is_ok_and(|said| said.contains("listening on")).then_some(()))
        })?;
        Ok(tap)
    }

    /// What it says of itself.
    fn said(&self) -> Result<String> {
        self.0.exec(&["cat", &format!("{}-said", self.1)])
    }

    /// What it has seen, once it has printed all that was told, which a busy machine has it do later.
    fn seen_with(&self, told: &[Value]) -> Result<Seen> {
        let printed = wait_for("tcpdump to print all", PATIENCE, || {
            let seen = self.seen()?;
            let is_printed = |line: &Value| {
                let (asked, answered) = seen.get(&key(line)?)?;
                let is_whole = !asked.is_empty() && (line["latency_us"].is_null() || !answered.is_empty());
                is_whole.then_some(())
            };
            Ok(told.iter().all(|line| is_printed(line).is_some()).then_some(seen))
        });
        printed.with_context(|| format!("{:?} {:?}", self.said(), self.seen()))
    }

    /// What it has seen so far. An answer is what comes from port 53.
    fn seen(&self) -> Result<Seen> {
        let mut seen = Seen::new();
        for line in self.0.exec(&["cat", &self.1])?.lines() {
            let mut words = line.split_whitespace();
            let (Some(at), Some(_), Some(from)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let (_, message) = line.split_once(": ").context("ends")?;
            // Segments of TCP without a message end with their length, which is 0.
            let (transport, message) = match message.split_once(", length ") {
                Some((_, rest)) => ("tcp", rest.split_once(' ').map_or("", |(_, message)| message)),
                None => ("udp", message),
            };
            let digits = message.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(message.len());
            let Ok(id) = message[..digits].parse() else { continue };
            let (seconds, micros) = at.split_once('.').context("a time")?;
            let at = seconds.parse::<i64>()? * 1_000_000 + micros.parse::<i64>()?;
            let (asked, answered) = seen.entry((transport, id)).or_default();
            if from.ends_with(".53") { answered.push(at) } else { asked.push(at) }
        }
        Ok(seen)
    }
}

/// A told question's transport and id.
fn key(line: &Value) -> Option<(&'static str, u64)> {
    let transport = if line["transport"] == "tcp" { "tcp" } else { "udp" };
    Some((transport, line["id"].as_u64()?))
}

/// Compares what was told with what tcpdump saw, question by question. Whether single ones are as near as they are to be.
fn compare(told: &[Value], seen: &Seen) -> Result<bool> {
    let mut differences = Vec::new();
    for line in told {
        let (asked, answered) = &seen[&key(line).context("an id")?];
        ensure!(asked.len() == 1, "tcpdump saw it {} times: {line}", asked.len());
        match (&answered[..], line["latency_us"].as_i64()) {
            ([answered], Some(took)) => differences.push(took - (answered - asked[0])),
            ([], None) => {}
            other => anyhow::bail!("{other:?} of {line}"),
        }
    }
    differences.sort_unstable();
    let median = differences[differences.len() / 2];
    let mut sizes: Vec<i64> = differences.iter().map(|it| it.abs()).collect();
    sizes.sort_unstable();
    let (ninth, longest) = (sizes[sizes.len() * 9 / 10], sizes[sizes.len() - 1]);
    eprintln!("{} differ by {median} µs as a median, nine in ten by {ninth}, all by {longest}", sizes.len());
    ensure!(median.abs() <= BOUND, "{differences:?}");
    Ok(ninth <= BOUND && longest <= BUSY)
}

/// Asks a resolver for names, which must be told as a tap sees them, until single ones are near; what was told then. It is
/// asked for `first` until that is heard.
fn as_seen(
    client: &Container,
    tap: [&str; 2],
    resolver: &str,
    first: &str,
    wanted: &[&str],
) -> Result<Vec<Value>> {
    for round in 0..ROUNDS {
        let mut names = vethwatch().start(&["dns", "--json", "--container", &client.name])?;
        wait_until_heard(&mut names, || ask(client, resolver, &[first]).map(drop), "dns")?;
        let tap = Tap::start(client, &format!("{}-{round}", tap[0]), tap)?;
        ask(client, resolver, wanted)?;
        let lines = told(&mut names, wanted.len(), first)?;
        if compare(&lines, &tap.seen_with(&lines)?)? {
            return Ok(lines);
        }
    }
    anyhow::bail!("nine in ten differ by more than {BOUND} µs, or one by more than {BUSY}, each time")
}

/// All that is told, but for `first`, once so many are there; it must not be more.
fn told(names: &mut Running, count: usize, first: &str) -> Result<Vec<Value>> {
    let told = names.wait_for("all questions", PATIENCE, |lines| {
        let is_asked = |line: &&Value| line["type"] == "dns" && line["name"] != first;
        let told: Vec<Value> = lines.iter().filter(is_asked).cloned().collect();
        (told.len() >= count).then_some(told)
    })?;
    ensure!(told.len() == count, "{count} were asked, {} told", told.len());
    Ok(told)
}

#[test]
fn every_question_is_told_once_and_took_as_long_as_tcpdump_says() -> Result<()> {
    let lab = Lab::new("taps")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let resolver = lab.container("resolver").image(&debian).on(&network).run(&["python3", "-c", RESOLVER])?;
    let client = lab.container("client").image(&debian).on(&network).run(&["sleep", "600"])?;
    let address = resolver.address(&network)?;

    let many: Vec<String> = (0..100)
        .map(|number| format!("{}n{number}.example", if number % 4 == 0 { "tcp:" } else { "" }))
        .collect();
    let rest =
        ["nx.example", "fail.example", "slow.example", "tcp:slow.example", "big.example", "tcp:big.example"];
    let wanted: Vec<&str> = many.iter().map(String::as_str).chain(rest).chain(["silent.example"]).collect();
    let lines = as_seen(&client, ["eth0", "port 53"], &address, "ready.example", &wanted)?;
    for (name, transport, rcode) in [
        ("nx.example", "udp", "NXDOMAIN"),
        ("fail.example", "udp", "SERVFAIL"),
        ("slow.example", "udp", "NOERROR"),
        ("slow.example", "tcp", "NOERROR"),
    ] {
        let is_it = |line: &&Value| line["name"] == name && line["transport"] == transport;
        let line = lines.iter().find(is_it).context("it was told")?;
        ensure!(line["rcode"] == rcode, "{line}");
        ensure!(!name.starts_with("slow") || line["latency_us"].as_u64() >= Some(200_000), "{line}");
    }

    // Docker's own knows the resolver by its container's name.
    let wanted = vec![resolver.name.as_str(); 100];
    as_seen(&client, ["lo", "host 127.0.0.11"], "127.0.0.11", &client.name, &wanted)?;
    lab.close()
}
