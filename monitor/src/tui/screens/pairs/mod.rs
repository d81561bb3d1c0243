//! Who talks to whom: clients, and the services that they ask for.

mod between;
mod matrix;
mod members;
mod row;

pub(in crate::tui) use between::Between;
pub(in crate::tui) use matrix::matrix;
pub(in crate::tui) use members::Members;

use super::shape::{minute, name, number, rank_of_time, time_cell};
use super::{Options, Screen};
use crate::tui::board::Board;
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::{Context, Way};
use crate::tui::detail::verdict_tone;
use crate::tui::subject::Subject;
use crate::view::units::count;
use row::{Row, badness};
use std::sync::Arc;

/// The screen.
pub(super) struct Pairs;

impl Row {
    fn amount(&self, context: &Context<'_>, way: Way) -> Option<u64> {
        context.amount(&self.recent, Some(way.of(self.total.bytes)), way)
    }
}

impl Screen for Pairs {
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
        name(
            "PROTO",
            [5, 9],
            7,
            |row, _| Rank::Number(Some(u64::from(row.first().protocol.0))),
            |row, _| Cell::plain(row.first().protocol.name()),
        ),
        name(
            "NETWORK",
            [8, 24],
            9,
            |row, _| Rank::name(row.network()),
            |row, _| row.network().map_or_else(Cell::absent, |network| Cell::plain(network.to_string())),
        ),
        number(
            "SENT/s",
            8,
            1,
            |row, context| Rank::Number(row.amount(context, Way::Sent)),
            |row, context| context.bytes_cell(row.amount(context, Way::Sent)),
        ),
        number(
            "RCVD/s",
            8,
            2,
            |row, context| Rank::Number(row.amount(context, Way::Received)),
            |row, context| context.bytes_cell(row.amount(context, Way::Received)),
        ),
        number(
            "TOTAL",
            8,
            10,
            |row, _| Rank::Number(Some(Way::Both.of(row.total.bytes))),
            |row, context| context.bytes_cell(Some(Way::Both.of(row.total.bytes))),
        ),
        number(
            "CONV",
            7,
            4,
            |row, _| Rank::Number(Some(row.conversations)),
            |row, _| Cell::plain(count(row.conversations)),
        ),
        number(
            "P50",
            7,
            8,
            |row, _| rank_of_time(row.handshake.map(|it| it.p50)),
            |row, _| time_cell(row.handshake.map(|it| it.p50)),
        ),
        number(
            "P99",
            7,
            6,
            |row, _| rank_of_time(row.handshake.map(|it| it.p99)),
            |row, _| time_cell(row.handshake.map(|it| it.p99)),
        ),
        Column {
            greatest_first: true,
            ..name("VERDICT", [14, 17], 3, |row, _| Rank::Number(row.verdict.as_ref().map(badness)), verdict)
        },
        minute(
            5,
            |row, context| Rank::Number(Some(context.lately(&row.recent, Way::Both.of(row.total.bytes)))),
            |row, context| context.spark(&row.recent),
        ),
    ];
    const ORDER: (usize, bool) = (11, true);
    const EMPTY: &'static str = "No conversation was seen yet.";
    const GROUPS: bool = true;

    fn items(board: &Board, options: &Options) -> Vec<Arc<Row>> {
        row::rows(board, options.group).into_iter().map(Arc::new).collect()
    }

    fn subject(row: &Row) -> Subject {
        row.subject.clone()
    }

    fn is(row: &Row, subject: &Subject) -> bool {
        row.subject == *subject
    }
}

fn verdict(row: &Row, _context: &Context<'_>) -> Cell {
    let Some(verdict) = &row.verdict else { return Cell::absent() };
    let outcome = verdict.outcome.name();
    let text = match badness(verdict) {
        3 => format!("deny! {outcome}"),
        2 => format!("deny: {outcome}"),
        1 => format!("! {outcome}"),
        _ => outcome.to_owned(),
    };
    let tone = match verdict_tone(verdict) {
        Tone::Good => Tone::Plain,
        tone => tone,
    };
    Cell::Text(tone, text)
}
