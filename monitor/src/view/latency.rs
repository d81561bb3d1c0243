//! The table of `latency`: how long services took to answer each other, and where the time went.

use super::page::{nothing, page};
use super::style::{Frame, Line};
use super::table::Column;
use super::units::{count, duration};
use crate::snapshot::{LatencyRow, Percentiles, Snapshot};

const COLUMNS: [Column; 9] = [
    Column::name("CLIENT", 14, 40, 0),
    Column::name("SERVER", 18, 46, 0),
    Column::name("SEEN AT", 10, 18, 0),
    Column::number("CONNS", 6, 1),
    Column::number("p50", 7, 0),
    Column::number("p90", 7, 3),
    Column::number("p99", 7, 0),
    Column::number("p99.9", 7, 4),
    Column::number("MAX", 7, 2),
];

/// Draws the rows that are wanted, four lines each: the whole way as the client's interface saw it, what lies behind
/// the server's, the way between the two, and the time to the first byte of an answer.
#[must_use]
pub fn latency<'a>(
    snapshot: &'a Snapshot,
    wanted: impl Iterator<Item = &'a LatencyRow>,
    frame: &Frame,
) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted.flat_map(cells).collect();
    page(snapshot, frame, &COLUMNS, &cells, "no TCP connection was opened", nothing)
}

/// What was measured of a row: an end where nothing was seen has no line.
fn cells(row: &LatencyRow) -> impl Iterator<Item = Vec<String>> {
    // Of a service with tasks here and on other nodes both are there.
    let at_client = if row.first_byte_at_server.is_some() { "first byte, client" } else { "first byte" };
    let seen = [
        ("client", row.at_client),
        ("server", row.at_server),
        ("between", row.between),
        ("first byte", row.first_byte_at_server),
        (at_client, row.first_byte_at_client),
    ];
    let server = match row.port {
        Some(port) => format!("{}:{port}", row.server),
        None => row.server.to_string(),
    };
    let names = [row.client.to_string(), server];
    seen.into_iter().filter_map(|(at, of)| Some((at, of?))).enumerate().map(move |(line, (at, of))| {
        let Percentiles { count: connections, p50, p90, p99, p999, max } = of.percentiles;
        let [client, server] = if line == 0 { names.clone() } else { Default::default() };
        let times = [p50, p90, p99, p999, max].map(duration);
        [client, server, at.to_owned(), count(connections)].into_iter().chain(times).collect()
    })
}
