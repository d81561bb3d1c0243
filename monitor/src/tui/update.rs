//! What each action does to the state. Pure.

use super::app::Effect;
use super::back::Back;
use super::context::Unit;
use super::list::{Order, Table};
use super::screens::ScreenId;
use super::state::{Open, State, Typing};
use super::subject::{Group, Subject};
use crate::filter::Filter;
use crate::model::WallTime;

/// The longest filter that can be typed.
const LONGEST_FILTER: usize = 256;
/// As many can be open over each other; a further one takes the place of the last.
const MOST_OPEN: usize = 16;

/// What a key or the mouse asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// End.
    Quit,
    /// Stop, as Ctrl-Z asks.
    Suspend,
    /// Show the help, or close it.
    Help,
    /// Close what is open.
    Back,
    /// Close what is open; where nothing is, have no filter; where there is none, go back to now.
    Escape,
    /// Begin to type a filter.
    Type,
    /// A character of it.
    Typed(char),
    /// Take its last character away.
    Erase,
    /// Take its last word away.
    EraseWord,
    /// Take all of it away.
    EraseAll,
    /// Keep it.
    Accept,
    /// Go back to the one before.
    Restore,
    /// Open the selected row.
    Open,
    /// Keep the picture, or go on.
    Freeze,
    /// Look back: so many steps earlier.
    Earlier(u32),
    /// So many steps later.
    Later(u32),
    /// No longer look back.
    Now,
    /// Order by a column so many further.
    OrderBy(isize),
    /// Order by a column; if it is ordered by it already, the other way round.
    Order(usize),
    /// Turn the order round.
    Reverse,
    /// Totals or rates.
    Totals,
    /// The next window.
    Window,
    /// Bits or bytes.
    Unit,
    /// Gather by the next.
    Gather,
    /// Show conversations at both interfaces, or once.
    BothEnds,
    /// Open the matrix.
    Matrix,
    /// So many rows down.
    Move(isize),
    /// So many half pages down.
    Pages(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To a screen.
    Screen(ScreenId),
    /// So many screens further.
    Step(isize),
    /// Select the row at a place.
    Select(usize),
}

impl Action {
    /// Whether what it does depends on which rows there are, and in which order.
    pub(super) const fn is_about_rows(self) -> bool {
        matches!(
            self,
            Self::Open | Self::Move(_) | Self::Pages(_) | Self::First | Self::Last | Self::Select(_)
        )
    }
}

/// What is in sight, for actions that depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// The list.
    pub(super) table: &'a dyn Table,
    /// How many of its rows fit.
    pub(super) height: usize,
    /// How many lines what lies over it has, and how many of them fit.
    pub(super) page: (usize, usize),
    /// When the latest data is of.
    pub(super) now: WallTime,
}

/// Does what is asked for.
pub(super) fn update(state: &mut State, action: Action, sight: &Sight<'_>) -> Effect {
    match action {
        Action::Quit => return Effect::Quit,
        Action::Suspend => return Effect::Suspend,
        Action::Help => state.help = if state.help.is_some() { None } else { Some(0) },
        Action::Back => {
            close(state);
        }
        Action::Escape => {
            let was_open = close(state);
            if !was_open && state.filter_text.is_empty() {
                state.back = None;
            } else if !was_open {
                (state.filter_text, state.filter) = (String::new(), Filter::default());
            }
        }
        Action::Open => open(state, sight.table.subject(state.place().at)),
        Action::Matrix => open(state, Some(Subject::Matrix(state.options.group))),
        Action::Freeze => state.frozen = !state.frozen,
        Action::Earlier(steps) => match &mut state.back {
            Some(back) => back.earlier(steps),
            None => {
                state.looks += 1;
                state.back = Some(Back::before(sight.now, steps));
            }
        },
        Action::Later(steps) => {
            if !state.back.as_mut().is_some_and(|back| back.later(steps, sight.now)) {
                state.back = None;
            }
        }
        Action::Now => state.back = None,
        Action::Totals => state.totals = !state.totals,
        Action::Window => match &mut state.back {
            Some(back) => back.other_step(),
            None => state.window = state.window.next(),
        },
        Action::Unit => {
            state.unit = match state.unit {
                Unit::Bytes => Unit::Bits,
                Unit::Bits => Unit::Bytes,
            }
        }
        Action::Gather => {
            state.options.group = match state.options.group {
                Group::Container => Group::Service,
                Group::Service => Group::Project,
                Group::Project => Group::Container,
            }
        }
        Action::BothEnds => state.options.both_ends = !state.options.both_ends,
        Action::Screen(screen) => show(state, screen),
        Action::Step(step) => show(state, state.screen.step(step)),
        Action::OrderBy(_) | Action::Order(_) | Action::Reverse => order(state, action, sight.table),
        Action::Move(_) | Action::Pages(_) | Action::First | Action::Last | Action::Select(_) => {
            go(state, action, sight);
        }
        Action::Type
        | Action::Typed(_)
        | Action::Erase
        | Action::EraseWord
        | Action::EraseAll
        | Action::Accept
        | Action::Restore => filter(state, action),
    }
    Effect::None
}

/// Closes the topmost of what is open; tells whether anything was.
fn close(state: &mut State) -> bool {
    state.help.take().is_some() || state.opened.pop().is_some()
}

fn open(state: &mut State, subject: Option<Subject>) {
    let Some(subject) = subject else { return };
    state.opened.truncate(MOST_OPEN - 1);
    state.opened.push(Open { subject, top: 0 });
}

fn show(state: &mut State, screen: ScreenId) {
    state.screen = screen;
    state.opened.clear();
    state.help = None;
}

fn order(state: &mut State, action: Action, table: &dyn Table) {
    let headings = table.headings();
    let order = state.place().order;
    let by = |column: usize| {
        let descending = headings.get(column).is_some_and(|heading| heading.greatest_first);
        Order { column, descending }
    };
    state.place_mut().order = match action {
        Action::OrderBy(step) => {
            let count = headings.len().max(1);
            by((order.column + count).saturating_add_signed(step) % count)
        }
        Action::Order(column) if column != order.column => by(column),
        _ => Order { descending: !order.descending, ..order },
    };
}

/// Moves in what lies on top: the help, what was opened, or the list.
fn go(state: &mut State, action: Action, sight: &Sight<'_>) {
    let to = |at: usize, count: usize, height: usize| {
        let half = isize::try_from(height / 2).unwrap_or(isize::MAX).max(1);
        match action {
            Action::Move(rows) => at.saturating_add_signed(rows),
            Action::Pages(halves) => at.saturating_add_signed(halves.saturating_mul(half)),
            Action::Last => count,
            Action::Select(at) => at,
            _ => 0,
        }
    };
    let (lines, fit) = sight.page;
    let top = match (&mut state.help, state.opened.last_mut()) {
        (Some(top), _) => Some(top),
        (None, Some(open)) => Some(&mut open.top),
        (None, None) => None,
    };
    if let Some(top) = top {
        *top = to(*top, lines, fit).min(lines.saturating_sub(fit));
        return;
    }
    if action == Action::First {
        state.place_mut().select_first();
        return;
    }
    let at = to(state.place().at, sight.table.len(), sight.height);
    state.place_mut().select(at, sight.table);
}

fn filter(state: &mut State, action: Action) {
    match action {
        Action::Type => {
            let text = state.filter_text.clone();
            let before = (text.clone(), state.filter.clone());
            state.typing = Some(Typing { text, before, error: None });
        }
        // A mistake is not kept: what holds is what was read last.
        Action::Accept => state.typing = None,
        Action::Restore => {
            if let Some(typing) = state.typing.take() {
                (state.filter_text, state.filter) = typing.before;
            }
        }
        _ => edit(state, action),
    }
}

fn edit(state: &mut State, action: Action) {
    let Some(typing) = &mut state.typing else { return };
    match action {
        Action::Typed(letter) if !letter.is_control() && typing.text.len() < LONGEST_FILTER => {
            typing.text.push(letter);
        }
        Action::Erase => {
            typing.text.pop();
        }
        Action::EraseWord => {
            let kept = typing.text.trim_end().rfind(' ').map_or(0, |space| space + 1);
            typing.text.truncate(kept);
        }
        Action::EraseAll => typing.text.clear(),
        _ => return,
    }
    match Filter::parse(&typing.text) {
        Ok(filter) => {
            typing.error = None;
            state.filter_text.clone_from(&typing.text);
            state.filter = filter;
        }
        Err(error) => typing.error = Some(error),
    }
}
