//! Messages in TCP: each has its length before it, and may lie in several segments, or several in one.
//!
//! A stream is followed from its SYN on, in order. What came twice is left out; behind a gap nothing more can be read, so
//! such a stream is given up, and that is counted.

use super::listener::{Heard, Lost};
use crate::model::{Direction, DnsPlace, KernelTime};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Streams that are followed at one place, and in all.
const MOST_OF_PLACE: usize = 64;
const MOST: usize = 1_024;
/// Bytes of one message.
const LONGEST: usize = 16 << 10;
/// How long one may rest.
const IDLE: Duration = Duration::from_secs(30);

/// Where a segment is in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its sequence number.
    pub sequence: u32,
    /// Whether it opens the stream.
    pub syn: bool,
}

type Key = (DnsPlace, SocketAddr, SocketAddr, bool);

/// One direction of a connection.
#[derive(Debug)]
struct Stream {
    next: u32,
    waiting: Vec<u8>,
    /// Whether it was given up.
    is_lost: bool,
    last: KernelTime,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<Key, Stream>);

impl Streams {
    /// Takes in a segment; gives back the messages that are whole with it.
    pub(super) fn take_in(&mut self, heard: &Heard<'_>, segment: Segment, lost: &mut Lost) -> Vec<Vec<u8>> {
        let key = (heard.place, heard.container, heard.other, heard.direction == Direction::Sent);
        if segment.syn {
            if self.make_room(&key, lost) {
                let next = segment.sequence.wrapping_add(1);
                self.0.insert(key, Stream { next, waiting: Vec::new(), is_lost: false, last: heard.at });
            } else {
                lost.streams += 1;
            }
            return Vec::new();
        }
        let Some(stream) = self.0.get_mut(&key) else {
            // It began before the watch, or found no room.
            lost.streams += 1;
            return Vec::new();
        };
        stream.last = heard.at;
        if stream.is_lost {
            return Vec::new();
        }
        if !stream.append(segment.sequence, heard) {
            stream.is_lost = true;
            stream.waiting = Vec::new();
            lost.streams += 1;
            return Vec::new();
        }
        stream.whole()
    }

    /// Whether there is room, if need be that of the place's stream that rested longest: as a rule it has ended. What lay in it
    /// half is lost.
    fn make_room(&mut self, key: &Key, lost: &mut Lost) -> bool {
        if self.0.contains_key(key) {
            return true;
        }
        let of_place = || self.0.iter().filter(|(other, _)| other.0 == key.0);
        if of_place().count() < MOST_OF_PLACE {
            return self.0.len() < MOST;
        }
        let oldest = of_place().min_by_key(|(_, stream)| stream.last).map(|(oldest, _)| *oldest);
        let removed = oldest.and_then(|oldest| self.0.remove(&oldest));
        lost.streams += u64::from(removed.is_some_and(|stream| !stream.waiting.is_empty()));
        true
    }

    /// Forgets those that rest.
    pub(super) fn expire(&mut self, now: KernelTime) {
        self.0.retain(|_, stream| now.since(stream.last) < IDLE);
    }
}

impl Stream {
    /// Appends what is new of a segment. `false`: something before it is missing, or the message is too long.
    fn append(&mut self, sequence: u32, heard: &Heard<'_>) -> bool {
        let ahead = sequence.wrapping_sub(self.next).cast_signed();
        let Ok(before) = usize::try_from(-i64::from(ahead)) else { return false };
        // All of it came before.
        let Some(new) = heard.payload.get(before..) else { return true };
        self.next = self.next.wrapping_add(u32::try_from(new.len()).unwrap_or_default());
        self.waiting.extend_from_slice(new);
        !heard.is_cut && self.wanted().is_none_or(|wanted| wanted <= LONGEST)
    }

    /// Bytes of the next message, its length included, once that is known.
    fn wanted(&self) -> Option<usize> {
        self.waiting.first_chunk().map(|length| 2 + usize::from(u16::from_be_bytes(*length)))
    }

    fn whole(&mut self) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(wanted) = self.wanted().filter(|wanted| *wanted <= self.waiting.len()) {
            let rest = self.waiting.split_off(wanted);
            let message = std::mem::replace(&mut self.waiting, rest);
            whole.push(message.get(2..).unwrap_or_default().to_vec());
        }
        whole
    }
}
