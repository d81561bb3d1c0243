//! The flows that stream past, kept by their number.

use crate::model::{ContainerId, FlowId, FlowPorts, Initiator, KernelTime, Protocol, SafeText, TcpFlags};
use crate::snapshot::{End, FlowRecord, TcpState, Verdict};
use crate::tui::recent::{Both, Recent};
use crate::view::names;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most that are kept.
const MOST: usize = 65_536;
/// The part of them that makes room at once, the quietest first: looking for them costs a look at all.
const ROOM: usize = 16;
/// A flow that is over is shown this long.
const LINGER: Duration = Duration::from_secs(10);
/// A flow that was quiet this long is over, although its end did not come: the engine's own patience and a minute.
const QUIET: Duration = Duration::from_secs(120);
/// The same for an open TCP connection.
const QUIET_OPEN: Duration = Duration::from_secs(960);

/// A flow, over its ticks.
#[derive(Clone, Debug)]
pub(in crate::tui) struct FlowRow {
    /// Its number.
    pub(in crate::tui) id: FlowId,
    /// Its latest tick.
    pub(in crate::tui) record: Arc<FlowRecord>,
    /// Who opened it, by name; where nobody can tell, the end at the interface.
    pub(in crate::tui) client: SafeText,
    /// The other one, by name.
    pub(in crate::tui) server: SafeText,
    /// What the client sent and received since the view was opened.
    pub(in crate::tui) counted: Both,
    /// The same in the last minute.
    pub(in crate::tui) recent: Recent,
    /// How long its handshake took.
    pub(in crate::tui) handshake: Option<Duration>,
    /// The flags that each end of it has sent since the view was opened: the interface's, then the other one's.
    pub(in crate::tui) flags: [TcpFlags; 2],
    /// What is expected of it and what became of it, as it was told last: the tick that ends a flow tells none.
    pub(in crate::tui) verdict: Option<Verdict>,
    /// Whether the same conversation has a row at the other end's interface, which is shown instead.
    pub(in crate::tui) is_second: bool,
}

impl FlowRow {
    fn new(record: &Arc<FlowRecord>) -> Self {
        let (client, server) = names_of(record);
        Self {
            id: record.flow_id,
            record: Arc::clone(record),
            client,
            server,
            counted: Both::default(),
            recent: Recent::default(),
            handshake: None,
            flags: [TcpFlags::default(); 2],
            verdict: None,
            is_second: false,
        }
    }

    /// Who opened it; where nobody can tell, the end at the interface.
    pub(in crate::tui) fn client_end(&self) -> &End {
        if self.is_turned() { &self.record.remote } else { &self.record.local }
    }

    /// The other one.
    pub(in crate::tui) fn server_end(&self) -> &End {
        if self.is_turned() { &self.record.local } else { &self.record.remote }
    }

    /// Whether the client is the remote end.
    pub(in crate::tui) fn is_turned(&self) -> bool {
        self.record.initiator == Initiator::Remote
    }

    fn take(&mut self, record: &Arc<FlowRecord>, at: KernelTime) {
        let before = std::mem::replace(&mut self.record, Arc::clone(record));
        let was_turned = before.initiator == Initiator::Remote;
        if !are_same(&before, record) {
            (self.client, self.server) = names_of(record);
        }
        if self.is_turned() != was_turned {
            self.counted.turn();
            self.recent.turn();
        }
        let (sent, received) = match self.is_turned() {
            true => (record.received, record.sent),
            false => (record.sent, record.received),
        };
        let counted = Both { bytes: [sent.bytes, received.bytes], packets: [sent.packets, received.packets] };
        self.counted.add(counted);
        self.recent.add(at, counted.bytes);
        self.handshake = record.tcp.and_then(|tcp| tcp.handshake).or(self.handshake);
        if let Some(tcp) = &record.tcp {
            let [one, other] = self.flags;
            self.flags = [TcpFlags(one.0 | tcp.sent_flags.0), TcpFlags(other.0 | tcp.received_flags.0)];
        }
        if record.verdict.is_some() {
            self.verdict.clone_from(&record.verdict);
        }
    }

    fn is_over(&self, now: KernelTime) -> bool {
        let open =
            self.record.tcp.is_some_and(|tcp| matches!(tcp.state, TcpState::Established | TcpState::Closing));
        let patience = match (self.record.last, open) {
            (true, _) => LINGER,
            (false, true) => QUIET_OPEN,
            (false, false) => QUIET,
        };
        let moved = if self.record.last { self.record.tick_end } else { self.record.last_seen };
        now.since(moved) >= patience
    }
}

/// Client and server by name; where nobody can tell who is which, the end at the interface comes first.
fn names_of(record: &FlowRecord) -> (SafeText, SafeText) {
    // A container's name is shared by all its flows: few are looked at where many flows are ordered.
    let name = |end: &End| match &end.container {
        Some(container) => container.name.clone(),
        None => SafeText::new(&names::end(end)),
    };
    let (local, remote) = (name(&record.local), name(&record.remote));
    if record.initiator == Initiator::Remote { (remote, local) } else { (local, remote) }
}

/// Whether two ticks of a flow are about the same ends, opened by the same.
fn are_same(one: &FlowRecord, other: &FlowRecord) -> bool {
    one.initiator == other.initiator
        && one.local.container == other.local.container
        && one.remote.container == other.remote.container
        && one.remote.kind == other.remote.kind
        && one.remote.swarm == other.remote.swarm
        && one.local.kind == other.local.kind
}

/// A conversation between two containers, the same at both interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Between([(ContainerId, IpAddr, u16); 2], Protocol);

impl Between {
    fn of(record: &FlowRecord) -> Option<Self> {
        let FlowPorts::Ports { local, remote } = record.ports else { return None };
        let end = |end: &End, port| Some((end.container.as_ref()?.id.clone(), end.address, port));
        let mut ends = [end(&record.local, local)?, end(&record.remote, remote)?];
        ends.sort();
        Some(Self(ends, record.protocol))
    }
}

/// All flows that are alive or were a moment ago.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Flows {
    pub(super) most: usize,
    /// In the order of their numbers: a list whose rows are alike must not be shuffled.
    pub(super) rows: BTreeMap<FlowId, Arc<FlowRow>>,
    /// At most two interfaces see a conversation: both containers' own.
    pub(super) between: HashMap<Between, [Option<FlowId>; 2]>,
    forgotten: u64,
    /// How many rows are the second of their conversation.
    seconds: usize,
}

impl Default for Flows {
    fn default() -> Self {
        Self { most: MOST, rows: BTreeMap::new(), between: HashMap::new(), forgotten: 0, seconds: 0 }
    }
}

impl Flows {
    /// Takes in a tick of a flow that was counted at `at`.
    pub(super) fn take(&mut self, record: &Arc<FlowRecord>, at: KernelTime) {
        let id = record.flow_id;
        let Some(row) = self.rows.get_mut(&id) else {
            self.make_room();
            let mut row = FlowRow::new(record);
            row.take(record, at);
            self.rows.insert(id, Arc::new(row));
            self.pair(record);
            return;
        };
        let before = Arc::clone(&row.record);
        Arc::make_mut(row).take(record, at);
        if !are_same(&before, record) {
            let left = unpair(&mut self.between, Between::of(&before), id);
            left.into_iter().for_each(|left| self.set_second(left, false));
            self.set_second(id, false);
            self.pair(record);
        }
    }

    /// All of them, in the order of their numbers.
    pub(in crate::tui) fn iter(&self) -> impl Iterator<Item = &Arc<FlowRow>> {
        self.rows.values()
    }

    /// How many conversations they are: one that is seen at both interfaces is one.
    pub(in crate::tui) fn conversations(&self) -> usize {
        self.rows.len() - self.seconds
    }

    /// One of them.
    pub(in crate::tui) fn get(&self, id: FlowId) -> Option<&Arc<FlowRow>> {
        self.rows.get(&id)
    }

    /// Flows that made room for others.
    pub(in crate::tui) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets the flows that are over for a while.
    pub(super) fn expire(&mut self, now: KernelTime) {
        let over = self.rows.iter().filter(|(_, row)| row.is_over(now)).map(|(id, _)| *id);
        for id in over.collect::<Vec<_>>() {
            self.remove(id);
        }
    }

    fn make_room(&mut self) {
        if self.rows.len() < self.most {
            return;
        }
        let mut quiet: Vec<(KernelTime, FlowId)> =
            self.rows.iter().map(|(id, row)| (row.record.last_seen, *id)).collect();
        let room = (self.most / ROOM).max(1);
        quiet.select_nth_unstable(room - 1);
        for (_, id) in quiet.into_iter().take(room) {
            self.remove(id);
            self.forgotten += 1;
        }
    }

    /// Decides which of a conversation's rows is shown: the one at the client's interface.
    fn pair(&mut self, record: &FlowRecord) {
        let Some(between) = Between::of(record) else { return };
        let ids = self.between.entry(between).or_default();
        if !ids.contains(&Some(record.flow_id)) {
            // The same ports may be used again while the conversation before is still shown: it makes room.
            let before = |id: &Option<FlowId>| {
                let row = id.and_then(|id| self.rows.get(&id));
                row.is_none_or(|row| row.record.local == record.local)
            };
            let free = ids.iter().position(before).unwrap_or(1);
            ids[free] = Some(record.flow_id);
        }
        let [Some(one), Some(other)] = *ids else { return };
        let rank = |id: FlowId| {
            self.rows.get(&id).map(|row| match row.record.initiator {
                Initiator::Local => (0, id.0),
                Initiator::Unknown => (1, id.0),
                Initiator::Remote => (2, id.0),
            })
        };
        let (Some(first), Some(second)) = (rank(one), rank(other)) else { return };
        self.set_second(one, first > second);
        self.set_second(other, second > first);
    }

    fn set_second(&mut self, id: FlowId, is_second: bool) {
        if let Some(row) = self.rows.get_mut(&id).filter(|row| row.is_second != is_second) {
            Arc::make_mut(row).is_second = is_second;
            if is_second { self.seconds += 1 } else { self.seconds -= 1 }
        }
    }

    fn remove(&mut self, id: FlowId) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.seconds -= usize::from(row.is_second);
        let left = unpair(&mut self.between, Between::of(&row.record), id);
        if let Some(left) = left {
            self.set_second(left, false);
        }
    }
}

/// Takes a row out of its pair; the other one, if there is one.
fn unpair(
    between: &mut HashMap<Between, [Option<FlowId>; 2]>,
    key: Option<Between>,
    id: FlowId,
) -> Option<FlowId> {
    let key = key?;
    let ids = between.get_mut(&key)?;
    ids.iter_mut().filter(|one| **one == Some(id)).for_each(|one| *one = None);
    let left = ids.iter().flatten().next().copied();
    if left.is_none() {
        between.remove(&key);
    }
    left
}
