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

    // A neighbour may ask for an address before it ends, or only after it.
    let before = device.counters()?;
    running.signal(libc::SIGINT)?;
    let (code, lines) = running.end()?;
    ensure!(code == Some(0), "exit code {code:?}");
    let after = device.counters()?;
    let row = row_of(&lines, &client.id).context("the client has no row")?;
    for (told, before, after) in [
        (both(&row, "skbs"), [before.rx_packets, before.tx_packets], [after.rx_packets, after.tx_packets]),
        (both(&row, "skb_bytes"), [before.rx_bytes, before.tx_bytes], [after.rx_bytes, after.tx_bytes]),
    ] {
        let told = told.with_context(|| format!("no counts in {row}"))?;
        let is_between = (0..2).all(|way| (before[way]..=after[way]).contains(&told[way]));
        ensure!(is_between, "{told:?} is not from {before:?} to {after:?}: {row}");
    }
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

/// Of a counter what was sent and received, with what was before the watch.
fn both(row: &Value, counter: &str) -> Option<[u64; 2]> {
    let of = |direction: &str| {
        let before = row["before_watch"][direction][counter].as_u64()?;
        Some(before + row[direction][counter].as_u64()?)
    };
    Some([of("sent")?, of("received")?])
}
