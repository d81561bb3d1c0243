//! Losses and health: everything that was not seen or not counted, with what to do about it, and how the agent is.

mod agent;
mod rows;

pub(in crate::tui) use rows::{HealthRow, rows};

use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText};
use crate::model::SafeText;
use crate::tui::board::Board;
use crate::tui::column::{Align, Cell, Column, Rank, Tone};
use crate::tui::subject::Subject;
use std::sync::Arc;

/// The screen.
#[derive(Debug)]
pub(super) struct Health;

impl Filterable for HealthRow {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        match field {
            Field::Any => {
                is_it(self.what)
                    || is_it(self.name.as_str())
                    || is_it(&self.means)
                    || is_it(&self.todo)
                    || self.all.iter().any(|name| is_it(name))
            }
            Field::Kind => is_it(self.what),
            Field::Container => self.all.iter().any(|name| is_it(name)),
            _ => false,
        }
    }
}

impl Screen for Health {
    type Item = HealthRow;
    const COLUMNS: &'static [Column<HealthRow>] = COLUMNS;
    const ORDER: (usize, bool) = (0, false);
    const EMPTY: &'static str = "Nothing of losses and health passes the filter.";
    const NOT_KEPT: Option<&'static str> = Some("Losses and health are of now alone: n goes back to it.");

    fn items(board: &Board, _options: &Options) -> Vec<Arc<HealthRow>> {
        rows(board).into_iter().map(Arc::new).collect()
    }

    fn subject(item: &HealthRow) -> Subject {
        Subject::Health(SafeText::new(&item.id()))
    }
}

impl HealthRow {
    /// The same row in the next picture.
    pub(in crate::tui) fn id(&self) -> String {
        format!("{} {}", self.what, self.name)
    }
}

const COLUMNS: &[Column<HealthRow>] = &[
    Column {
        title: "WHAT",
        align: Align::Left,
        least: 11,
        most: 11,
        leave_out: 0,
        greatest_first: false,
        rank: |row, _| Rank::Number(Some(row.place)),
        cell: |row, _| Cell::Text(Tone::Faint, row.what.to_owned()),
    },
    Column {
        title: "NAME",
        align: Align::Left,
        least: 14,
        most: 36,
        leave_out: 0,
        greatest_first: false,
        rank: |row, _| Rank::Name(row.name.as_str()),
        cell: |row, _| Cell::Text(row.tone, row.name.to_string()),
    },
    Column {
        title: "COUNT",
        align: Align::Right,
        least: 16,
        most: 16,
        leave_out: 1,
        greatest_first: true,
        rank: |row, _| Rank::Number(row.number),
        cell: |row, _| Cell::Text(row.tone, row.value.clone()),
    },
    Column {
        title: "WHAT IT MEANS",
        align: Align::Left,
        least: 24,
        most: 200,
        leave_out: 2,
        greatest_first: false,
        rank: |row, _| Rank::Name(&row.means),
        cell: |row, _| Cell::plain(format!("{} {}", row.means, row.todo).trim_end()),
    },
];
