//! What fails between clients and servers: the rows of the command `failures`, each container by itself or gathered.

use super::pairs::{Between, Members};
use super::shape::{name, number};
use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText};
use crate::model::Protocol;
use crate::snapshot::FailureRow;
use crate::tui::board::Board;
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::tui::subject::{Group, Subject};
use crate::view::units::count;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The screen.
pub(super) struct Failures;

/// What failed between two ends, or of those that are gathered.
#[derive(Debug)]
pub(super) struct Row {
    between: Between,
    client: String,
    server: String,
    sum: FailureRow,
    members: Members,
}

/// All between which something failed.
fn rows(board: &Board, group: Group) -> Vec<Row> {
    let snapshot = board.latest();
    let sees_retransmits = snapshot.sees_retransmits();
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<Between, usize> = HashMap::new();
    for (at, pair) in snapshot.pairs.iter().enumerate() {
        let between = Between::of(pair, group);
        let place = *places.entry(between).or_insert_with_key(|between| {
            rows.push(Row {
                client: between.client(),
                server: match pair.protocol {
                    Protocol::TCP => between.server(),
                    other => format!("{}/{}", between.server(), other.name()),
                },
                between: between.clone(),
                sum: FailureRow::of(pair),
                members: Members::none(&snapshot.pairs),
            });
            rows.len() - 1
        });
        let row = &mut rows[place];
        row.sum.add(pair, sees_retransmits);
        row.members.push(at);
    }
    rows.retain(|row| !row.sum.is_well());
    rows
}

/// How many failed, or were sent again: what did stands out, and what cannot be seen is absent.
fn figure(times: Option<u64>) -> Cell {
    match times {
        None => Cell::absent(),
        Some(0) => Cell::Text(Tone::Faint, "0".to_owned()),
        Some(times) => Cell::Text(Tone::Warning, count(times)),
    }
}

/// A figure about connections, which other protocols do not have.
fn of_tcp(sum: &FailureRow, figure: u64) -> Option<u64> {
    (sum.protocol == Protocol::TCP).then_some(figure)
}

/// A column of such figures.
macro_rules! figures {
    ($title:literal, $width:literal, $leave_out:literal, $of:expr) => {{
        const OF: fn(&FailureRow) -> Option<u64> = $of;
        number(
            $title,
            $width,
            $leave_out,
            |row: &Row, _| Rank::Number(OF(&row.sum)),
            |row, _| figure(OF(&row.sum)),
        )
    }};
}

impl Row {
    fn state(&self) -> &'static str {
        self.sum.word()
    }
}

impl Screen for Failures {
    type Item = Row;
    const COLUMNS: &'static [Column<Row>] = &[
        name(
            "CLIENT",
            [14, 36],
            0,
            |row, _| Rank::Name(&row.client),
            |row, _| Cell::Text(Tone::Strong, row.client.clone()),
        ),
        name(
            "SERVER",
            [19, 40],
            0,
            |row, _| Rank::Name(&row.server),
            |row, _| Cell::Text(Tone::Strong, row.server.clone()),
        ),
        number(
            "CONNS",
            7,
            5,
            |row, _| Rank::Number(of_tcp(&row.sum, row.sum.connections)),
            |row, _| {
                of_tcp(&row.sum, row.sum.connections).map_or_else(Cell::absent, |it| Cell::plain(count(it)))
            },
        ),
        figures!("FAILED", 7, 1, |sum| of_tcp(sum, sum.failed())),
        figures!("REFUSED", 7, 2, |sum| of_tcp(sum, sum.answers.refused)),
        figures!("NO ANSW", 7, 3, |sum| of_tcp(sum, sum.unanswered())),
        figures!("RST CL", 7, 8, |sum| of_tcp(sum, sum.answers.reset_by_client)),
        figures!("RST SRV", 7, 7, |sum| of_tcp(sum, sum.answers.reset_by_server)),
        figures!("ICMP", 6, 6, |sum| Some(sum.icmp_errors())),
        figures!("NO ROOM", 7, 11, |sum| of_tcp(sum, sum.zero_windows.sum())),
        figures!("AGAIN CL", 8, 10, |sum| sum.sent_again_by_client),
        figures!("AGAIN SRV", 9, 9, |sum| sum.sent_again_by_server),
        name(
            "STATE",
            [10, 10],
            4,
            |row, _| Rank::Name(row.state()),
            |row, _| Cell::Text(Tone::Warning, row.state().to_owned()),
        ),
    ];
    const ORDER: (usize, bool) = (3, true);
    const EMPTY: &'static str = "Nothing was seen to fail.";
    const GROUPS: bool = true;

    fn items(board: &Board, options: &Options) -> Vec<Arc<Row>> {
        rows(board, options.group).into_iter().map(Arc::new).collect()
    }

    fn subject(row: &Row) -> Subject {
        Subject::Failure(Box::new(row.between.clone()))
    }

    fn summary(board: &Board, _context: &Context<'_>) -> Vec<Line> {
        let why = board.latest().missing.get("retransmits");
        let not_seen = |why| Line::of(Tone::Warning, format!("What is sent again is not seen: {why}."));
        why.map(not_seen).into_iter().collect()
    }
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let of_row = match field {
            Field::Any => is_it(&self.client) || is_it(&self.server),
            Field::State => is_it(self.state()),
            _ => false,
        };
        of_row || self.members.texts(field, is_it)
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.members.ids(is_it)
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.members.ports(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.members.addresses(is_it)
    }
}
