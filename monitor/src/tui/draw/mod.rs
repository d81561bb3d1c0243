//! The picture: a header, the screens' names, a list or what lies over it, and the keys that work here.

mod header;
mod help;
mod hints;
mod layout;
mod list;
mod page;
mod tabs;
mod write;

pub(super) use layout::Widths;

use super::back::Back;
use super::board::Board;
use super::column::Tone;
use super::context::Context;
use super::line::Line;
use super::list::Table;
use super::state::State;
use super::subject::Subject;
use super::theme::Look;
use super::update::Action;
use crate::view::style::wrap;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use write::write_line;

/// What a picture is made of.
pub(super) struct Scene<'a> {
    /// The data.
    pub(super) board: &'a Board,
    /// Whether no more data come.
    pub(super) is_cut_off: bool,
    /// The state.
    pub(super) state: &'a State,
    /// The list of the screen that is shown.
    pub(super) table: &'a dyn Table,
    /// How numbers are written.
    pub(super) context: Context<'a>,
    /// How it looks.
    pub(super) look: Look,
}

impl Scene<'_> {
    /// Whether there are data of the time that is to be shown.
    fn is_told(&self) -> bool {
        self.state.back.is_none() || self.board.then().is_some()
    }
}

/// What is where on the picture, for the mouse and for moving by pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Areas {
    /// What a click does, and where.
    pub(super) clicks: Vec<(Rect, Action)>,
    /// The rows of the list.
    pub(super) rows: Rect,
    /// How many lines what lies over the list has, and how many fit.
    pub(super) page: (usize, usize),
    /// The first row in sight.
    pub(super) top: usize,
}

impl Areas {
    /// What a click at a place does.
    pub(super) fn click(&self, column: u16, row: u16) -> Option<Action> {
        let at = Position { x: column, y: row };
        if self.rows.contains(at) {
            return Some(Action::Select(self.top + usize::from(row - self.rows.y)));
        }
        self.clicks.iter().find(|(area, _)| area.contains(at)).map(|(_, action)| *action)
    }
}

/// The lines about what was opened, as they were drawn last: of what is gone they are all that is left.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<About>);

/// Lines about a subject.
#[derive(Debug)]
struct About {
    subject: Subject,
    lines: Vec<Line>,
    /// Whether they say that it is gone.
    is_gone: bool,
}

impl Kept {
    /// The lines that there are about a subject now; else those that were, and that it is gone.
    fn lines(&mut self, subject: &Subject, now: Option<Vec<Line>>) -> &[Line] {
        let before = self.0.take().filter(|about| about.subject == *subject);
        let about = match (now, before) {
            (Some(lines), _) => About { subject: subject.clone(), lines, is_gone: false },
            (None, Some(about)) if about.is_gone => about,
            (None, before) => {
                let mut lines = before.map_or_else(Vec::new, |about| about.lines);
                lines.splice(0..0, help::gone(!lines.is_empty()));
                About { subject: subject.clone(), lines, is_gone: true }
            }
        };
        &self.0.insert(about).lines
    }
}

/// Draws everything. The place of the list is moved so that the selected row is in sight.
pub(super) fn draw(
    scene: &Scene<'_>,
    widths: &mut Widths,
    kept: &mut Kept,
    top: &mut usize,
    buffer: &mut Buffer,
) -> Areas {
    let mut areas = Areas::default();
    let mut rest = buffer.area;
    if rest.is_empty() {
        return areas;
    }
    let is_small = rest.height < 10;
    header::draw(scene, is_small, &mut rest, buffer);
    tabs::draw(scene, take_top(&mut rest, 1), buffer, &mut areas);
    if rest.height >= 4 {
        hints::draw(scene, take_bottom(&mut rest), buffer);
    }
    // It has lines of its own: the first line has no room for it on a small screen.
    if let Some(why) = scene.state.back.as_ref().and_then(Back::refused) {
        for text in wrap(why, rest.width.max(1).into()) {
            write_line(buffer, take_top(&mut rest, 1), &Line::of(Tone::Warning, text), scene.look);
        }
    }
    if let Some(top) = scene.state.help {
        page::draw(scene, &help::lines(), top, rest, buffer, &mut areas);
    } else if !scene.is_told() {
        let nothing = Line::of(Tone::Plain, "Nothing is told of that time.".to_owned());
        page::draw(scene, &[nothing], 0, rest, buffer, &mut areas);
    } else if let Some(open) = scene.state.opened.last() {
        let lines = super::detail::lines(&open.subject, scene.board, &scene.context, rest.width.into());
        let lines = kept.lines(&open.subject, lines);
        page::draw(scene, lines, open.top, rest, buffer, &mut areas);
    } else {
        list::draw(scene, widths, top, rest, buffer, &mut areas);
    }
    areas
}

/// Takes lines from the top of what is left.
fn take_top(rest: &mut Rect, lines: u16) -> Rect {
    let lines = lines.min(rest.height);
    let taken = Rect { height: lines, ..*rest };
    rest.y += lines;
    rest.height -= lines;
    taken
}

/// Takes the lowest line of what is left.
fn take_bottom(rest: &mut Rect) -> Rect {
    rest.height -= 1;
    Rect { y: rest.y + rest.height, height: 1, ..*rest }
}
