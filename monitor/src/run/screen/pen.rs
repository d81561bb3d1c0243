//! Draws pictures and has them written by a thread of its own: a terminal that takes nothing stops neither keys nor
//! signals, and a picture that is late is left out for the next one.

use super::held;
use crate::tui::App;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// A terminal that knows shows what is between these two at once.
const TOGETHER: (&str, &str) = ("\x1b[?2026h", "\x1b[?2026l");
/// Wipes the screen.
const WIPE: &str = "\x1b[0m\x1b[2J";

/// The terminal has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Draws pictures, each as what has changed since the one before.
pub(crate) struct Pen {
    terminal: Terminal<CrosstermBackend<Sheet>>,
    sheet: Sheet,
    pictures: mpsc::Sender<Vec<u8>>,
}

impl Pen {
    /// Draws on a screen that was just taken.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn new(area: Rect) -> io::Result<Self> {
        // What is drawn is decided by the view's own look.
        crossterm::style::force_color_output(true);
        let (pictures, waiting) = mpsc::channel(1);
        std::thread::Builder::new().name("vw-screen".to_owned()).spawn(|| write_all(waiting))?;
        let sheet = Sheet::default();
        Ok(Self { terminal: blank(area, &sheet)?, sheet, pictures })
    }

    /// Begins anew with an empty screen of this size.
    ///
    /// # Errors
    /// Never: nothing is written yet.
    pub(crate) fn begin(&mut self, area: Rect) -> io::Result<()> {
        self.sheet.take();
        self.terminal = blank(area, &self.sheet)?;
        Ok(())
    }

    /// Waits until a picture can be written.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(crate) async fn ready(&self) -> Result<(), Gone> {
        self.pictures.reserve().await.map(drop).map_err(|_| Gone)
    }

    /// Draws a picture; after [`Pen::ready`] there is room for it.
    ///
    /// # Errors
    /// The view cannot be drawn.
    pub(crate) fn draw(&mut self, app: &mut App) -> io::Result<()> {
        self.terminal.draw(|frame| app.draw(frame))?;
        let drawn = self.sheet.take();
        let picture = [TOGETHER.0.as_bytes(), &drawn, TOGETHER.1.as_bytes()].concat();
        // Nobody else fills the queue; that the terminal has gone is told by the next `ready`.
        drop(self.pictures.try_send(picture));
        Ok(())
    }
}

/// An empty screen. Its size is asked for by us alone, so that what is drawn and what was told to the view agree.
fn blank(area: Rect, sheet: &Sheet) -> io::Result<Terminal<CrosstermBackend<Sheet>>> {
    let mut paper = sheet.clone();
    paper.write_all(WIPE.as_bytes())?;
    let viewport = Viewport::Fixed(area);
    Terminal::with_options(CrosstermBackend::new(paper), TerminalOptions { viewport })
}

fn write_all(mut pictures: mpsc::Receiver<Vec<u8>>) {
    while let Some(picture) = pictures.blocking_recv() {
        if held::write(&picture).is_err() {
            return;
        }
    }
}

/// What was drawn and not handed over yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Sheet {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
