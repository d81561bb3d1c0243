//! More conversations than fit: totals stay exact, what is in no flow is counted and shown.

use anyhow::{Context, Result, ensure};
use lab::{Lab, Vethwatch};
use serde_json::Value;
use std::time::Duration;

const CONNECTIONS: &str = "50000";

/// Far fewer than the connections of one tick.
const MAX_FLOWS: &str = "1024";

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
    let mut running = vethwatch.start(&["top", "--json", "--max-flows", MAX_FLOWS])?;
    let id = client.id.clone();
    running
        .wait_for("the client's row", PATIENCE, |lines| row_of(lines, &id).filter(is_watched).map(drop))?;

    let said = lab::docker_within(
        &["exec", &client.id, "/testbox", "connect-storm", &to, "--count", CONNECTIONS],
        PATIENCE,
    )?;
    ensure!(said.contains(" of 50000 connections"), "{said}");
    // Nothing more is sent: the device's counters stand still, and a row must come that says the same.
    let mut counted = None;
    let row = running.wait_for("totals that agree with the device", PATIENCE, |lines| {
        counted = device.counters().ok();
        let counted = counted?;
        row_of(lines, &id).filter(|row| {
            skbs(row) == Some((counted.rx_packets, counted.tx_packets))
                && skb_bytes(row) == Some((counted.rx_bytes, counted.tx_bytes))
        })
    });
    let last = row_of(&running.lines("container"), &id);
    let row = row.with_context(|| format!("the device counts {counted:?}, the last row is {last:?}"))?;
    ensure!(row["not_recorded"]["packets"].as_u64() > Some(0), "nothing is shown as not recorded: {row}");
    ensure!(row["unaccounted_bytes"] == 0, "{row}");
    let status = running.lines("status");
    let status = status.last().context("no status line")?;
    ensure!(status["not_recorded"]["packets"].as_u64() > Some(0), "{status}");
    running.signal(libc::SIGINT)?;
    let (code, _) = running.end()?;
    ensure!(code == Some(0), "exit code {code:?}");
    lab.close()
}

/// The last line about a container.
fn row_of(lines: &[Value], id: &str) -> Option<Value> {
    lines.iter().rev().find(|line| line["type"] == "container" && line["id"] == id).cloned()
}

fn is_watched(row: &Value) -> bool {
    row["watched"] == true
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
