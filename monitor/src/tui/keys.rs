//! The keys: one table, from which keys are read, the help is written and the hint line is made.

use super::screens::ScreenId;
use super::state::State;
use super::update::Action;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One that types a character.
    Letter(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// Any other one, and what it is called.
    Named(KeyCode, &'static str),
}

/// Where a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Everywhere but in a line that is typed.
    Everywhere,
    /// In lists.
    Lists,
    /// In lists whose rows can be gathered.
    Gathering,
    /// On the flows.
    Flows,
    /// On the pairs.
    Pairs,
    /// While a filter is typed.
    Typing,
    /// While a time is looked back at.
    Back,
    /// While none is: what is over stays as it is.
    Now,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Binding {
    /// Its keys; any of them will do.
    pub(super) keys: &'static [Key],
    /// Where they work.
    pub(super) works: Where,
    /// What they do.
    pub(super) action: Action,
    /// The same in words.
    pub(super) words: &'static str,
    /// The same in one word, for the hint line; empty where it is not in it.
    pub(super) hint: &'static str,
}

const UP: Key = Key::Named(KeyCode::Up, "Up");
const DOWN: Key = Key::Named(KeyCode::Down, "Down");
const LEFT: Key = Key::Named(KeyCode::Left, "Left");
const RIGHT: Key = Key::Named(KeyCode::Right, "Right");
const PAGE_UP: Key = Key::Named(KeyCode::PageUp, "PgUp");
const PAGE_DOWN: Key = Key::Named(KeyCode::PageDown, "PgDn");
const HOME: Key = Key::Named(KeyCode::Home, "Home");
const END: Key = Key::Named(KeyCode::End, "End");
const TAB: Key = Key::Named(KeyCode::Tab, "Tab");
const BACK_TAB: Key = Key::Named(KeyCode::BackTab, "Shift-Tab");
const ENTER: Key = Key::Named(KeyCode::Enter, "Enter");
const ESC: Key = Key::Named(KeyCode::Esc, "Esc");
const BACKSPACE: Key = Key::Named(KeyCode::Backspace, "Backspace");
const SPACE: Key = Key::Named(KeyCode::Char(' '), "Space");
const F1: Key = Key::Named(KeyCode::F(1), "F1");

const fn key(
    keys: &'static [Key],
    works: Where,
    action: Action,
    words: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { keys, works, action, words, hint }
}

use Key::{Ctrl, Letter};
use Where::{Back, Everywhere, Flows, Gathering, Lists, Now, Pairs, Typing};

/// The table. What comes first is asked first.
pub(super) const BINDINGS: &[Binding] = &[
    key(&[ENTER], Typing, Action::Accept, "keep the filter", "keep"),
    key(&[ESC], Typing, Action::Restore, "go back to the filter that was before", "back"),
    key(&[BACKSPACE, Ctrl('h')], Typing, Action::Erase, "take the last character away", ""),
    key(&[Ctrl('w')], Typing, Action::EraseWord, "take the last word away", ""),
    key(&[Ctrl('u')], Typing, Action::EraseAll, "take everything away", "empty"),
    key(&[UP], Typing, Action::Move(-1), "one row up, while typing", ""),
    key(&[DOWN], Typing, Action::Move(1), "one row down, while typing", ""),
    key(&[Letter('n')], Back, Action::Now, "go back to now; Esc does it where nothing is open", "now"),
    key(&[Letter(']')], Back, Action::Later(1), "a step later; the last one is now", "later"),
    key(&[Letter('}')], Back, Action::Later(10), "ten steps later", ""),
    key(&[Letter('?'), F1], Everywhere, Action::Help, "this help", "help"),
    key(&[Letter('q'), Ctrl('c')], Everywhere, Action::Quit, "quit", "quit"),
    key(&[Letter('/')], Lists, Action::Type, "filter: every word has to hold of a row", "filter"),
    key(&[ENTER, RIGHT, Letter('l')], Lists, Action::Open, "all about the selected row", "open"),
    key(&[ESC], Everywhere, Action::Escape, "close what is open; else take the filter away", "back"),
    key(&[BACKSPACE, LEFT, Letter('h')], Everywhere, Action::Back, "close what is open", ""),
    key(&[SPACE, Letter('p')], Now, Action::Freeze, "freeze: the picture stays, counting goes on", "freeze"),
    key(
        &[Letter('[')],
        Everywhere,
        Action::Earlier(1),
        "look back: a step earlier, a minute at first",
        "earlier",
    ),
    key(&[Letter('{')], Everywhere, Action::Earlier(10), "ten steps earlier", ""),
    key(&[Letter('s'), Letter('>')], Lists, Action::OrderBy(1), "order by the next column", "sort"),
    key(&[Letter('S'), Letter('<')], Lists, Action::OrderBy(-1), "order by the column before", ""),
    key(&[Letter('r')], Lists, Action::Reverse, "turn the order round", "reverse"),
    key(&[Letter('t')], Everywhere, Action::Totals, "totals, or rates", "totals"),
    key(
        &[Letter('w')],
        Everywhere,
        Action::Window,
        "rates over 1, 10 or 60 seconds; looking back, steps of these",
        "window",
    ),
    key(&[Letter('b')], Everywhere, Action::Unit, "bits, or bytes", "bits"),
    key(&[Letter('c')], Gathering, Action::Gather, "gather by container, service or project", "group"),
    key(
        &[Letter('i')],
        Flows,
        Action::BothEnds,
        "conversations at both interfaces, or each once",
        "both ends",
    ),
    key(&[Letter('m')], Pairs, Action::Matrix, "the busiest as a matrix", "matrix"),
    key(&[UP, Letter('k')], Everywhere, Action::Move(-1), "one row up", ""),
    key(&[DOWN, Letter('j')], Everywhere, Action::Move(1), "one row down", ""),
    key(&[PAGE_UP, Ctrl('b')], Everywhere, Action::Pages(-2), "one page up", ""),
    key(&[PAGE_DOWN, Ctrl('f')], Everywhere, Action::Pages(2), "one page down", ""),
    key(&[Ctrl('u')], Everywhere, Action::Pages(-1), "half a page up", ""),
    key(&[Ctrl('d')], Everywhere, Action::Pages(1), "half a page down", ""),
    key(&[HOME, Letter('g')], Everywhere, Action::First, "the first row, whichever it is from now on", ""),
    key(&[END, Letter('G')], Everywhere, Action::Last, "the last row", ""),
    key(&[Letter('1')], Everywhere, Action::Screen(ScreenId::Containers), "containers", ""),
    key(&[Letter('2')], Everywhere, Action::Screen(ScreenId::Flows), "flows", ""),
    key(&[Letter('3')], Everywhere, Action::Screen(ScreenId::Networks), "networks", ""),
    key(&[Letter('4')], Everywhere, Action::Screen(ScreenId::Pairs), "pairs", ""),
    key(&[Letter('5')], Everywhere, Action::Screen(ScreenId::Findings), "findings", ""),
    key(&[Letter('6')], Everywhere, Action::Screen(ScreenId::Health), "losses and health", ""),
    key(&[Letter('7')], Everywhere, Action::Screen(ScreenId::Names), "names that are asked for", ""),
    key(&[Letter('8')], Everywhere, Action::Screen(ScreenId::Failures), "what fails", ""),
    key(&[TAB], Everywhere, Action::Step(1), "the next screen", ""),
    key(&[BACK_TAB], Everywhere, Action::Step(-1), "the screen before", ""),
    key(&[Ctrl('z')], Everywhere, Action::Suspend, "suspend; `fg` comes back", ""),
];

/// Where the view is, for keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    /// The screen.
    pub(super) screen: ScreenId,
    /// Whether something lies over the list: the help, or what was opened.
    pub(super) covered: bool,
    /// Whether a filter is typed.
    pub(super) typing: bool,
    /// Whether rows can be gathered.
    pub(super) gathers: bool,
    /// Whether a time is looked back at.
    pub(super) back: bool,
}

impl Here {
    /// Where a state is.
    pub(super) fn of(state: &State, gathers: bool) -> Self {
        Self {
            screen: state.screen,
            covered: state.help.is_some() || !state.opened.is_empty(),
            typing: state.typing.is_some(),
            gathers,
            back: state.back.is_some(),
        }
    }
}

impl Binding {
    /// Whether it works here.
    pub(super) fn works(&self, here: Here) -> bool {
        let in_list = !here.typing && !here.covered;
        match self.works {
            Typing => here.typing,
            Everywhere => !here.typing,
            Back => !here.typing && here.back,
            Now => !here.typing && !here.back,
            Lists => in_list,
            Gathering => in_list && here.gathers,
            Flows => in_list && here.screen == ScreenId::Flows,
            Pairs => in_list && here.screen == ScreenId::Pairs,
        }
    }

    /// Its keys, as the help names them.
    pub(super) fn names(&self) -> String {
        let name = |key: &Key| match key {
            Letter(letter) => letter.to_string(),
            Ctrl(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            Key::Named(_, name) => (*name).to_owned(),
        };
        self.keys.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// Its first key, as the hint line names it.
    pub(super) fn first_name(&self) -> String {
        self.names().split(' ').next().unwrap_or_default().to_owned()
    }
}

impl Key {
    fn is(self, event: &KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match self {
            Self::Letter(letter) => event.code == KeyCode::Char(letter) && !ctrl && !alt,
            Self::Ctrl(letter) => {
                ctrl && matches!(event.code, KeyCode::Char(typed) if typed.eq_ignore_ascii_case(&letter))
            }
            Self::Named(code, _) => event.code == code && !ctrl && !alt,
        }
    }
}

/// Esc and the key behind it. Where they come at once, as over a slow line, a terminal's bytes are those of Alt and the
/// key; no key has a meaning with Alt.
pub(super) fn taken_together(event: &Event) -> Option<[Event; 2]> {
    let Event::Key(key) = event else { return None };
    let with_alt = key.modifiers.contains(KeyModifiers::ALT) && key.kind != KeyEventKind::Release;
    let behind = KeyEvent { modifiers: key.modifiers - KeyModifiers::ALT, ..*key };
    with_alt.then(|| [Event::Key(KeyCode::Esc.into()), Event::Key(behind)])
}

/// What a key asks for.
pub(super) fn action(event: &KeyEvent, here: Here) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let bound =
        BINDINGS.iter().find(|binding| binding.works(here) && binding.keys.iter().any(|key| key.is(event)));
    match (bound, event.code) {
        (Some(binding), _) => Some(binding.action),
        (None, KeyCode::Char('c')) if event.modifiers.contains(KeyModifiers::CONTROL) => Some(Action::Quit),
        (None, KeyCode::Char('z')) if event.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Action::Suspend)
        }
        (None, KeyCode::Char(letter))
            if here.typing && !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
        {
            Some(Action::Typed(letter))
        }
        (None, _) => None,
    }
}
