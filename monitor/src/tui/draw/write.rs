//! Text into a buffer.

use crate::tui::line::Line;
use crate::tui::theme::Look;
use crate::view::style::{cut, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Writes a text at `x` of an area's first line, cut to what is left of it; tells where it ends.
pub(super) fn write(buffer: &mut Buffer, area: Rect, x: u16, text: &str, style: Style, look: Look) -> u16 {
    if area.is_empty() || x >= area.right() {
        return x;
    }
    let room = usize::from(area.right() - x);
    let text = look.letters(text);
    let text = if width(&text) > room { short(&text, room, look).into() } else { text };
    buffer.set_stringn(x, area.y, &text, room, style).0
}

/// Writes a line of toned text.
pub(super) fn write_line(buffer: &mut Buffer, area: Rect, line: &Line, look: Look) -> u16 {
    line.0.iter().fold(area.x, |x, (tone, text)| write(buffer, area, x, text, look.tone(*tone), look))
}

/// A text cut to a number of columns.
pub(super) fn short(text: &str, columns: usize, look: Look) -> String {
    with_sign(cut(text, columns), look)
}

/// A text that was cut, with the sign for it that the terminal can show.
pub(super) fn with_sign(text: String, look: Look) -> String {
    if look.ascii { text.replace('…', &look.cut().to_string()) } else { text }
}
