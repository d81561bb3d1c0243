//! The table of `services`: how connections are spread over the replicas of each.

use super::failures::went_no_further;
use super::names::replica;
use super::page::page;
use super::style::{Frame, Line};
use super::table::Column;
use super::units::{bytes, count};
use crate::snapshot::{ReplicaRow, ServiceRow, Snapshot};

const COLUMNS: [Column; 11] = [
    Column::name("SERVICE", 14, 40, 0),
    Column::name("REPLICA", 14, 40, 0),
    Column::number("CONNS", 6, 0),
    Column::number("ANSWERED", 8, 1),
    Column::number("REFUSED", 7, 1),
    Column::number("NO ANSWER", 9, 1),
    Column::number("RESET", 6, 2),
    Column::number("BY NAME", 7, 3),
    Column::number("SENT", 8, 4),
    Column::number("RECEIVED", 8, 4),
    Column::name("ASKED BY", 10, 40, 3),
];

/// Draws the services that are wanted, a line for each of their replicas.
#[must_use]
pub fn services(snapshot: &Snapshot, wanted: &[ServiceRow], frame: &Frame) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted.iter().flat_map(cells).collect();
    let replicas: Vec<&ReplicaRow> = wanted.iter().flat_map(|row| &row.replicas).collect();
    let told =
        |place: usize| replicas.get(place).map(|row| went_no_further("", row.answers)).unwrap_or_default();
    page(snapshot, frame, &COLUMNS, &cells, "no service and no shared name was asked over TCP", told)
}

fn cells(row: &ServiceRow) -> impl Iterator<Item = Vec<String>> {
    row.replicas.iter().enumerate().map(|(line, one)| {
        let service = if line == 0 { format!("{}:{}", row.service, row.port) } else { String::new() };
        let answers = one.answers;
        vec![
            service,
            replica(&one.who),
            count(one.connections),
            count(answers.answered),
            count(answers.refused),
            count(one.unanswered()),
            count(answers.reset),
            one.by_name.map_or_else(|| "-".to_owned(), count),
            bytes(one.traffic.sent.bytes),
            bytes(one.traffic.received.bytes),
            asked_by(row, one),
        ]
    })
}

fn asked_by(row: &ServiceRow, replica: &ReplicaRow) -> String {
    match replica.clients.as_slice() {
        [] if row.gets_none(replica) => "gets none".to_owned(),
        [] => "-".to_owned(),
        [one] => one.to_string(),
        [first, ..] => format!("{first} +{}", replica.client_count - 1),
    }
}
