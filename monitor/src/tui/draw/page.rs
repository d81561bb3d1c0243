//! Lines that lie over the list.

use super::write::{write, write_line};
use super::{Areas, Scene};
use crate::tui::column::Tone;
use crate::tui::line::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the lines from `top` on; where there are more of them than fit, the last line says how many.
pub(super) fn draw(
    scene: &Scene<'_>,
    lines: &[Line],
    top: usize,
    area: Rect,
    buffer: &mut Buffer,
    areas: &mut Areas,
) {
    let height = usize::from(area.height);
    let fit = if lines.len() > height { height.saturating_sub(1) } else { height };
    areas.page = (lines.len(), fit);
    let top = top.min(lines.len().saturating_sub(fit));
    let mut row = Rect { height: 1.min(area.height), ..area };
    for line in lines.iter().skip(top).take(fit) {
        write_line(buffer, row, line, scene.look);
        row.y += 1;
    }
    let left = lines.len() - top.saturating_add(fit).min(lines.len());
    if fit < height && area.height > 0 {
        let more = if left > 0 { format!("{left} more lines below") } else { "the end".to_owned() };
        write(buffer, row, row.x, &more, scene.look.tone(Tone::Faint), scene.look);
    }
}
