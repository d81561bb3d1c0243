//! A list: the filter, the headings, and the rows in sight.

use super::layout::{Slot, Widths, slots};
use super::write::{short, with_sign, write, write_line};
use super::{Areas, Scene, take_top};
use crate::tui::column::{Align, Cell, Tone};
use crate::tui::line::Line;
use crate::tui::list::Heading;
use crate::tui::spark::spark;
use crate::tui::update::Action;
use crate::view::style::{cut_name, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Draws the list of the screen that is shown.
pub(super) fn draw(
    scene: &Scene<'_>,
    widths: &mut Widths,
    top: &mut usize,
    mut rest: Rect,
    buffer: &mut Buffer,
    areas: &mut Areas,
) {
    filter(scene, &mut rest, buffer);
    if rest.height > 12 {
        if let Some(left_out) = scene.board.then().and_then(|then| then.left_out.clone()) {
            write_line(buffer, take_top(&mut rest, 1), &Line::of(Tone::Warning, left_out), scene.look);
        }
        for line in scene.table.summary(scene.board, &scene.context) {
            write_line(buffer, take_top(&mut rest, 1), &line, scene.look);
        }
    }
    let heads = take_top(&mut rest, 1);
    areas.rows = rest;
    let rows = scene.table.len();
    let at = scene.state.place().at;
    let height = usize::from(rest.height);
    *top = (*top).min(at).max((at + 1).saturating_sub(height.max(1))).min(rows.saturating_sub(height.max(1)));
    areas.top = *top;
    let in_sight = *top..rows.min(*top + height);
    let headings = scene.table.headings();
    // Columns that are not shown want no room, so only those that could be are asked.
    let first = slots(&headings, widths, heads.width.into());
    let cells: Vec<Vec<Cell>> = in_sight.clone().map(|row| cells(scene, row, &first)).collect();
    for (row, slot) in cells.iter().flat_map(|cells| cells.iter().zip(&first)) {
        widths.see(slot.column, wanted(row, &headings[slot.column]));
    }
    for slot in &first {
        widths.see(slot.column, width(headings[slot.column].title) + 1);
    }
    let slots = slots(&headings, widths, heads.width.into());
    heading(scene, &headings, &slots, heads, buffer, areas);
    if rows == 0 {
        let why = if scene.table.all() > 0 {
            "No row passes the filter. Esc takes it away."
        } else {
            scene.table.empty(scene.board.then().is_some())
        };
        write(buffer, rest, rest.x, why, scene.look.tone(Tone::Plain), scene.look);
    }
    for (index, cells) in in_sight.zip(&cells) {
        let line = take_top(&mut rest, 1);
        for (cell, slot) in cells.iter().zip(&slots) {
            draw_cell(scene, cell, &headings[slot.column], place(line, *slot), buffer);
        }
        if index == at {
            buffer.set_style(line, scene.look.selected());
        }
    }
}

fn cells(scene: &Scene<'_>, row: usize, slots: &[Slot]) -> Vec<Cell> {
    slots.iter().map(|slot| scene.table.cell(row, slot.column, &scene.context)).collect()
}

/// Where a column is in a line.
fn place(line: Rect, slot: Slot) -> Rect {
    let number = |columns: usize| u16::try_from(columns).unwrap_or(u16::MAX);
    Rect { x: line.x.saturating_add(number(slot.x)), width: number(slot.width), ..line }
}

/// How wide a cell would like to be.
fn wanted(cell: &Cell, heading: &Heading) -> usize {
    match cell {
        Cell::Text(_, text) => width(text),
        Cell::Spark(_) => heading.most,
    }
}

/// The line in which a filter is typed, or says what it is.
fn filter(scene: &Scene<'_>, rest: &mut Rect, buffer: &mut Buffer) {
    let state = scene.state;
    if state.typing.is_none() && state.filter_text.is_empty() {
        return;
    }
    let typing = state.typing.as_ref();
    let text = typing.map_or(&state.filter_text, |typing| &typing.text);
    let area = take_top(rest, 1);
    // The end of a long text is what is typed at.
    let room = usize::from(area.width).saturating_sub(2);
    let mut shown = text.as_str();
    while width(shown) > room {
        let mut letters = shown.chars();
        letters.next();
        shown = letters.as_str();
    }
    let mut line = Line::of(Tone::Strong, format!("/{shown}"));
    if let Some(typing) = typing {
        line = line.and(Tone::Strong, "_");
        if let Some(error) = &typing.error {
            line = line.and(Tone::Warning, format!("  {error}"));
        }
    }
    let (some, all) = (scene.table.len(), scene.table.all());
    line = line.and(Tone::Faint, format!("  {some} of {all}"));
    write_line(buffer, area, &line, scene.look);
}

fn heading(
    scene: &Scene<'_>,
    headings: &[Heading],
    slots: &[Slot],
    area: Rect,
    buffer: &mut Buffer,
    areas: &mut Areas,
) {
    let order = scene.state.place().order;
    let look = scene.look;
    for slot in slots {
        let heading = &headings[slot.column];
        let title = if scene.context.totals { heading.title.trim_end_matches("/s") } else { heading.title };
        let ordered = slot.column == order.column;
        let sign = look.order(order.descending);
        let text = match (ordered, heading.align) {
            (false, _) => title.to_owned(),
            (true, Align::Left | Align::Bars) => format!("{title}{sign}"),
            (true, Align::Right) => format!("{sign}{title}"),
        };
        let place = place(area, *slot);
        let style = if ordered { look.accent() } else { look.tone(Tone::Faint) };
        align(scene, &text, heading.align, style.add_modifier(Modifier::BOLD), place, buffer);
        areas.clicks.push((place, Action::Order(slot.column)));
    }
}

fn draw_cell(scene: &Scene<'_>, cell: &Cell, heading: &Heading, place: Rect, buffer: &mut Buffer) {
    match cell {
        Cell::Text(tone, text) => {
            let text = scene.look.letters(text);
            let room = place.width.into();
            // Names differ at their ends as well; sentences and published ports are read from their beginning.
            let is_name = *tone == Tone::Strong || heading.align == Align::Left && !text.contains([' ', '>']);
            let text = if is_name && width(&text) > room {
                with_sign(cut_name(&text, room), scene.look)
            } else {
                text.into_owned()
            };
            align(scene, &text, heading.align, scene.look.tone(*tone), place, buffer);
        }
        Cell::Spark(bars) => {
            let bars = spark(bars, place.width.into());
            write(buffer, place, place.x, &bars, scene.look.tone(Tone::Good), scene.look);
        }
    }
}

fn align(scene: &Scene<'_>, text: &str, align: Align, style: Style, place: Rect, buffer: &mut Buffer) {
    if place.is_empty() {
        return;
    }
    let room = usize::from(place.width);
    let text = if width(text) > room { short(text, room, scene.look) } else { text.to_owned() };
    let before = match align {
        Align::Left | Align::Bars => 0,
        Align::Right => u16::try_from(room.saturating_sub(width(&text))).unwrap_or_default(),
    };
    buffer.set_stringn(place.x + before, place.y, &text, room, style);
}
