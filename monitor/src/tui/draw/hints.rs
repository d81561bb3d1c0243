//! The last line: the keys that work here, from the same table as the keys.

use super::Scene;
use super::write::write;
use crate::tui::column::Tone;
use crate::tui::keys::{BINDINGS, Binding, Here};
use crate::tui::update::Action;
use crate::view::style::width;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws as many as fit.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let look = scene.look;
    let here = Here::of(scene.state, scene.table.gathers());
    let mut x = area.x;
    let shown = |binding: &&Binding| {
        // Esc is worth its place only where there is something to go back from.
        !binding.hint.is_empty() && binding.works(here) && (binding.action != Action::Escape || here.covered)
    };
    for binding in BINDINGS.iter().filter(shown) {
        let key = binding.first_name();
        let needs = width(&key) + 1 + width(binding.hint);
        if usize::from(area.right().saturating_sub(x)) < needs {
            break;
        }
        x = write(buffer, area, x, &key, look.accent(), look) + 1;
        x = write(buffer, area, x, binding.hint, look.tone(Tone::Faint), look) + 2;
    }
}
