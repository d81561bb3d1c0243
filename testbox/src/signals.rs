//! Ending when asked: the first process of a container has no default reaction to signals.

use anyhow::Result;

extern "C" fn end(_signal: libc::c_int) {
    // SAFETY: _exit may be called from a signal handler.
    unsafe { libc::_exit(0) }
}

/// Ends the program at once, with success, on SIGTERM and SIGINT.
pub(crate) fn end_on_request() {
    let handler: extern "C" fn(libc::c_int) = end;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler only calls _exit, which is safe at any moment.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Sleeps until a signal ends the program.
pub(crate) fn sleep() -> Result<()> {
    loop {
        std::thread::park();
    }
}
