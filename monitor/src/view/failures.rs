//! The table of `failures`: what fails between services.

use super::page::{nothing, page};
use super::style::{Frame, Line};
use super::table::Column;
use super::units::count;
use crate::snapshot::{FailureRow, Snapshot};

const COLUMNS: [Column; 10] = [
    Column::name("CLIENT", 14, 40, 0),
    Column::name("SERVER", 18, 46, 0),
    Column::number("CONNS", 6, 1),
    Column::number("REFUSED", 7, 0),
    Column::number("NO ANSWER", 9, 0),
    Column::number("RST CLIENT", 10, 2),
    Column::number("RST SERVER", 10, 2),
    Column::number("RE-SENT CLIENT", 14, 3),
    Column::number("RE-SENT SERVER", 14, 3),
    Column::name("", 12, 12, 4),
];

/// Draws the rows that are wanted.
#[must_use]
pub fn failures(snapshot: &Snapshot, wanted: &[FailureRow], frame: &Frame) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted.iter().map(cells).collect();
    page(snapshot, frame, &COLUMNS, &cells, "no TCP connection failed", nothing)
}

fn cells(row: &FailureRow) -> Vec<String> {
    let server = match row.port {
        Some(port) => format!("{}:{port}", row.server),
        None => row.server.to_string(),
    };
    let seen = |segments: Option<u64>| segments.map_or_else(|| "-".to_owned(), count);
    vec![
        row.client.to_string(),
        server,
        count(row.connections),
        count(row.answers.refused),
        count(row.unanswered()),
        count(row.answers.reset_by_client),
        count(row.answers.reset_by_server),
        seen(row.sent_again_by_client),
        seen(row.sent_again_by_server),
        if row.is_not_served() { "not served".to_owned() } else { String::new() },
    ]
}
