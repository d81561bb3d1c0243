//! A page of one table: what every command that prints a single one has above and below it.

use super::footer::footer;
use super::header::header;
use super::style::{Frame, Line, Tone};
use super::table::{Column, Layout};
use crate::snapshot::Snapshot;

/// Draws rows of cells, one a column; `empty` says that there are none. `below` draws what follows a row, told by its
/// place.
pub(super) fn page<L: IntoIterator<Item = Line>>(
    snapshot: &Snapshot,
    frame: &Frame,
    columns: &[Column],
    cells: &[Vec<String>],
    empty: &str,
    below: impl Fn(usize) -> L,
) -> Vec<Line> {
    let mut lines = header(snapshot, frame);
    lines.push(Line::default());
    if cells.is_empty() {
        lines.push(Line::of(Tone::Plain, empty));
    } else {
        let layout = Layout::for_rows(columns, cells, frame.width);
        lines.push(layout.heading());
        for (place, cells) in cells.iter().enumerate() {
            lines.push(layout.row(cells));
            lines.extend(below(place));
        }
    }
    lines.push(Line::default());
    lines.extend(footer(snapshot, frame));
    lines
}

/// What follows a row where nothing does.
pub(super) fn nothing(_: usize) -> [Line; 0] {
    []
}
