//! The screens, with their numbers.

use super::write::write;
use super::{Areas, Scene};
use crate::tui::column::Tone;
use crate::tui::screens::ScreenId;
use crate::tui::subject::Group;
use crate::tui::update::Action;
use crate::view::{style::width, units};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Draws them in a line; where there is no room for all names, only the shown screen has its name.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer, areas: &mut Areas) {
    let long = |screen: ScreenId| format!(" {} {} ", screen.index() + 1, screen.title());
    let all: usize = ScreenId::ALL.into_iter().map(|screen| width(&long(screen)) + 1).sum();
    let fits = all <= usize::from(area.width) + 1;
    let mut x = area.x;
    for screen in ScreenId::ALL {
        let shown = screen == scene.state.screen;
        let text = if fits || shown { long(screen) } else { format!(" {} ", screen.index() + 1) };
        let style = if shown { scene.look.accent().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let end = write(buffer, area, x, &text, style, scene.look);
        areas.clicks.push((Rect { x, width: end - x, ..area }, Action::Screen(screen)));
        x = if fits { end + 1 } else { end };
    }
    let note = note(scene);
    let columns = u16::try_from(width(&note)).unwrap_or(u16::MAX);
    if let Some(at) = area.right().checked_sub(columns).filter(|at| *at > x) {
        write(buffer, area, at, &note, scene.look.tone(Tone::Faint), scene.look);
    }
}

/// How the list is made, as far as its headings cannot say it.
fn note(scene: &Scene<'_>) -> String {
    let state = scene.state;
    let mut notes = Vec::new();
    if scene.table.gathers() {
        match state.options.group {
            Group::Container => {}
            Group::Service => notes.push("by service".to_owned()),
            Group::Project => notes.push("by project".to_owned()),
        }
    }
    if state.screen == ScreenId::Flows && state.options.both_ends {
        notes.push("at both interfaces".to_owned());
    }
    let rows = scene.table.len();
    if rows > 0 && state.opened.is_empty() && state.help.is_none() {
        notes.push(format!("{} of {}", units::exact(state.place().at as u64 + 1), units::exact(rows as u64)));
    }
    notes.join(", ")
}
