//! More conversations than fit: totals stay exact, what is in no flow is counted and shown.

use anyhow::{Context, Result, ensure};
use lab::{Lab, Vethwatch, wait_for};
use serde_json::Value;
use std::time::Duration;

const CONNECTIONS: &str = "50000";

/// Far fewer than the connections of one tick.
const MAX_FLOWS: &str = "1024";

/// Nobody waits for it: a signal ends it when the connections are over.
const WATCHED: &str = "10m";

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn with_more_connections_than_flows_totals_are_exact_and_the_rest_is_shown() -> Result<()> {
    let lab = Lab::new("too-many")?;
    let network = lab.network("net", &[])?;
    let server = lab.container("server").on(&network).run(&["sink", "80"])?;
    let client = lab.container("client").on(&network).run(&["sleep"])?;
    let to = format!("{}:80", server.address(&network)?);
    let device = client.host_device(&network)?;
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let arguments = ["containers", "--json", "--max-flows", MAX_FLOWS, "--for", WATCHED];
    let running = vethwatch.start(&arguments)?;
    wait_for("programs on the device", PATIENCE, || Ok((device.programs()?.len() >= 2).then_some(())))?;
    let said = lab::docker_within(
        &["exec", &client.id, "/testbox", "connect-storm", &to, "--count", CONNECTIONS],
        PATIENCE,
    )?;
    ensure!(said.contains(" of 50000 connections"), "{said}");

    running.signal(libc::SIGINT)?;
    let (code, lines) = running.end()?;
    ensure!(code == Some(0), "exit code {code:?}");
    let counted = device.counters()?;
    let row = row_of(&lines, &client.id).context("the client has no row")?;
    ensure!(skbs(&row) == Some((counted.rx_packets, counted.tx_packets)), "{row} is not {counted:?}");
    ensure!(skb_bytes(&row) == Some((counted.rx_bytes, counted.tx_bytes)), "{row} is not {counted:?}");
    ensure!(row["not_recorded"]["packets"].as_u64() > Some(0), "nothing is shown as not recorded: {row}");
    ensure!(row["unaccounted_bytes"] == 0, "{row}");
    let status = lines.iter().find(|line| line["type"] == "status").context("no status line")?;
    ensure!(status["not_recorded"]["packets"].as_u64() > Some(0), "{status}");
    lab.close()
}

/// The line about a container.
fn row_of(lines: &[Value], id: &str) -> Option<Value> {
    lines.iter().find(|line| line["type"] == "container" && line["id"] == id).cloned()
}

/// Sent and received skbs, with those from before the watch.
fn skbs(row: &Value) -> Option<(u64, u64)> {
    both(row, "skbs")
}

fn skb_bytes(row: &Value) -> Option<(u64, u64)> {
    both(row, "skb_bytes")
}

fn both(row: &Value, counter: &str) -> Option<(u64, u64)> {
    let of = |direction: &str| {
        let before = row["before_watch"][direction][counter].as_u64()?;
        Some(before + row[direction][counter].as_u64()?)
    };
    Some((of("sent")?, of("received")?))
}
