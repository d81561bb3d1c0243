//! Questions that wait for their answers.

use super::message::{Answered, Asked, Message, decode};
use super::streams::{Segment, Streams};
use crate::model::{Direction, DnsAnswer, DnsExchange, DnsPlace, DnsTransport, KernelTime};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions that wait at one place, and in all.
const MOST_OF_PLACE: usize = 4_096;
const MOST: usize = 65_536;
/// Questions of one place that are taken in a second.
const MOST_IN_A_SECOND: u32 = 4_096;

/// A packet with a message, or a part of a stream of them.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Where it was seen.
    pub place: DnsPlace,
    /// When.
    pub at: KernelTime,
    /// Sent by the container, or received.
    pub direction: Direction,
    /// The container's end.
    pub container: SocketAddr,
    /// The other end.
    pub other: SocketAddr,
    /// Behind the headers.
    pub payload: &'a [u8],
    /// Whether the packet goes on behind it.
    pub is_cut: bool,
    /// Absent for UDP.
    pub segment: Option<Segment>,
    /// Whether Docker's engine sent it, and not the container itself.
    pub forwarded: bool,
}

/// What could not be told, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Messages that are none, or not for one name.
    pub malformed: u64,
    /// Messages that were longer than what is kept of them.
    pub cut: u64,
    /// Questions that found no room, or came faster than they are taken.
    pub not_kept: u64,
    /// Answers to no question that is known.
    pub unasked: u64,
    /// Streams of TCP that were given up: they began unseen, have a gap, or found no room.
    pub streams: u64,
}

/// What an answer must have in common with its question, but for the name.
///
/// Docker's resolver is asked at one port and answers from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    place: DnsPlace,
    transport: DnsTransport,
    client: SocketAddr,
    resolver: IpAddr,
    id: u16,
}

#[derive(Debug)]
struct Waiting {
    asked_at: KernelTime,
    times: u32,
    forwarded: bool,
    resolver: SocketAddr,
    asked: Asked,
}

/// What there is of one place.
#[derive(Debug, Default)]
struct Place {
    waiting: usize,
    second: KernelTime,
    taken: u32,
}

/// All questions that wait.
#[derive(Debug, Default)]
pub struct Listener {
    waiting: HashMap<Key, Waiting>,
    places: BTreeMap<DnsPlace, Place>,
    streams: Streams,
    lost: Lost,
}

impl Listener {
    /// Takes in a packet; what is known with it of a question is put into `told`.
    pub fn hear(&mut self, heard: &Heard<'_>, told: &mut Vec<DnsExchange>) {
        match heard.segment {
            None => self.message(heard, DnsTransport::Udp, heard.payload, heard.is_cut, told),
            Some(segment) => {
                for message in self.streams.take_in(heard, segment, &mut self.lost) {
                    self.message(heard, DnsTransport::Tcp, &message, false, told);
                }
            }
        }
    }

    /// Tells the questions that waited for too long, and forgets streams that rest.
    pub fn expire(&mut self, now: KernelTime, told: &mut Vec<DnsExchange>) {
        self.end(|waiting| now.since(waiting.asked_at) >= PATIENCE, told);
        self.streams.expire(now);
        self.places.retain(|_, place| place.waiting > 0 || now.since(place.second) < PATIENCE);
    }

    /// Tells all that wait: nothing more will come.
    pub fn finish(&mut self, told: &mut Vec<DnsExchange>) {
        self.end(|_| true, told);
    }

    /// What could not be told so far.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.lost
    }

    fn end(&mut self, is_over: impl Fn(&Waiting) -> bool, told: &mut Vec<DnsExchange>) {
        let begin = told.len();
        for (key, waiting) in self.waiting.extract_if(|_, waiting| is_over(waiting)) {
            told.push(exchange(&key, &waiting, None));
            if let Some(place) = self.places.get_mut(&key.place) {
                place.waiting = place.waiting.saturating_sub(1);
            }
        }
        // The order of a hash map is not the same twice.
        told[begin..].sort_by_key(|exchange| (exchange.asked_at, exchange.client, exchange.id));
    }

    fn message(
        &mut self,
        heard: &Heard<'_>,
        transport: DnsTransport,
        bytes: &[u8],
        is_cut: bool,
        told: &mut Vec<DnsExchange>,
    ) {
        self.lost.cut += u64::from(is_cut);
        let Some(Message { id, asked, answered }) = decode(bytes, is_cut) else {
            self.lost.malformed += 1;
            return;
        };
        let Heard { place, container, other, .. } = *heard;
        let key = Key { place, transport, client: container, resolver: other.ip(), id };
        match (heard.direction, answered) {
            (Direction::Sent, None) => self.question(key, heard, asked, told),
            (Direction::Received, Some(answered)) => self.answer(&key, heard, &asked, answered, told),
            // The other way round, it is neither.
            (Direction::Sent, Some(_)) | (Direction::Received, None) => self.lost.malformed += 1,
        }
    }

    fn question(&mut self, key: Key, heard: &Heard<'_>, asked: Asked, told: &mut Vec<DnsExchange>) {
        let is_full = self.waiting.len() >= MOST;
        let place = self.places.entry(key.place).or_default();
        if heard.at.since(place.second) >= Duration::from_secs(1) {
            (place.second, place.taken) = (heard.at, 0);
        }
        place.taken = place.taken.saturating_add(1);
        let is_kept = place.taken <= MOST_IN_A_SECOND;
        if let Some(before) = self.waiting.get_mut(&key).filter(|_| is_kept) {
            if before.asked == asked {
                before.times = before.times.saturating_add(1);
                return;
            }
            // Another question has its id: nothing is waited for any more.
            told.push(exchange(&key, before, None));
        } else if !is_kept || is_full || place.waiting >= MOST_OF_PLACE {
            self.lost.not_kept += 1;
            return;
        } else {
            place.waiting += 1;
        }
        let waiting = Waiting {
            asked_at: heard.at,
            times: 1,
            forwarded: heard.forwarded,
            resolver: heard.other,
            asked,
        };
        self.waiting.insert(key, waiting);
    }

    fn answer(
        &mut self,
        key: &Key,
        heard: &Heard<'_>,
        asked: &Asked,
        answered: Answered,
        told: &mut Vec<DnsExchange>,
    ) {
        if self.waiting.get(key).is_none_or(|waiting| waiting.asked != *asked) {
            self.lost.unasked += 1;
            return;
        }
        let Some(mut waiting) = self.waiting.remove(key) else { return };
        if let Some(place) = self.places.get_mut(&key.place) {
            place.waiting = place.waiting.saturating_sub(1);
        }
        let Answered { code, truncated, records, left_out } = answered;
        waiting.resolver = heard.other;
        told.push(exchange(
            key,
            &waiting,
            Some(DnsAnswer { at: heard.at, code, truncated, records, left_out }),
        ));
    }
}

fn exchange(key: &Key, waiting: &Waiting, answer: Option<DnsAnswer>) -> DnsExchange {
    DnsExchange {
        place: key.place,
        asked_at: waiting.asked_at,
        asked: waiting.times,
        client: key.client,
        resolver: waiting.resolver,
        transport: key.transport,
        forwarded: waiting.forwarded,
        id: key.id,
        name: waiting.asked.name(),
        record_type: waiting.asked.record_type(),
        answer,
    }
}
