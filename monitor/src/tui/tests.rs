//! Pictures of the screens, and what keys make of them.

mod agent;
mod back;
pub(super) mod data;
mod details;
mod keys;
mod pictures;
mod robust;
mod world;

use super::{App, Colours, Effect, Look};
use crate::snapshot::Snapshot;
use crate::wire::fixtures;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;

/// A view of some data on a terminal of some size.
struct View {
    app: App,
    terminal: Terminal<TestBackend>,
}

impl View {
    fn new(snapshot: Arc<Snapshot>, columns: u16, rows: u16) -> Self {
        let look = Look { colours: Colours::Dark, ascii: false };
        Self::with_look(look, snapshot, columns, rows)
    }

    fn with_look(look: Look, snapshot: Arc<Snapshot>, columns: u16, rows: u16) -> Self {
        let app = App::new(look, fixtures::clock(), snapshot);
        let terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        Self { app, terminal }
    }

    /// Types keys, one a word: `enter`, `ctrl-d`, or the letters themselves.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for word in keys.split_whitespace() {
            let named = match word {
                "enter" => Some(KeyCode::Enter),
                "esc" => Some(KeyCode::Esc),
                "tab" => Some(KeyCode::Tab),
                "backtab" => Some(KeyCode::BackTab),
                "space" => Some(KeyCode::Char(' ')),
                "backspace" => Some(KeyCode::Backspace),
                "up" => Some(KeyCode::Up),
                "down" => Some(KeyCode::Down),
                "pgdn" => Some(KeyCode::PageDown),
                "pgup" => Some(KeyCode::PageUp),
                "end" => Some(KeyCode::End),
                "home" => Some(KeyCode::Home),
                _ => None,
            };
            match (named, word.strip_prefix("ctrl-")) {
                (Some(code), _) => self.press(code, KeyModifiers::NONE),
                (None, Some(letter)) => {
                    self.press(KeyCode::Char(letter.chars().next().unwrap()), KeyModifiers::CONTROL)
                }
                (None, None) => {
                    word.chars().map(|letter| self.press(KeyCode::Char(letter), KeyModifiers::NONE)).last()
                }
                .unwrap_or(Effect::None),
            };
        }
        self
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Effect {
        self.app.input(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        self.app.input(&Event::Mouse(event));
        self
    }

    fn click(&mut self, column: u16, row: u16) -> &mut Self {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row)
    }

    /// The picture as text; each line ends where its text does.
    fn picture(&mut self) -> String {
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let mut picture = String::new();
        for row in 0..buffer.area.height {
            let mut line = String::new();
            let mut column = 0;
            while column < buffer.area.width {
                let symbol = buffer[(column, row)].symbol();
                line.push_str(symbol);
                // A wide character hides the cell behind it.
                column += u16::try_from(crate::view::style::width(symbol).max(1)).unwrap();
            }
            picture.push_str(line.trim_end());
            picture.push('\n');
        }
        picture
    }

    /// The line of the picture that has a text.
    fn line(&mut self, with: &str) -> String {
        let picture = self.picture();
        let line = picture.lines().find(|line| line.contains(with));
        line.unwrap_or_else(|| panic!("no line has {with:?}:\n{picture}")).to_owned()
    }
}
