//! The conversations that are alive, over the ticks the kernel hands over.
//!
//! The table is keyed by flow id. A generation's parts may be handed over twice: a whole generation that was
//! finished is dropped by its epoch, a repeated flow of an unfinished one by (epoch, flow id).

mod latency;
mod lists;
mod spread;
mod steps;
mod tcp;

pub use latency::{Latency, Percentiles};
pub use spread::Spread;
pub use steps::Steps;
pub use tcp::{Tcp, TcpState};

use crate::model::{
    Direction, FlowBatch, FlowDelta, FlowId, FlowKey, Initiator, InterfaceNumber, KernelTime, Origin, Traffic,
};
use hashbrown::HashTable;
use lists::{Lists, Patience};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tcp::Connection;

/// How long and how many flows are kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most flows that are kept; the one that was quiet longest makes room for a new one.
    pub max_flows_kept: usize,
    /// A flow without an end of its own is over after this long without a packet.
    pub idle: Duration,
    /// An open TCP connection is over after this long without a packet.
    pub idle_established: Duration,
    /// A closed connection waits this long for stragglers.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_flows_kept: 65_536,
            idle: Duration::from_secs(60),
            idle_established: Duration::from_secs(900),
            linger: Duration::from_secs(2),
        }
    }
}

/// A conversation at one interface.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its key.
    pub key: FlowKey,
    /// Its number.
    pub flow_id: FlowId,
    /// Its first packet.
    pub first_seen: KernelTime,
    /// Its last packet.
    pub last_seen: KernelTime,
    /// Everything that was counted of it.
    pub traffic: Traffic,
    /// Where the latest received packets came from, and when that was.
    pub origin: Option<(Origin, KernelTime)>,
    epoch: u64,
    opened_by: Initiator,
    connection: Option<Connection>,
}

impl Flow {
    /// Who opened it.
    #[must_use]
    pub fn initiator(&self) -> Initiator {
        match &self.connection {
            Some(connection) => connection.initiator(),
            None => self.opened_by,
        }
    }

    /// Whether its opener never acknowledged that it was answered, and that was not told in a tick.
    #[must_use]
    pub fn is_left_half_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_left_half_open)
    }

    /// The same, and its opener had time enough to acknowledge it.
    #[must_use]
    pub fn is_half_open_at(&self, now: KernelTime) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.is_half_open_at(now))
    }

    /// Its TCP state, without flags of a tick.
    #[must_use]
    pub fn tcp_state(&self) -> Option<TcpState> {
        self.connection.as_ref().map(Connection::state)
    }

    fn patience(&self) -> Patience {
        match self.tcp_state() {
            Some(state) if state.is_over() => Patience::Closed,
            Some(TcpState::Established | TcpState::Closing) => Patience::Long,
            _ => Patience::Short,
        }
    }
}

/// What one tick made of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The flow's first packet.
    pub first_seen: KernelTime,
    /// Who opened it.
    pub initiator: Initiator,
    /// Whether it was opened in this tick; ports that are used again open another one.
    pub opened: bool,
    /// Its TCP after this tick.
    pub tcp: Option<Tcp>,
    /// Where received packets came from, of this tick or of an earlier one.
    pub origin: Option<(Origin, KernelTime)>,
}

/// All flows that are alive.
#[derive(Debug)]
pub struct FlowTable {
    settings: Settings,
    /// The slots of flows by their ids, which the slots themselves have: a map of both would be four times as large.
    slots: HashTable<u32>,
    hasher: RandomState,
    flows: Lists<Flow>,
    /// Flows that are not closed, by interface.
    alive: HashMap<InterfaceNumber, u64>,
    finished: Option<u64>,
    /// Flows that made room since they were last asked for.
    pushed_out: Vec<Flow>,
    forgotten: u64,
    repeated: u64,
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            slots: HashTable::new(),
            hasher: RandomState::new(),
            flows: Lists::new(),
            alive: HashMap::new(),
            finished: None,
            pushed_out: Vec::new(),
            forgotten: 0,
            repeated: 0,
        }
    }

    /// Whether a batch belongs to a generation that was finished before; it is to be dropped then.
    #[must_use]
    pub fn is_finished(&self, batch: &FlowBatch) -> bool {
        self.finished.is_some_and(|finished| batch.epoch <= finished)
    }

    /// All flows of a batch were ingested.
    pub fn batch_done(&mut self, batch: &FlowBatch) {
        if batch.last {
            self.finished = self.finished.max(Some(batch.epoch));
        }
    }

    /// Takes in one flow of one generation; `None` if it was taken in before.
    pub fn ingest(&mut self, epoch: u64, delta: &FlowDelta) -> Option<Update> {
        let slot = match self.slot(delta.flow_id) {
            Some(slot) if self.flows.get(slot).is_some_and(|flow| flow.key == delta.key) => {
                if self.flows.get(slot).is_some_and(|flow| flow.epoch >= epoch) {
                    self.repeated += 1;
                    return None;
                }
                slot
            }
            Some(other_key) => {
                let flow = self.remove(other_key);
                self.pushed_out.extend(flow);
                self.insert(delta)
            }
            None => {
                self.make_room();
                self.insert(delta)
            }
        };
        let flow = self.flows.get_mut(slot)?;
        let was_closed = flow.patience() == Patience::Closed;
        flow.epoch = epoch;
        let before = flow.last_seen;
        flow.last_seen = flow.last_seen.max(delta.last_seen);
        flow.traffic += Traffic { sent: delta.sent, received: delta.received };
        flow.origin = delta.origin.map(|origin| (origin, delta.last_seen)).or(flow.origin);
        let tcp = delta.tcp.as_ref().map(|seen| {
            let connection = flow.connection.get_or_insert_default();
            connection.observe(delta, seen, before)
        });
        let opened = flow.connection.as_ref().map_or(delta.is_new, Connection::was_opened);
        let update = Update {
            first_seen: flow.first_seen,
            initiator: flow.initiator(),
            opened,
            tcp,
            origin: flow.origin,
        };
        let patience = flow.patience();
        let alive = self.alive.entry(delta.key.interface).or_default();
        match (was_closed, patience == Patience::Closed) {
            (false, true) => *alive = alive.saturating_sub(1),
            (true, false) => *alive += 1,
            _ => {}
        }
        self.flows.touch(slot, patience);
        Some(update)
    }

    /// A flow was taken out.
    fn is_gone(&mut self, flow: &Flow) {
        let Some(alive) = self.alive.get_mut(&flow.key.interface) else { return };
        *alive = alive.saturating_sub(u64::from(flow.patience() != Patience::Closed));
        if *alive == 0 {
            self.alive.remove(&flow.key.interface);
        }
    }

    /// How many conversations at an interface are alive; those that were closed are not, though stragglers may come.
    #[must_use]
    pub fn alive(&self, interface: InterfaceNumber) -> u64 {
        self.alive.get(&interface).copied().unwrap_or(0)
    }

    fn insert(&mut self, delta: &FlowDelta) -> u32 {
        let opened_by = match (delta.is_new, delta.first_direction) {
            (false, _) => Initiator::Unknown,
            (true, Direction::Sent) => Initiator::Local,
            (true, Direction::Received) => Initiator::Remote,
        };
        let flow = Flow {
            key: delta.key,
            flow_id: delta.flow_id,
            first_seen: delta.first_seen,
            last_seen: delta.last_seen,
            traffic: Traffic::default(),
            origin: None,
            epoch: 0,
            opened_by,
            connection: None,
        };
        *self.alive.entry(delta.key.interface).or_default() += 1;
        let slot = self.flows.insert(flow, Patience::Short);
        let Self { slots, hasher, flows, .. } = self;
        let hash = |slot: &u32| flows.get(*slot).map_or(0, |flow| hasher.hash_one(flow.flow_id));
        slots.insert_unique(hash(&slot), slot, hash);
        slot
    }

    fn slot(&self, id: FlowId) -> Option<u32> {
        let is_its = |slot: &u32| self.flows.get(*slot).is_some_and(|flow| flow.flow_id == id);
        self.slots.find(self.hasher.hash_one(id), is_its).copied()
    }

    fn make_room(&mut self) {
        while self.flows.len() >= self.settings.max_flows_kept.max(1) {
            let oldest = Patience::ALL.into_iter().find_map(|patience| self.flows.oldest(patience));
            let Some((slot, _)) = oldest else { return };
            self.forgotten += 1;
            let flow = self.remove(slot);
            self.pushed_out.extend(flow);
        }
    }

    fn remove(&mut self, slot: u32) -> Option<Flow> {
        let flow = self.flows.remove(slot)?;
        let hash = self.hasher.hash_one(flow.flow_id);
        if let Ok(entry) = self.slots.find_entry(hash, |known| *known == slot) {
            entry.remove();
        }
        self.is_gone(&flow);
        Some(flow)
    }

    /// Takes out the flows that are over at `now`, and tells of each.
    pub fn expire(&mut self, now: KernelTime, mut over: impl FnMut(Flow)) {
        let Settings { idle, idle_established, linger, .. } = self.settings;
        for (patience, limit) in
            [(Patience::Closed, linger), (Patience::Short, idle), (Patience::Long, idle_established)]
        {
            while let Some((slot, flow)) = self.flows.oldest(patience) {
                // Stragglers of a flow in the latest generation come with the next one.
                let in_latest = self.finished.is_some_and(|finished| flow.epoch >= finished);
                if now.since(flow.last_seen) < limit || (in_latest && patience == Patience::Closed) {
                    break;
                }
                if let Some(flow) = self.remove(slot) {
                    over(flow);
                }
            }
        }
    }

    /// Takes out the flows of interfaces that are gone, and tells of each.
    pub fn end_interfaces(&mut self, gone: &[InterfaceNumber], mut over: impl FnMut(Flow)) {
        let of_gone = |flow: &&Flow| gone.contains(&flow.key.interface);
        let ids: Vec<FlowId> = self.flows.iter().filter(of_gone).map(|flow| flow.flow_id).collect();
        for id in ids {
            if let Some(flow) = self.slot(id).and_then(|slot| self.remove(slot)) {
                over(flow);
            }
        }
    }

    /// The flows that made room for others since this was last asked: they are over without a word.
    pub fn take_pushed_out(&mut self) -> Vec<Flow> {
        std::mem::take(&mut self.pushed_out)
    }

    /// A flow that is kept.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(self.slot(id)?)
    }

    /// The flows that are kept, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter()
    }

    /// How many flows are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows that made room for others before they were over.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Flows that were handed over again and dropped.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated
    }
}
