//! The view as a whole: takes in data and input, and draws itself.

use super::back::{Back, Span};
use super::board::{Board, Course};
use super::context::Context;
use super::draw::{self, Areas, Kept, Scene, Widths};
use super::keys::{self, Here};
use super::list::Table;
use super::news::News;
use super::state::State;
use super::subject::Subject;
use super::theme::Look;
use super::update::{Action, Sight, update};
use crate::model::ContainerId;
use crate::snapshot::{Past, Record, Snapshot};
use crate::wire::Clock;
use crossterm::event::{Event, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use std::sync::Arc;

/// Rows that a step of the mouse's wheel moves.
const WHEEL: isize = 3;

/// What the caller has to do after some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, but draw when [`App::is_stale`].
    None,
    /// End.
    Quit,
    /// Give the terminal back and stop, as Ctrl-Z asks.
    Suspend,
}

/// What was, as far as the view wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The container whose last hour is to be told.
    pub course: Option<ContainerId>,
    /// The time that is to be told of.
    pub time: Option<Span>,
    /// How often it was begun to look back: who goes to now and back at once is told the same time again.
    pub looks: u64,
}

/// What was found of it.
#[derive(Debug)]
pub enum Found {
    /// The last hour of a container.
    Course(Course),
    /// All of a time that was asked for, or why it is not told.
    Time(Span, Result<Box<Past>, String>),
}

/// What of the list has to be made anew because the state wants another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fresh {
    /// Nothing.
    Yes,
    /// Its order.
    Unordered,
    /// All of it.
    No,
}

/// The view.
#[derive(Debug)]
pub struct App {
    look: Look,
    clock: Clock,
    live: Board,
    /// Whether no more data come, until they begin again.
    cut_off: bool,
    /// The data that are shown while the picture is frozen.
    frozen: Option<Box<Board>>,
    /// The data that are shown while it is looked back.
    then: Option<Box<Board>>,
    pub(super) state: State,
    pub(super) table: Box<dyn Table>,
    fresh: Fresh,
    /// Data came that the list does not have. Until they are drawn, keys are about the list that can be seen.
    behind: bool,
    widths: Widths,
    /// What was drawn last of what is opened.
    kept: Kept,
    areas: Areas,
    size: (u16, u16),
    stale: bool,
}

impl App {
    /// A view of a first snapshot.
    #[must_use]
    pub fn new(look: Look, clock: Clock, snapshot: Arc<Snapshot>) -> Self {
        let state = State::new(|screen| screen.table().first_order());
        Self {
            look,
            clock,
            live: Board::new(snapshot),
            cut_off: false,
            frozen: None,
            then: None,
            table: state.screen.table(),
            state,
            fresh: Fresh::No,
            behind: false,
            widths: Widths::default(),
            kept: Kept::default(),
            areas: Areas::default(),
            size: (0, 0),
            stale: true,
        }
    }

    /// Takes in a newer snapshot.
    pub fn snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let before = Arc::clone(self.live.latest());
        let is_reading = self.live.snapshot(snapshot);
        if self.is_live() {
            let news = News::of(&before, self.live.latest(), is_reading, &self.clock);
            self.behind |= self.state.screen.is_behind(&news);
            self.stale |= news.is_seen();
        }
    }

    /// Shows that no more data come.
    pub fn cut_off(&mut self) {
        self.cut_off = true;
        self.stale = true;
    }

    /// Whether no more data come.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Begins again with a first snapshot: what was counted before has nothing to do with what is now.
    pub fn begin_again(&mut self, snapshot: Arc<Snapshot>) {
        self.live = Board::new(snapshot);
        self.cut_off = false;
        self.behind |= self.is_live();
        self.stale = true;
    }

    /// Whether what is shown are the latest data. Of a time that was not told yet nothing is.
    fn is_live(&self) -> bool {
        self.frozen.is_none() && self.state.back.is_none()
    }

    /// Takes in a record.
    pub fn record(&mut self, record: &Record) {
        if !self.is_live() {
            self.live.record(record);
            return;
        }
        if self.state.screen.is_behind_record(record) {
            self.behind = true;
            self.table.let_go();
        }
        self.live.record(record);
        let screen = self.state.screen;
        self.stale |= match record {
            Record::Flow(_) => screen.is_behind_record(record) || !self.state.opened.is_empty(),
            Record::Lost(_) => true,
            Record::Finding(_) | Record::Standing(_) | Record::Sample(_) | Record::Name(_) => false,
        };
    }

    /// What is to be looked back at: the last hour of the container that is opened, and the time that keys ask for.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let course = match self.state.opened.last().map(|open| &open.subject) {
            Some(Subject::Container(id)) => Some(id.clone()),
            _ => None,
        };
        Wanted { course, time: self.state.back.as_ref().map(Back::asked), looks: self.state.looks }
    }

    /// Takes in what was looked back at.
    pub fn found(&mut self, found: Found) {
        match found {
            Found::Course(course) => self.course(course),
            Found::Time(asked, told) => self.time(asked, told),
        }
    }

    fn course(&mut self, course: Course) {
        let is_open = self.wanted().course.as_ref() == Some(&course.container);
        self.stale |= self.frozen.is_none() && is_open;
        if let Some(then) = &mut self.then {
            then.take_course(course.clone());
        }
        self.live.take_course(course);
    }

    fn time(&mut self, asked: Span, told: Result<Box<Past>, String>) {
        let Some(back) = &mut self.state.back else { return };
        let is_wanted = back.told(asked, told.as_ref().map(|past| &past.told).map_err(Clone::clone));
        let Some(past) = told.ok().filter(|_| is_wanted) else {
            self.stale |= is_wanted;
            return;
        };
        self.then = Some(Box::new(Board::of_then(*past)));
        (self.fresh, self.stale) = (Fresh::No, true);
    }

    /// Takes in a key, the mouse, or another size.
    pub fn input(&mut self, event: &Event) -> Effect {
        if let Some([escape, key]) = keys::taken_together(event) {
            self.input(&escape);
            return self.input(&key);
        }
        let action = match event {
            Event::Key(key) => keys::action(key, Here::of(&self.state, self.table.gathers())),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Resize(..) => {
                self.stale = true;
                None
            }
            Event::FocusGained | Event::FocusLost | Event::Paste(_) => None,
        };
        action.map_or(Effect::None, |action| self.act(action))
    }

    /// Whether what is on the terminal is not what would be drawn now.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        self.refresh();
        let area = frame.area();
        if (area.width, area.height) != self.size {
            self.size = (area.width, area.height);
            self.widths = Widths::default();
        }
        let mut top = self.state.place().top;
        let board = shown(&self.then, &self.frozen, &self.live);
        let scene = Scene {
            board,
            is_cut_off: self.cut_off,
            state: &self.state,
            table: self.table.as_ref(),
            context: context(board, &self.state, &self.clock),
            look: self.look,
        };
        self.areas = draw::draw(&scene, &mut self.widths, &mut self.kept, &mut top, frame.buffer_mut());
        self.state.place_mut().top = top;
        self.stale = false;
    }

    fn mouse(&self, mouse: &MouseEvent) -> Option<Action> {
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if self.state.typing.is_none() => {
                self.areas.click(mouse.column, mouse.row)
            }
            MouseEventKind::ScrollUp => Some(Action::Move(-WHEEL)),
            MouseEventKind::ScrollDown => Some(Action::Move(WHEEL)),
            _ => None,
        }
    }

    fn act(&mut self, action: Action) -> Effect {
        if action.is_about_rows() && self.fresh != Fresh::Yes {
            self.refresh();
        }
        let before = self.state.clone();
        let sight = Sight {
            table: self.table.as_ref(),
            height: self.areas.rows.height.into(),
            page: self.areas.page,
            now: self.clock.wall(self.live.latest().taken_at),
        };
        let effect = update(&mut self.state, action, &sight);
        self.follow(&before);
        effect
    }

    /// Makes the rest follow a state that has changed.
    fn follow(&mut self, before: &State) {
        let now = &self.state;
        if *now == *before {
            return;
        }
        self.stale = true;
        if now.back.is_none() && before.back.is_some() {
            self.then = None;
            self.widths = Widths::default();
            self.fresh = Fresh::No;
        }
        if now.frozen != before.frozen {
            self.frozen = now.frozen.then(|| Box::new(self.live.clone()));
            self.fresh = Fresh::No;
        }
        if now.screen != before.screen {
            self.table = now.screen.table();
            self.widths = Widths::default();
            self.fresh = Fresh::No;
        }
        if now.options != before.options {
            self.widths = Widths::default();
            self.fresh = Fresh::No;
        }
        let reordered = now.filter != before.filter
            || now.place().order != before.place().order
            || (now.totals, now.window) != (before.totals, before.window);
        if reordered {
            self.fresh = self.fresh.max(Fresh::Unordered);
        }
    }

    /// Makes the list anew where something that it depends on has changed.
    pub(super) fn refresh(&mut self) {
        let board = shown(&self.then, &self.frozen, &self.live);
        let context = context(board, &self.state, &self.clock);
        if self.behind {
            self.fresh = Fresh::No;
        }
        if self.fresh == Fresh::No {
            self.table.fill(board, &self.state.options, &context);
        }
        if self.fresh != Fresh::Yes {
            self.table.arrange(&self.state.filter, self.state.place().order, &context);
            self.state.place_mut().follow(self.table.as_ref());
        }
        (self.fresh, self.behind) = (Fresh::Yes, false);
    }
}

/// The data that are shown.
fn shown<'a>(then: &'a Option<Box<Board>>, frozen: &'a Option<Box<Board>>, live: &'a Board) -> &'a Board {
    then.as_deref().or(frozen.as_deref()).unwrap_or(live)
}

/// What the text of a cell depends on beside its row.
fn context<'a>(board: &'a Board, state: &State, clock: &'a Clock) -> Context<'a> {
    let then = board.then();
    Context {
        now: board.latest().taken_at,
        reading: board.reading(),
        since: board.since(),
        clock: then.map_or(clock, |then| &then.clock),
        unit: state.unit,
        window: state.window,
        totals: state.totals,
        past: then.map(|then| then.length),
    }
}
