//! The table of `pairs`: who talks to whom.

use super::names;
use super::page::{nothing, page};
use super::style::{Frame, Line};
use super::table::Column;
use super::units::{bytes, count, duration, per_second};
use crate::snapshot::{Expected, PairRow, Snapshot};

const COLUMNS: [Column; 12] = [
    Column::name("CLIENT", 14, 40, 0),
    Column::name("SERVER", 18, 46, 0),
    Column::name("PROTO", 6, 10, 6),
    Column::name("NETWORK", 8, 32, 7),
    Column::number("SENT", 8, 1),
    Column::number("RECEIVED", 8, 1),
    Column::number("SENT/s", 8, 2),
    Column::number("RCVD/s", 8, 2),
    Column::number("OPENED", 7, 4),
    Column::number("ANSWER p50", 10, 9),
    Column::number("p99", 7, 8),
    Column::name("VERDICT", 17, 17, 3),
];

/// Draws the pairs that are wanted, busiest first.
#[must_use]
pub fn pairs<'a>(
    snapshot: &'a Snapshot,
    wanted: impl Iterator<Item = &'a PairRow>,
    frame: &Frame,
) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted.map(|row| cells(row, snapshot)).collect();
    page(snapshot, frame, &COLUMNS, &cells, "no traffic", nothing)
}

fn cells(row: &PairRow, snapshot: &Snapshot) -> Vec<String> {
    let unknown = || "-".to_owned();
    let rate = |count: u64| per_second(count, snapshot.window).map_or_else(unknown, bytes);
    let took = |which: fn(&crate::snapshot::Percentiles) -> std::time::Duration| {
        row.handshake.as_ref().map_or_else(unknown, |handshake| duration(which(handshake)))
    };
    let verdict = row.verdict.as_ref().map(|verdict| match verdict.expected {
        Expected::Deny => format!("deny: {}", verdict.outcome.name()),
        Expected::Allow => verdict.outcome.name().to_owned(),
    });
    vec![
        names::end(&row.client),
        names::end_and_port(&row.server),
        row.protocol.name().into_owned(),
        names::or_dash(row.network.as_ref().map(|network| &network.name)),
        bytes(row.traffic.sent.bytes),
        bytes(row.traffic.received.bytes),
        rate(row.window.sent.bytes),
        rate(row.window.received.bytes),
        count(row.conversations),
        took(|handshake| handshake.p50),
        took(|handshake| handshake.p99),
        verdict.unwrap_or_else(unknown),
    ]
}
