//! The help, written from the table of keys.

use crate::tui::column::Tone;
use crate::tui::keys::{BINDINGS, Where};
use crate::tui::line::Line;

/// All keys, by where they work.
pub(super) fn lines() -> Vec<Line> {
    let sections = [
        (Where::Everywhere, "Everywhere"),
        (Where::Now, "While nothing is looked back at"),
        (Where::Back, "While looking back"),
        (Where::Lists, "In lists"),
        (Where::Gathering, "On containers and pairs"),
        (Where::Flows, "On flows"),
        (Where::Pairs, "On pairs"),
        (Where::Typing, "While a filter is typed"),
    ];
    let mut lines = Vec::new();
    for (section, title) in sections {
        lines.push(Line::of(Tone::Strong, title));
        for binding in BINDINGS.iter().filter(|binding| binding.works == section) {
            let keys = Line::of(Tone::Good, format!("  {:<20} ", binding.names()));
            lines.push(keys.and(Tone::Plain, binding.words));
        }
        lines.push(Line::default());
    }
    lines.push(Line::of(Tone::Strong, "Mouse"));
    for (what, does) in [
        ("click a row", "select it"),
        ("click a heading", "order by it; again: turn the order round"),
        ("click a screen", "show it"),
        ("wheel", "move"),
    ] {
        lines.push(Line::of(Tone::Good, format!("  {what:<20} ")).and(Tone::Plain, does));
    }
    lines.push(Line::default());
    lines.push(Line::of(Tone::Strong, "Filter"));
    lines.push(Line::of(
        Tone::Plain,
        "  web net:front port:5432 state:answered: every word has to hold of a row.",
    ));
    lines.push(Line::of(
        Tone::Plain,
        "  -word: must not hold. Ports: 80,443 or 8000-9000. Addresses: addr:172.18.0.0/16.",
    ));
    lines
}

/// What is said where what was opened is there no longer: before the last lines about it, if there are any.
pub(super) fn gone(are_kept: bool) -> Vec<Line> {
    if are_kept {
        let gone = Line::of(Tone::Warning, "It is gone; this is what was known last. Esc goes back.");
        return vec![gone, Line::default()];
    }
    vec![Line::of(Tone::Plain, "There is nothing about it any more. Esc goes back.")]
}
