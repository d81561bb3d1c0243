//! A screen of its own on the terminal, given back however this ends.

use super::logger;
use crate::view::{Frame, Line};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{Write as _, stdin, stdout};

/// The other screen, without a cursor and without wrapping.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The terminal while a screen is drawn on it. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    before: Option<Termios>,
}

impl Screen {
    /// Takes the terminal. What is typed is not shown; Ctrl-C stays a signal.
    pub(super) fn take() -> Self {
        logger::hold();
        write_now(ENTER);
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            tcsetattr(stdin(), OptionalActions::Now, &quiet).ok();
        }
        Self { before }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // What was typed meanwhile was not meant for the shell.
            tcsetattr(stdin(), OptionalActions::Flush, before).ok();
        }
        write_now(LEAVE);
        logger::release();
    }
}

/// A terminal that has gone cannot be given back.
fn write_now(text: &str) {
    let mut terminal = stdout();
    terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).ok();
}

/// What draws these lines over what was there before. Each line is erased before it is written: after a full line
/// the cursor still stands on its last column, which erasing would take away.
pub(super) fn redraw(lines: &[Line], frame: &Frame) -> String {
    let drawn: Vec<String> = lines.iter().map(|line| format!("\x1b[2K{}", line.draw(frame))).collect();
    let full = frame.height.is_some_and(|height| drawn.len() >= height);
    let rest = if full { "" } else { "\r\n\x1b[J" };
    format!("\x1b[H{}{rest}", drawn.join("\r\n"))
}
