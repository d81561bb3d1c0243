//! How long an answer takes to begin, against what the server's program and the client's measured themselves.

use crate::rig::{Agent, PATIENCE};
use anyhow::{Context, Result, ensure};
use lab::{Lab, image, wait_for};
use serde_json::Value;

/// Answers after 5, 50 or 500 ms, by the port, and says how long that took it, in microseconds. At the last port it speaks first.
const SERVER: &str = "
import socket, threading, time
def serve(listener, port, delay):
    while True:
        it, _ = listener.accept()
        with it:
            if port == 5003:
                it.sendall(b'hello')
                it.recv(1)
                it.sendall(b'x')
                continue
            it.recv(1)
            began = time.monotonic_ns()
            time.sleep(delay)
            took = time.monotonic_ns() - began
            it.sendall(b'x')
            print(port, took // 1000, flush=True)
            it.recv(1)
for port, delay in ((5000, .005), (5001, .05), (5002, .5), (5003, 0)):
    listener = socket.create_server(('', port), backlog=128)
    threading.Thread(target=serve, args=(listener, port, delay)).start()
print('listening', flush=True)
";

/// Asks and waits for the answer, so often at each port, and says how long that took it.
const CLIENT: &str = "
import socket, sys, time
for word in sys.argv[2:]:
    port, count = map(int, word.split(','))
    for _ in range(count):
        with socket.create_connection((sys.argv[1], port)) as it:
            if port == 5003:
                it.recv(5)
            began = time.monotonic_ns()
            it.sendall(b'x')
            it.recv(1)
            print(port, (time.monotonic_ns() - began) // 1000 + 1)
";
/// Connections to each port.
const COUNTS: [(u16, usize); 3] = [(5000, 40), (5001, 20), (5002, 5)];
/// Quantiles by their names.
const QUANTILES: [(&str, f64); 5] =
    [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)];

#[test]
fn the_time_to_the_first_byte_is_between_what_the_server_needed_and_what_the_client_waited() -> Result<()> {
    let lab = Lab::new("first-byte")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(&network).compose("lab", name);
    let client = container("client").run(&["sleep", "600"])?;
    let server = container("server").run(&["python3", "-c", SERVER])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    let agent = Agent::watching("first-byte", &[&client, &server])?;
    let address = server.address(&network)?;
    let words: Vec<String> =
        COUNTS.iter().chain(&[(5003, 3)]).map(|(port, count)| format!("{port},{count}")).collect();
    let command = ["python3", "-c", CLIENT, &address].into_iter().chain(words.iter().map(String::as_str));
    let waited = client.exec(&command.collect::<Vec<_>>())?;
    let rows = wait_for("all answers", PATIENCE, || {
        let told = agent.ask(&["latency", "lab/server"])?;
        let is_whole = |(port, count): &(u16, usize)| {
            row(&told, *port).is_some_and(|row| row["first_byte"]["count"] == *count)
        };
        let has_last = row(&told, 5003).is_some_and(|row| row["at_client"]["count"] == 3);
        Ok((COUNTS.iter().all(is_whole) && has_last).then_some(told))
    })?;
    // Docker may have the last line a moment later.
    let needed = wait_for("a line for each answer", PATIENCE, || {
        let said = server.logs()?;
        Ok(COUNTS.iter().all(|(port, count)| measured(&said, *port).len() >= *count).then_some(said))
    })?;
    for (port, count) in COUNTS {
        let row = row(&rows, port).context("a row")?;
        ensure!(row["first_byte_seen_at"] == "server", "{row}");
        let [needed, waited] = [measured(&needed, port), measured(&waited, port)];
        ensure!(needed.len() == count && waited.len() == count, "{needed:?} {waited:?}");
        for (name, quantile) in QUANTILES {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rank among a few dozen"
            )]
            let rank = ((quantile * count as f64).ceil() as usize).max(1) - 1;
            let told = row["first_byte"][name].as_u64().with_context(|| format!("{name} of {row}"))?;
            let (least, most) = (needed[rank], waited[rank]);
            let is_between = told + least / 500 + 1 >= least && told <= most + most / 500 + 1;
            ensure!(is_between, "{name}: told {told} µs, not between {least} and {most}: {row}");
        }
    }
    let spoke_first = row(&rows, 5003).context("a row")?;
    ensure!(spoke_first.get("first_byte").is_none(), "who spoke first has not answered: {spoke_first}");
    agent.end()?;
    lab.close()
}

fn row(told: &[Value], port: u16) -> Option<&Value> {
    told.iter().find(|row| row["type"] == "latency" && row["port"] == port)
}

/// What was said of a port, the shortest first.
fn measured(said: &str, port: u16) -> Vec<u64> {
    let of_port = said.lines().filter_map(|line| line.split_once(' '));
    let of_port = of_port.filter(|(of, _)| *of == port.to_string());
    let mut times: Vec<u64> = of_port.filter_map(|(_, took)| took.trim().parse().ok()).collect();
    times.sort_unstable();
    times
}
