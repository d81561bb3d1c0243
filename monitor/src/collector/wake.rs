//! How a thread of the collector waits: for a descriptor, for a word from another thread, or for a time.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{io, sync::Arc, time::Duration};

/// Something one thread rings and others wait for. Once rung it stays rung.
#[derive(Clone, Debug)]
pub(super) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Makes one.
    ///
    /// # Errors
    /// When no more descriptors can be had.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Rings it.
    pub(super) fn ring(&self) {
        // It can only fail when it has been rung 2^64 − 2 times, and is then rung already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Waits for it, at most `longest`. Whether it was rung.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        wait([self.as_fd()], Some(longest)) == [true]
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of the descriptors is readable, at most `longest`, and says which are.
pub(super) fn wait<const N: usize>(descriptors: [BorrowedFd<'_>; N], longest: Option<Duration>) -> [bool; N] {
    let mut polled = descriptors.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
    let longest = longest.map(|longest| Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(longest.subsec_nanos()),
    });
    // An interrupted wait ends early with nothing readable; every caller waits in a loop.
    match poll(&mut polled, longest.as_ref()) {
        Ok(_) => polled.each_ref().map(|descriptor| !descriptor.revents().is_empty()),
        Err(_) => [false; N],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_stays_rung() {
        let bell = Bell::new().unwrap();
        assert!(!bell.wait(Duration::ZERO));
        bell.clone().ring();
        assert!(bell.wait(Duration::ZERO) && bell.wait(Duration::from_secs(60)));
    }
}
