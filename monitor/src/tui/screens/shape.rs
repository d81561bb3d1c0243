//! Columns that many screens have.

use crate::tui::column::{Align, Cell, Column, Rank};
use crate::tui::context::Context;
use crate::view::units::duration;
use std::time::Duration;

/// What rows are ordered by.
pub(super) type RankOf<R> = for<'r> fn(&'r R, &Context<'_>) -> Rank<'r>;
/// What a column shows of a row.
pub(super) type CellOf<R> = fn(&R, &Context<'_>) -> Cell;

/// A column of names, at least and at most so wide.
pub(super) const fn name<R>(
    title: &'static str,
    [least, most]: [usize; 2],
    leave_out: u8,
    rank: RankOf<R>,
    cell: CellOf<R>,
) -> Column<R> {
    Column { title, align: Align::Left, least, most, leave_out, greatest_first: false, rank, cell }
}

/// A column of numbers, so wide.
pub(super) const fn number<R>(
    title: &'static str,
    width: usize,
    leave_out: u8,
    rank: RankOf<R>,
    cell: CellOf<R>,
) -> Column<R> {
    Column {
        title,
        align: Align::Right,
        least: width,
        most: width,
        leave_out,
        greatest_first: true,
        rank,
        cell,
    }
}

/// The column of the last minute.
pub(super) const fn minute<R>(leave_out: u8, rank: RankOf<R>, cell: CellOf<R>) -> Column<R> {
    Column {
        title: "LAST 60 s",
        align: Align::Bars,
        least: 10,
        most: 60,
        leave_out,
        greatest_first: true,
        rank,
        cell,
    }
}

/// A length of time as a rank.
pub(super) fn rank_of_time(time: Option<Duration>) -> Rank<'static> {
    Rank::Number(time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
}

/// A length of time that may not have been measured.
pub(super) fn time_cell(time: Option<Duration>) -> Cell {
    time.map_or_else(Cell::absent, |time| Cell::plain(duration(time)))
}
