//! A screen of its own on the terminal, given back however this ends: by a quiet end, a signal, a panic in whatever
//! thread, or while the shell has the terminal.

mod held;
mod pen;
mod stop;

pub(super) use pen::{Gone, Pen};

use super::logger;
use ratatui::layout::Rect;
use rustix::termios::{Termios, tcgetattr, tcgetwinsize};
use std::fs::File;
use std::io::{self, IsTerminal as _, stdin, stdout};
use std::os::fd::AsFd as _;

/// A terminal that does not say how large it is.
const USUAL_SIZE: Rect = Rect::new(0, 0, 80, 24);

/// The terminal while a screen is drawn on it. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Screen {
    keyboard: File,
    before: Termios,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal, and its mouse if that is wanted. Warnings are kept until it is given back. If any thread
    /// panics it is given back at once, before the message.
    ///
    /// # Errors
    /// There is no terminal, or it has gone.
    pub fn take(mouse: bool) -> io::Result<Self> {
        let keyboard = keyboard()?;
        let before = tcgetattr(&keyboard)?;
        let screen = Self { keyboard, before, mouse };
        screen.take_again()?;
        Ok(screen)
    }

    /// Where keys come from.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn keyboard(&self) -> io::Result<File> {
        self.keyboard.try_clone()
    }

    /// Takes the terminal after somebody else had it.
    ///
    /// # Errors
    /// It has gone.
    pub(super) fn take_again(&self) -> io::Result<()> {
        logger::hold();
        held::take(&self.keyboard, &self.before, self.mouse)
    }

    /// Gives the terminal back and stops until somebody continues this process; then takes the terminal again. Where
    /// nobody could continue it, nothing stops.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(super) fn suspend(&self, whom: Whom) -> io::Result<()> {
        held::give_back();
        logger::release();
        stop::stop(whom)?;
        self.take_again()
    }

    /// Whether it was given back already, because some thread panicked.
    pub(super) fn is_lost(&self) -> bool {
        !held::is_ours()
    }

    /// How large the terminal is now.
    pub(super) fn size() -> Rect {
        tcgetwinsize(stdout())
            .ok()
            .filter(|size| size.ws_col > 0 && size.ws_row > 0)
            .map_or(USUAL_SIZE, |size| Rect::new(0, 0, size.ws_col, size.ws_row))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        held::give_back();
        logger::release();
    }
}

pub(super) use stop::Whom;

/// Whether there is anybody to press a key.
pub(super) fn has_keyboard() -> bool {
    keyboard().is_ok()
}

/// What is typed comes from standard input, or where that is something else, from the terminal that controls us.
fn keyboard() -> io::Result<File> {
    let input = stdin();
    if input.is_terminal() {
        return Ok(input.as_fd().try_clone_to_owned()?.into());
    }
    File::open("/dev/tty")
}
