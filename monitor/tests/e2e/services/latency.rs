//! How long a service takes to answer, and where the time goes.

use crate::delay::Delay;
use crate::rig::{Agent, PATIENCE, connect};
use anyhow::{Context, Result, ensure};
use lab::{Lab, Rules, image, text, wait_for};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// The server listens at all of them, and its kernel answers.
const SERVER: &str = "
import signal, socket
kept = [socket.create_server(('', port), backlog=1024) for port in (5000, 5001, 5002)]
print('listening', flush=True)
signal.pause()
";
const AT_ONCE: u16 = 5_000;
const BY_THE_WAY: u16 = 5_001;
const BY_THE_SERVER: u16 = 5_002;
/// Connections to each port; held for 500 ms, 50 ms and 5 ms.
const COUNT: usize = 60;
const HELD: [(u64, usize); 3] = [(500, 1), (50, 6), (5, COUNT - 7)];
/// What the client's kernel needs beside, or in a hook of ours.
const BESIDE_US: u64 = 1_500;
/// What a single connection may need there, where the machine did something else in between: the last ranks are one.
const BUSY_US: u64 = 50_000;
/// Quantiles by their names, and what is needed beside.
const QUANTILES: [(&str, f64, u64); 5] = [
    ("p50_us", 0.5, BESIDE_US),
    ("p90_us", 0.9, BESIDE_US),
    ("p99_us", 0.99, BUSY_US),
    ("p999_us", 0.999, BUSY_US),
    ("max_us", 1.0, BUSY_US),
];

#[test]
fn the_time_that_the_way_takes_and_that_of_the_server_are_told_apart() -> Result<()> {
    let lab = Lab::new("latency")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(&network).compose("lab", name);
    let client = container("client").run(&["sleep", "600"])?;
    let server = container("server").run(&["python3", "-c", SERVER])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    let address = server.address(&network)?;
    let queue = u16::try_from(std::process::id() % 30_000)? + 10_000;
    // Held between both interfaces, and behind the server's.
    let mut rules = Rules::new();
    let to_queue =
        |port: u16, queue: u16| format!("-p tcp --syn --dport {port} -j NFQUEUE --queue-num {queue}");
    rules.insert("iptables", &format!("FORWARD -i {} {}", network.bridge, to_queue(BY_THE_WAY, queue)))?;
    let inside = format!("--net=/proc/{}/ns/net", server.pid()?);
    let rule = format!("{inside} iptables -I INPUT {}", to_queue(BY_THE_SERVER, queue));
    text(Command::new("nsenter").args(rule.split(' ')), PATIENCE)?;
    let times: Vec<Duration> = HELD
        .iter()
        .flat_map(|(millis, count)| std::iter::repeat_n(Duration::from_millis(*millis), *count))
        .collect();
    let _on_the_way = Delay::start(queue, None, times.clone())?;
    let _at_the_server = Delay::start(queue, Some(server.pid()?), times)?;

    let agent = Agent::watching("latency", &[&client, &server])?;
    // Nobody waits for its time: a signal ends it when all is told.
    wait_for("nobody to ask", PATIENCE, || Ok((agent.clients()? == 0).then_some(())))?;
    let that_time = agent.start(&["latency", "--for", "10m", "server"])?;
    wait_for("the watch of that time", PATIENCE, || Ok((agent.clients()? == 1).then_some(())))?;
    let ports = [AT_ONCE, BY_THE_WAY, BY_THE_SERVER];
    let mut took = Vec::new();
    for port in ports {
        let connections = connect(&client, &[(&address, port, COUNT)])?;
        took.push(
            connections.into_iter().map(|(_, took)| took.context("refused")).collect::<Result<Vec<_>>>()?,
        );
    }
    let rows = wait_for("all connections", PATIENCE, || {
        let told = agent.ask(&["latency", "lab/server"])?;
        let rows: Vec<Value> = ports.iter().filter_map(|port| row(&told, *port)).collect();
        let is_whole = |row: &Value| row["between"]["count"] == COUNT;
        Ok((rows.len() == ports.len() && rows.iter().all(is_whole)).then_some(rows))
    })?;
    for (row, took) in rows.iter().zip(&took) {
        ensure!(row["client"]["service"] == "client" && row["server"]["service"] == "server", "{row}");
        is_as_measured(&row["at_client"], took, row)?;
    }
    let [at_once, by_the_way, by_the_server] = &*rows else { unreachable!("one for each port") };
    let short = BESIDE_US;
    for of in ["at_client", "at_server", "between"] {
        ensure!(at_once[of]["p50_us"].as_u64() < Some(short), "{at_once}");
    }
    ensure!(by_the_way["at_server"]["p90_us"].as_u64() < Some(short), "{by_the_way}");
    is_as_measured(&by_the_way["between"], &took[1], by_the_way)?;
    ensure!(by_the_server["between"]["p90_us"].as_u64() < Some(short), "{by_the_server}");
    is_as_measured(&by_the_server["at_server"], &took[2], by_the_server)?;

    // What was told of that time alone is no more than of the whole watch.
    that_time.signal(libc::SIGINT)?;
    let (code, told) = that_time.end()?;
    ensure!(code == Some(0) && told.iter().any(|line| line["type"] == "status"), "{code:?} {told:?}");
    let of_that_time = ports.iter().filter_map(|port| row(&told, *port));
    let counts: Vec<u64> = of_that_time.filter_map(|row| row["at_client"]["count"].as_u64()).collect();
    ensure!(!counts.is_empty() && counts.iter().all(|count| *count <= COUNT as u64), "{told:?}");
    agent.end()?;
    lab.close()
}

fn row(told: &[Value], port: u16) -> Option<Value> {
    told.iter().find(|row| row["type"] == "latency" && row["port"] == port).cloned()
}

/// Compares percentiles with those of what the client's kernel measured: not more, within the histogram's thousandth, and
/// not less, but for what that kernel needs behind our hooks.
fn is_as_measured(told: &Value, took: &[u64], row: &Value) -> Result<()> {
    let mut took = took.to_vec();
    took.sort_unstable();
    ensure!(told["count"] == took.len(), "{told} of {} connections", took.len());
    for (name, quantile, beside) in QUANTILES {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among a few dozen"
        )]
        let rank = ((quantile * took.len() as f64).ceil() as usize).max(1);
        let measured = took[rank - 1];
        let told = told[name].as_u64().with_context(|| format!("{name} of {row}"))?;
        let is_near = told <= measured + measured / 500 + 1 && told + beside + measured / 500 >= measured;
        ensure!(is_near, "{name}: told {told} µs, the client's kernel measured {measured} µs: {row}");
    }
    Ok(())
}
