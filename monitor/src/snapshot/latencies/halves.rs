//! Which handshakes at two interfaces are one connection's: what it took between them.

use crate::model::KernelTime;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

/// Handshakes that wait for the other end's, at most twice as many: as many as a map of 4,096 buckets takes, 270 kB in all.
const MOST: usize = 3_584;
/// Both ends of a connection are read within a tick or two; what is further apart has the same ports by chance.
const APART: Duration = Duration::from_secs(5);

/// Client and server, as the packets bear them.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// A handshake at one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub(super) at_client: bool,
    pub(super) took: Duration,
    pub(super) at: KernelTime,
}

/// What waits, in fewer bytes.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    took_nanos: u64,
    at: KernelTime,
    at_client: bool,
}

/// Those whose other end was not seen yet. The older half of them makes room. They are found by a hash of the ends alone,
/// with keys that nobody outside can know: that two meet by chance is one in 10^15.
#[derive(Debug, Default)]
pub(super) struct Halves {
    hashes: RandomState,
    young: HashMap<u64, Waiting>,
    old: HashMap<u64, Waiting>,
}

impl Halves {
    /// Takes in one. With the other end's, what the way between the two took: the client waited so much longer than the
    /// server needed.
    pub(super) fn meet(&mut self, ends: Ends, half: Half) -> Option<Duration> {
        let ends = self.hashes.hash_one(ends);
        let other = self.young.remove(&ends).or_else(|| self.old.remove(&ends));
        let took_nanos = u64::try_from(half.took.as_nanos()).unwrap_or(u64::MAX);
        let half = Waiting { took_nanos, at: half.at, at_client: half.at_client };
        let fits = |other: &Waiting| {
            let apart = half.at.since(other.at).max(other.at.since(half.at));
            other.at_client != half.at_client && apart <= APART
        };
        if let Some(other) = other.filter(fits) {
            let (client, server) = if half.at_client { (half, other) } else { (other, half) };
            // SYN and SYN-ACK that were sent again may be others at the other end.
            return client.took_nanos.checked_sub(server.took_nanos).map(Duration::from_nanos);
        }
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ends, half);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Half, Halves, MOST};
    use crate::model::KernelTime;
    use std::net::SocketAddr;
    use std::time::Duration;

    fn half(at_client: bool, micros: u64, at_second: u64) -> Half {
        let at = KernelTime(at_second * 1_000_000_000);
        Half { at_client, took: Duration::from_micros(micros), at }
    }

    fn ends(port: u16) -> (SocketAddr, SocketAddr) {
        (SocketAddr::from(([172, 18, 0, 2], port)), SocketAddr::from(([172, 18, 0, 3], 80)))
    }

    #[test]
    fn two_ends_of_one_connection_tell_the_way_between_them() {
        let mut halves = Halves::default();
        let between = Some(Duration::from_micros(400));
        assert_eq!(halves.meet(ends(1), half(true, 500, 10)), None);
        assert_eq!(halves.meet(ends(2), half(false, 100, 10)), None, "another connection");
        assert_eq!(halves.meet(ends(1), half(false, 100, 11)), between);
        assert_eq!(halves.meet(ends(2), half(true, 500, 9)), between, "whichever is told first");
        assert_eq!(halves.meet(ends(1), half(false, 100, 11)), None, "each is told once");
    }

    #[test]
    fn what_cannot_be_one_connection_tells_nothing() {
        let mut halves = Halves::default();
        halves.meet(ends(1), half(true, 500, 10));
        assert_eq!(halves.meet(ends(1), half(true, 700, 11)), None, "the same end again");
        assert_eq!(halves.meet(ends(1), half(false, 100, 60)), None, "the same ports, a minute later");
        halves.meet(ends(2), half(true, 100, 10));
        assert_eq!(halves.meet(ends(2), half(false, 500, 10)), None, "the server waited longer");
    }

    #[test]
    fn ends_that_never_come_take_bounded_memory() {
        let mut halves = Halves::default();
        for port in 0..=u16::MAX {
            halves.meet(ends(port), half(true, 500, 10));
        }
        assert!(halves.young.len() + halves.old.len() <= 2 * MOST);
    }
}
