//! Stopping, as Ctrl-Z asks.

use std::io;

/// Who stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Everybody who was started with us, as Ctrl-Z would have it: a pipe, or who started us for somebody.
    Group,
    /// This process alone: the others have the signal already.
    Myself,
}

/// Stops until SIGCONT comes. A group that nobody could continue is not stopped by this signal: then it comes back at
/// once.
///
/// # Errors
/// The system refuses.
pub(super) fn stop(whom: Whom) -> io::Result<()> {
    // SAFETY: all zero is a valid value of this plain structure; it is the default action without flags.
    let mut usual: libc::sigaction = unsafe { std::mem::zeroed() };
    usual.sa_sigaction = libc::SIG_DFL;
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for the time of the call; the handler that was there is put back below.
    check(unsafe { libc::sigaction(libc::SIGTSTP, &raw const usual, &raw mut ours) })?;
    let stopped = match whom {
        // SAFETY: plain system calls. The signal is taken before they return, because this thread does not block it.
        Whom::Group => check(unsafe { libc::kill(0, libc::SIGTSTP) }),
        // SAFETY: as above.
        Whom::Myself => check(unsafe { libc::raise(libc::SIGTSTP) }),
    };
    // SAFETY: what the first call has filled in.
    check(unsafe { libc::sigaction(libc::SIGTSTP, &raw const ours, std::ptr::null_mut()) })?;
    stopped
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
