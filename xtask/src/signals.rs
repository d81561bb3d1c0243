//! Ctrl-C and its relatives: a command that has made something must remove it before it ends.

use anyhow::{Context, Result, bail};
use lab::Deadline;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static MEANT_FOR_US_ALONE: AtomicBool = AtomicBool::new(false);

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

extern "C" fn remember(signal: libc::c_int, information: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands over a valid siginfo.
    let code = unsafe { (*information).si_code };
    // A terminal sends its signals to the whole group, the running program included; `kill` to one process.
    MEANT_FOR_US_ALONE.store(code <= 0, Ordering::Relaxed);
    RECEIVED.store(signal, Ordering::Relaxed);
}

/// From now on SIGINT, SIGTERM and SIGHUP are only remembered.
pub(crate) fn watch() -> Result<()> {
    // SAFETY: a sigaction of zeros is valid: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = remember;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to atomics, which is safe at any moment.
        let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        if result != 0 {
            return Err(std::io::Error::last_os_error()).context("watching signals");
        }
    }
    Ok(())
}

/// The signal that asked this program to end, if one has.
pub(crate) fn received() -> Option<i32> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// An error once a signal has asked this program to end.
pub(crate) fn check() -> Result<()> {
    match received() {
        None => Ok(()),
        Some(signal) => bail!("stopped by signal {signal}"),
    }
}

/// Waits for a child, and sees to it that it ends when this program is asked to, or when the time is over.
pub(crate) fn wait(child: &mut Child, within: Option<Duration>) -> Result<ExitStatus> {
    let end = within.map(Deadline::after);
    let mut grace: Option<Deadline> = None;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a program")? {
            return Ok(status);
        }
        match (grace, received()) {
            (Some(grace), _) if grace.passed() => child.kill().context("killing a program")?,
            (Some(_), _) => {}
            (None, Some(signal)) => {
                if MEANT_FOR_US_ALONE.load(Ordering::Relaxed) {
                    send(child, signal);
                }
                grace = Some(Deadline::after(GRACE));
            }
            (None, None) if end.is_some_and(Deadline::passed) => {
                send(child, libc::SIGTERM);
                grace = Some(Deadline::after(GRACE));
            }
            (None, None) => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(child: &Child, signal: i32) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // SAFETY: plain system call; the child has not been waited for, so its number cannot have been reused.
        unsafe { libc::kill(pid, signal) };
    }
}

/// A child's end as this program's own: a signal becomes 128 and its number, as shells say it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
