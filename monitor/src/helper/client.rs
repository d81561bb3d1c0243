//! By whom the helper is asked.

use super::channel::{self, Received};
use super::counter::Counter;
use super::message::{Answer, Request};
use crate::collector;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

/// What is asked for on the same lane waits for each other; what may hang has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What the kernel is asked for.
    Kernel,
    /// Paths that Docker named.
    Paths,
    /// Connections to Docker.
    Docker,
    /// Files and addresses that settings name.
    Settings,
    /// Records.
    Records,
    /// The agent's socket.
    Socket,
}

/// How many lanes there are.
pub(super) const LANES: usize = 6;
/// How soon it is looked whether the helper has died over a request.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A request over which the helper died so often is not made again.
const MOST_DEATHS: u32 = 3;

/// One end of a lane.
#[derive(Debug)]
struct End {
    socket: OwnedFd,
    /// The latest request's number.
    number: u64,
}

/// Asks the helper.
#[derive(Clone, Debug)]
pub struct Helper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lanes: [Mutex<End>; LANES],
    restarts: Counter,
    /// Its other end is held by those who keep a helper running.
    life: UnixStream,
}

impl Helper {
    pub(super) fn new(lanes: [OwnedFd; LANES], restarts: Counter, life: UnixStream) -> Self {
        let lanes = lanes.map(|socket| Mutex::new(End { socket, number: 0 }));
        Self(Arc::new(Inner { lanes, restarts, life }))
    }

    /// How often it was started anew.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.0.restarts.get()
    }

    /// Is at its end, and so can be read, when nobody keeps a helper running any more.
    ///
    /// # Errors
    /// When there are no descriptors to be had.
    pub fn life(&self) -> io::Result<UnixStream> {
        let life = self.0.life.try_clone()?;
        life.set_nonblocking(true)?;
        Ok(life)
    }

    /// Asks, and waits for the answer. A helper that dies meanwhile is asked again when it is back.
    ///
    /// # Errors
    /// When there is none any more.
    pub fn ask(&self, lane: Lane, request: Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let mut end = self.0.lanes[lane as usize].lock().unwrap_or_else(PoisonError::into_inner);
        end.number += 1;
        let message = (end.number, request);
        let (mut restarts, mut deaths) = (self.restarts(), 0);
        channel::send(&end.socket, &message, &[])?;
        loop {
            let mut polled = [PollFd::new(&end.socket, PollFlags::IN)];
            let now = self.restarts();
            let is_there = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&LOOK_AGAIN)))? > 0;
            match is_there.then(|| channel::receive::<(u64, Answer)>(&end.socket, true)).transpose()? {
                Some(Received::Message((number, answer), beside)) if number == end.number => {
                    return Ok((answer, beside));
                }
                // The answer to what was asked twice.
                Some(Received::Message(..)) => {}
                Some(Received::Garbage) => return Err(io::ErrorKind::InvalidData.into()),
                Some(Received::End) => return Err(io::ErrorKind::BrokenPipe.into()),
                // What the one before had answered came before this.
                None if now != restarts => {
                    restarts = now;
                    deaths += 1;
                    if deaths == MOST_DEATHS {
                        return Err(io::Error::other("the helper dies over it"));
                    }
                    channel::send(&end.socket, &message, &[])?;
                }
                None => {}
            }
        }
    }

    /// The same, where no answer but one that it is not done has to be told apart.
    ///
    /// # Errors
    /// When it is not done.
    pub fn done(&self, lane: Lane, request: Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
        match self.ask(lane, request)? {
            (Answer::Refused { code: Some(code), .. }, _) => Err(io::Error::from_raw_os_error(code)),
            (Answer::Refused { code: None, reason, .. }, _) => Err(io::Error::other(reason)),
            done => Ok(done),
        }
    }

    /// The same, where one descriptor is to come with it.
    ///
    /// # Errors
    /// When it is not done.
    pub fn descriptor(&self, lane: Lane, request: Request) -> io::Result<(Answer, OwnedFd)> {
        let (answer, beside) = self.done(lane, request)?;
        let descriptor = beside.into_iter().next();
        Ok((answer, descriptor.ok_or(io::ErrorKind::UnexpectedEof)?))
    }

    /// By which the collector has done what needs a right.
    #[must_use]
    pub fn call(&self) -> collector::Call {
        let helper = self.clone();
        Arc::new(move |request| {
            let lane = match request {
                collector::Request::Namespace { .. }
                | collector::Request::Group { .. }
                | collector::Request::AttachGroup { .. }
                | collector::Request::AttachInside { .. }
                | collector::Request::Resolver { .. } => Lane::Paths,
                _ => Lane::Kernel,
            };
            match helper.ask(lane, Request::Kernel(request)) {
                Ok((Answer::Kernel(answer), beside)) => (answer, beside),
                Ok(_) => (collector::Answer::refused(&io::ErrorKind::InvalidData.into()), Vec::new()),
                Err(error) => (collector::Answer::refused(&error), Vec::new()),
            }
        })
    }
}
