//! A line of losses and health, in full.

use super::paper::Paper;
use crate::model::SafeText;
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::line::Line;
use crate::tui::screens::health;
use crate::view::units::exact;

/// The most names that are listed.
const MOST_NAMES: usize = 200;

/// A line of losses and health.
pub(super) fn health(id: &SafeText, board: &Board, width: usize) -> Option<Vec<Line>> {
    let rows = health::rows(board);
    let row = rows.iter().find(|row| row.id() == id.as_str())?;
    let mut paper = Paper::new(width);
    paper.text(row.tone, 0, &format!("{}: {}: {}", row.what, row.name, row.value));
    paper.heading("What it means");
    paper.says(Tone::Plain, &row.means);
    if !row.todo.is_empty() {
        paper.heading("What to do");
        paper.says(Tone::Plain, &row.todo);
    }
    if !row.all.is_empty() {
        paper.heading("Which");
        row.all.iter().take(MOST_NAMES).for_each(|name| paper.says(Tone::Plain, name));
        let more = row.all.len().saturating_sub(MOST_NAMES);
        if more > 0 {
            paper.says(Tone::Faint, &format!("and {} more", exact(more as u64)));
        }
    }
    Some(paper.lines())
}
