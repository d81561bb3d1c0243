//! What standard output is: a terminal of some size, or not.

use super::screen::has_keyboard;
use crate::view::Frame;
use crate::wire::Clock;
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal as _, stdout};

/// Columns where neither a terminal nor `COLUMNS` tells how many.
const USUAL_WIDTH: usize = 120;
/// Less than this is taken for nonsense.
const NARROWEST: usize = 40;

/// Whether a screen can be drawn again and again, and somebody can press a key.
pub(super) fn is_live() -> bool {
    is_screen() && has_keyboard()
}

/// Whether it shows colours and knows where its lines end.
fn is_screen() -> bool {
    stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// What to draw on now; a terminal may change its size at any time. `fit`: the height counts too.
pub(super) fn frame(clock: Clock, fit: bool) -> Frame {
    let size = if stdout().is_terminal() { tcgetwinsize(stdout()).ok() } else { None };
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let columns = size.map(|size| usize::from(size.ws_col)).or_else(columns);
    Frame {
        width: columns.unwrap_or(USUAL_WIDTH).max(NARROWEST),
        height: size.filter(|_| fit).map(|size| usize::from(size.ws_row)),
        colour: is_screen() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        clock,
    }
}

fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}
