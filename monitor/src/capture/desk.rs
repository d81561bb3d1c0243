//! Which packets are taken. They wait, in the order in which they came, until their interface and their flow are known,
//! but neither long nor many; then what is known has to do.

use super::bpf::Program;
use super::comment::comment;
use super::known::KnownFlows;
use super::places::{Choice, Place, Places};
use super::row::Row;
use crate::filter::Filter;
use crate::model::{CapturedPacket, InterfaceNumber, KernelTime, Sample};
use crate::snapshot::{FlowRecord, Snapshot};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a packet waits: Docker tells who is who within five seconds, and a flow's record comes a tick later.
const PATIENCE: Duration = Duration::from_secs(7);
/// How many may wait, and their bytes.
const MOST_WAITING: usize = 16_384;
const MOST_BYTES_WAITING: usize = 32 << 20;

/// A packet that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The packet.
    pub captured: CapturedPacket,
    /// Where it crossed.
    pub place: Arc<Place>,
    /// What is said of it.
    pub comment: String,
}

/// What became of the packets of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken.
    pub taken: u64,
    /// Refused by the filter, or the program.
    pub refused: u64,
    /// The filter asks for a verdict, and there was none in time.
    pub undecided: u64,
    /// Came after as many as were asked for.
    pub after: u64,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    filter: Filter,
    program: Option<Program>,
    /// How many packets are still wanted; absent where all are.
    wanted: Option<u64>,
    places: Places,
    known: KnownFlows,
    snapshot: Option<Arc<Snapshot>>,
    waiting: VecDeque<CapturedPacket>,
    waiting_bytes: usize,
    tallies: BTreeMap<InterfaceNumber, Tally>,
}

impl Desk {
    /// A desk that takes what filter and program take, at most so many packets.
    #[must_use]
    pub fn new(filter: Filter, program: Option<Program>, wanted: Option<u64>) -> Self {
        Self {
            filter,
            program,
            wanted,
            places: Places::default(),
            known: KnownFlows::default(),
            snapshot: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            tallies: BTreeMap::new(),
        }
    }

    /// Takes in who is where; at which interfaces is to be captured now, otherwise than before.
    pub fn learn(&mut self, snapshot: Arc<Snapshot>) -> Vec<Choice> {
        if self.filter.asks_for_verdicts() {
            self.known.look_again(&snapshot.findings);
        }
        let choices = self.places.learn(&snapshot, &self.filter);
        self.snapshot = Some(snapshot);
        choices
    }

    /// Takes in a tick of a flow.
    pub fn learn_flow(&mut self, record: Arc<FlowRecord>) -> Option<Choice> {
        let choice = self.places.see(&record, &self.filter);
        let findings = self.snapshot.as_ref().map(|snapshot| snapshot.findings.as_slice());
        let asks = self.filter.asks_for_verdicts();
        self.known.learn(record, findings.filter(|_| asks).unwrap_or_default());
        choice
    }

    /// Takes in packets. For what the program refuses nothing more has to be known.
    pub fn take_in(&mut self, packets: Vec<CapturedPacket>) {
        for packet in packets {
            let Sample { interface, bytes, length, .. } = &packet.packet;
            if self.program.as_ref().is_none_or(|program| program.takes(bytes, *length)) {
                self.waiting_bytes += size(&packet);
                self.waiting.push_back(packet);
            } else {
                self.tallies.entry(*interface).or_default().refused += 1;
            }
        }
    }

    /// The next packet that is taken, if that can be told now. `last`: no more will be known.
    pub fn next(&mut self, now: KernelTime, last: bool) -> Option<Taken> {
        loop {
            let packet = self.waiting.front()?;
            let is_over = last
                || now.since(packet.packet.at) >= PATIENCE
                || self.waiting.len() > MOST_WAITING
                || self.waiting_bytes > MOST_BYTES_WAITING;
            if !is_over && !self.is_done() && self.is_waiting_for(packet) {
                return None;
            }
            let packet = self.waiting.pop_front()?;
            self.waiting_bytes -= size(&packet);
            if let Some(taken) = self.decide(packet) {
                return Some(taken);
            }
        }
    }

    /// Whether as many were taken as are wanted.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.wanted == Some(0)
    }

    /// What became of the packets of an interface so far.
    #[must_use]
    pub fn tally(&self, number: InterfaceNumber) -> Tally {
        self.tallies.get(&number).copied().unwrap_or_default()
    }

    /// What became of all packets so far.
    #[must_use]
    pub fn sum(&self) -> Tally {
        self.tallies.values().fold(Tally::default(), |sum, tally| Tally {
            taken: sum.taken + tally.taken,
            refused: sum.refused + tally.refused,
            undecided: sum.undecided + tally.undecided,
            after: sum.after + tally.after,
        })
    }

    /// What is known of an interface where packets may be taken; nothing where none are, or while that is not known.
    #[must_use]
    pub fn place(&self, ifindex: u32) -> Option<&Arc<Place>> {
        let place = self.places.get(ifindex).filter(|place| !place.is_new);
        place.filter(|_| self.places.is_chosen(ifindex))
    }

    /// Whether more may soon be known of a packet.
    fn is_waiting_for(&self, packet: &CapturedPacket) -> bool {
        if !self.places.is_chosen(packet.ifindex) {
            return false;
        }
        self.places.get(packet.ifindex).is_none_or(|place| place.is_new)
            || packet.packet.flow_id.is_some_and(|id| self.known.get(id).is_none())
    }

    fn decide(&mut self, captured: CapturedPacket) -> Option<Taken> {
        let CapturedPacket { packet, ifindex, key } = &captured;
        let tally = self.tallies.entry(packet.interface).or_default();
        if self.wanted == Some(0) {
            tally.after += 1;
            return None;
        }
        let place = match self.places.get(*ifindex) {
            Some(place) => Arc::clone(place),
            None => Arc::new(Place::unknown(*ifindex)),
        };
        let flow = packet.flow_id.and_then(|id| self.known.get(id));
        let remote = match (flow, key) {
            (Some(known), _) => known.record.remote.container.as_ref(),
            (None, Some(key)) => self.places.who_has(&place, key.remote),
            (None, None) => None,
        }
        .map(|container| &**container);
        let whole = Row { own: Some(&place), remote, key: key.as_ref(), flow };
        let own = Row::of_place(&place);
        if !self.filter.takes_at(&whole, &whole.apart(), &own) {
            if flow.is_none() && packet.flow_id.is_some() && self.filter.asks_for_verdicts() {
                tally.undecided += 1;
            } else {
                tally.refused += 1;
            }
            return None;
        }
        tally.taken += 1;
        self.wanted = self.wanted.map(|wanted| wanted - 1);
        let comment = comment(&place, packet.direction, key.as_ref(), remote, flow);
        Some(Taken { captured, place, comment })
    }
}

fn size(packet: &CapturedPacket) -> usize {
    size_of::<CapturedPacket>() + packet.packet.bytes.len()
}
