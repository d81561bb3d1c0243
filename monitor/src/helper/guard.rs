//! Keeps a helper running: forks one, waits for its end, and forks another if it ended otherwise than by itself.
//!
//! ```text
//! main ─forks─▶ guard ─forks─▶ helper
//!   └── requests, answers ───────┘
//! ```
//!
//! The guard holds what each helper needs, and does nothing else. When main is gone the helper finds its requests ended,
//! and ends; and so does the guard.

use super::channel;
use super::client::{Helper, LANES};
use super::counter::Counter;
use super::office::Office;
use super::serve::serve;
use crate::confine;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use rustix::fd::OwnedFd;
use rustix::thread::{CapabilitySet, set_no_new_privs};
use std::ffi::CString;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long to wait before another one is started, where one after another dies: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(5)];
/// What ends others that share a terminal or a control group with main ends neither guard nor helper: main says when.
const NOT_TAKEN: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Starts it. `mine` is what main alone needs; those who are forked let it go.
///
/// The process must have one thread yet: a fork has no other, whatever those were at.
///
/// # Errors
/// When there are no processes or descriptors to be had.
pub fn start<T>(office: Office, keep: CapabilitySet, mine: T) -> io::Result<(Helper, T)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LANES {
        let (our, their) = channel::pair()?;
        ours.push(our);
        theirs.push(their);
    }
    let (life, living) = UnixStream::pair()?;
    let restarts = Counter::new()?;
    // SAFETY: there is one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop((ours, life, mine));
            let _living = living;
            std::process::exit(guard(office, keep, theirs, &restarts));
        }
        ForkResult::Parent { .. } => {
            let ours = <[OwnedFd; LANES]>::try_from(ours).map_err(|_| io::ErrorKind::InvalidData)?;
            Ok((Helper::new(ours, restarts, life), mine))
        }
    }
}

/// Runs as the guard until main is gone; gives back its exit code.
fn guard(office: Office, keep: CapabilitySet, lanes: Vec<OwnedFd>, restarts: &Counter) -> i32 {
    if let Err(error) = become_guard(keep) {
        log::error!("the helper cannot be started: {error}");
        return 1;
    }
    let (mut office, mut lanes) = (Some(office), Some(lanes));
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    loop {
        let own = getpid();
        // SAFETY: this process has one thread too.
        let helper = match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                let (Some(office), Some(lanes)) = (office.take(), lanes.take()) else { return 1 };
                return helper(office, lanes, own, restarts.get() > 0);
            }
            Ok(ForkResult::Parent { child }) => child,
            Err(error) => {
                log::error!("no helper can be started: {error}");
                return 1;
            }
        };
        match end(helper) {
            Some(WaitStatus::Exited(_, 0)) => return 0,
            ended => log::error!("the helper ended ({ended:?}) and is started anew"),
        }
        restarts.add_one();
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

fn end(of: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(of, None) {
            Err(nix::errno::Errno::EINTR) => {}
            ended => return ended.ok(),
        }
    }
}

fn become_guard(keep: CapabilitySet) -> io::Result<()> {
    rustix::thread::set_name(c"vw-guard")?;
    for taken in NOT_TAKEN {
        // SAFETY: to ignore a signal runs no code.
        unsafe { signal(taken, SigHandler::SigIgn) }?;
    }
    // Where it may not, nothing is lost: neither starts a program.
    confine::bound(keep)?;
    confine::keep(keep)?;
    set_no_new_privs(true)?;
    Ok(())
}

/// Runs as a helper until main is gone; gives back its exit code.
fn helper(mut office: Office, lanes: Vec<OwnedFd>, guard: Pid, succeeds: bool) -> i32 {
    let start = || -> io::Result<()> {
        rustix::thread::set_name(&CString::new(confine::HELPER)?)?;
        // Nobody would start another one.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        if getppid() != guard {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if succeeds { office.succeed() } else { Ok(()) }
    };
    let mut start = start;
    if let Err(error) = start() {
        log::error!("the helper cannot start: {error}");
        return 1;
    }
    match serve(office, lanes) {
        Ok(()) => 0,
        Err(error) => {
            log::error!("the helper cannot go on: {error}");
            1
        }
    }
}
