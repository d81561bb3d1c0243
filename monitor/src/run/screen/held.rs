//! What is ours of the terminal, and how it is given back from wherever the end comes.
//!
//! One process has one terminal, and a panic may come from any thread: what must be known to give it back is here.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcsetattr};
use std::fs::File;
use std::io::{self, stdout};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::thread::sleep;
use std::time::Duration;

/// The other screen, without a cursor and without wrapping.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// All of it back, and the mouse too.
const LEAVE: &str = "\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Presses and the wheel of the mouse, but not each of its moves.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";

/// How long a terminal that takes nothing may delay giving it back.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How often it is looked whether somebody still writes, and how long between.
const LOOKS: (u32, Duration) = (100, Duration::from_millis(10));

/// The keyboard and how it was, while it is ours.
static KEYBOARD: Mutex<Option<(File, Termios)>> = Mutex::new(None);
/// Whether pictures may be written; locked by whoever writes.
static OPEN: Mutex<bool> = Mutex::new(false);
static HOOK: Once = Once::new();

/// Takes the terminal: keys come one by one and unseen, and the other screen is shown. `before` is how its keyboard
/// was.
///
/// # Errors
/// The terminal has gone.
pub(super) fn take(keyboard: &File, before: &Termios, mouse: bool) -> io::Result<()> {
    HOOK.call_once(give_back_on_panic);
    let mut open = lock(&OPEN);
    *lock(&KEYBOARD) = Some((keyboard.try_clone()?, before.clone()));
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(keyboard, OptionalActions::Now, &raw)?;
    write_all(ENTER.as_bytes())?;
    if mouse {
        write_all(MOUSE.as_bytes())?;
    }
    *open = true;
    Ok(())
}

/// Gives the terminal back as it was, if it is ours. A terminal that has gone cannot be given back.
pub(super) fn give_back() {
    let Some((keyboard, before)) = lock(&KEYBOARD).take() else { return };
    if let Some(mut open) = lock_soon(&OPEN) {
        *open = false;
        if takes_more() {
            write_all(LEAVE.as_bytes()).ok();
        }
    }
    // What was typed meanwhile was not meant for the shell.
    tcflush(&keyboard, QueueSelector::IFlush).ok();
    tcsetattr(&keyboard, OptionalActions::Now, &before).ok();
}

/// Writes a picture; one that comes when the terminal is not ours is thrown away.
///
/// # Errors
/// The terminal has gone.
pub(super) fn write(picture: &[u8]) -> io::Result<()> {
    let open = lock(&OPEN);
    if *open { write_all(picture) } else { Ok(()) }
}

/// Whether the terminal is ours.
pub(super) fn is_ours() -> bool {
    lock(&KEYBOARD).is_some()
}

/// Whatever thread panics: its message must find the usual screen.
fn give_back_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        usual(panic);
    }));
}

/// Whether the terminal has room.
fn takes_more() -> bool {
    let terminal = stdout();
    let mut waiting = [PollFd::new(&terminal, PollFlags::OUT)];
    poll(&mut waiting, Some(&PATIENCE)).is_ok_and(|ready| ready > 0)
}

/// Writes past the buffer of the standard library, which would cut a picture at each line.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let terminal = stdout();
    while !bytes.is_empty() {
        match rustix::io::write(terminal.as_fd(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            // Somebody who shares the terminal with us does not want to wait for it.
            Err(rustix::io::Errno::AGAIN) => {
                poll(&mut [PollFd::new(&terminal, PollFlags::OUT)], None).ok();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, unless whoever has it waits for a terminal that takes nothing.
fn lock_soon<T>(what: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..LOOKS.0 {
        match what.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => sleep(LOOKS.1),
        }
    }
    None
}
