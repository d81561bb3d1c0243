//! Who talks to whom: one account for a client, a server and its service.

mod account;
mod wrong_mtus;

use super::history::{Others, PairCounts, PairEnds, PairSpan};
use super::recent::Recent;
use super::talk::Talk;
use super::{Answers, End, PairRow, Part, Retransmits, SwarmRef, TcpState, ZeroWindows, icmp};
use crate::attribution::Identity;
use crate::flows::Spread;
use crate::model::{
    ContainerId, Direction, IcmpError, Initiator, KernelTime, Protocol, SafeText, TcpFlags, Traffic,
};

use account::Account;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use wrong_mtus::WrongMtus;

/// Pairs that are kept.
const MOST: usize = 4_096;
/// How long what arrived waits for what its sender's interface tells: flows may wait for a name.
const ARRIVAL: Duration = Duration::from_secs(15);
/// Pairs whose handshakes are kept as a histogram: up to 70 kB each.
const HISTOGRAMS: usize = 64;

/// What makes ends the same: the container, whatever its address, or else the address and who the swarm says is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Who {
    Container(ContainerId),
    Other(Identity),
}

impl Who {
    fn of(end: &End) -> Self {
        match &end.container {
            Some(container) => Self::Container(container.id.clone()),
            None => Self::Other(end.identity()),
        }
    }
}

/// What makes conversations one pair's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    client: Who,
    server: Who,
    port: Option<u16>,
    protocol: Protocol,
}

impl Key {
    /// That of a pair by its ends.
    pub(super) fn of(ends: &PairEnds) -> Self {
        let [client, server] = [&ends.client, &ends.server].map(Who::of);
        Self { client, server, port: ends.server.port, protocol: ends.protocol }
    }
}

/// What tells of a failure.
#[derive(Clone, Debug)]
pub enum Sign {
    /// An error of ICMP, about a packet of the end.
    Icmp {
        /// Who sent it.
        by: End,
        /// What it says.
        error: IcmpError,
        /// Of which conversation.
        told: icmp::Told,
    },
    /// The end has no room for more.
    ZeroWindow,
    /// A connection is over whose opener never acknowledged that it was answered.
    HalfOpen,
}

/// What arrived at a server's interface in a tick, before anything of the pair was told by its client's.
#[derive(Debug)]
struct Arrival {
    key: Key,
    device: Option<SafeText>,
    packets: u64,
    tick_end: KernelTime,
}

/// All pairs.
#[derive(Debug)]
pub(super) struct Pairs {
    window: Duration,
    slots: Vec<Account>,
    index: HashMap<Key, u32>,
    /// Each slot once, with a time that is not after its last packet: the least of them is found by looking.
    order: BinaryHeap<Reverse<(KernelTime, u32)>>,
    histograms: usize,
    /// Pairs that made room for others.
    pub(super) forgotten: u64,
    /// What the history was not told of pairs that are gone.
    departed: Others,
    /// What arrived and waits for what is told of its pair by who sent it.
    arrivals: Vec<Arrival>,
    latest_tick: KernelTime,
    /// Errors of ICMP that differ from all that are kept of their pair.
    pub(super) errors_not_kept: u64,
    /// Ends that send what does not fit although they are told.
    pub(super) wrong_mtus: WrongMtus,
}

impl Pairs {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            slots: Vec::new(),
            index: HashMap::new(),
            order: BinaryHeap::new(),
            histograms: 0,
            forgotten: 0,
            departed: Others::default(),
            arrivals: Vec::new(),
            latest_tick: KernelTime(0),
            errors_not_kept: 0,
            wrong_mtus: WrongMtus::default(),
        }
    }

    /// Adds one tick of a flow.
    pub(super) fn add(&mut self, talk: &Talk<'_>) {
        let share = talk.own_share();
        let [local, remote] = [Who::of(talk.local), Who::of(talk.remote)];
        let is_client = is_client(talk.initiator, &local, &remote);
        let (traffic, ends, whos) = if is_client {
            (share, [talk.local, talk.remote], (local, remote))
        } else {
            let turned = Traffic { sent: share.received, received: share.sent };
            (turned, [talk.remote, talk.local], (remote, local))
        };
        let port = ends[1].port.filter(|_| talk.initiator != Initiator::Unknown);
        let (client, server) = whos;
        let key = Key { client, server, port, protocol: talk.protocol };
        self.latest_tick = self.latest_tick.max(talk.tick_end);
        if talk.sender_counts && share.sent.is_zero() && talk.initiator != Initiator::Local {
            // All else of it is told at the sender's interface, by the addresses that it has there.
            return self.arrived(key, is_client, talk);
        }
        let slot = self.slot(key, ends, talk);
        let Some(account) = self.slots.get_mut(slot as usize) else { return };
        account.crossed(is_client, talk.device, talk.traffic.received.packets);
        account.counts.traffic += traffic;
        account.recent.add(talk.tick_end, self.window, traffic);
        account.last_seen = account.last_seen.max(talk.at);
        let counts_connections = is_client || talk.counts_connections();
        let (conversations, answers) =
            if counts_connections { (u64::from(talk.opened), answers(talk)) } else { Default::default() };
        account.counts.conversations += conversations;
        account.counts.answers += answers;
        if talk.asked.is_some() {
            let part = Part { traffic, conversations, answers };
            account.rare.get_or_insert_default().shares.add(talk.alias(ends[1]), part);
        }
        // What both interfaces see alike is told at the client's, where that is watched.
        if !counts_connections {
            return;
        }
        account.renew(ends, port);
        if talk.network.is_some() && talk.network != account.ends.network.as_ref() {
            Arc::make_mut(&mut account.ends).network = talk.network.cloned();
        }
        account.verdict = talk.verdict.cloned().or(account.verdict.take());
        if let Some(took) = talk.handshake() {
            account.handshakes_untold.record(took);
            if account.handshakes.is_none() && self.histograms < HISTOGRAMS {
                self.histograms += 1;
                account.handshakes = Some(Box::default());
            }
            if let Some(handshakes) = &mut account.handshakes {
                handshakes.record(took);
            }
        }
    }

    /// Packets arrived of which their sender's interface tells all else.
    fn arrived(&mut self, key: Key, is_client: bool, talk: &Talk<'_>) {
        let packets = talk.traffic.received.packets;
        if let Some(slot) = self.index.get(&key) {
            if let Some(account) = self.slots.get_mut(*slot as usize) {
                account.crossed(is_client, talk.device, packets);
            }
        } else if self.arrivals.len() < MOST && !is_client {
            let (device, tick_end) = (talk.device.cloned(), talk.tick_end);
            self.arrivals.push(Arrival { key, device, packets, tick_end });
        }
    }

    /// Books what arrived before its pair was known; what waits too long is of none.
    fn book_arrivals(&mut self) {
        let Self { arrivals, index, slots, latest_tick, .. } = self;
        arrivals.retain(|Arrival { key, device, packets, tick_end }| {
            let account = index.get(key).and_then(|slot| slots.get_mut(*slot as usize));
            let is_known = account.is_some();
            if let Some(account) = account {
                account.crossed(false, device.as_ref(), *packets);
            }
            !is_known && latest_tick.since(*tick_end) < ARRIVAL
        });
    }

    /// One end of a pair's connection sent segments again: the one whose interface it was seen at (`by_local`), or the other.
    /// Whether the pair is kept.
    pub(super) fn retransmitted(
        &mut self,
        ends: [&End; 2],
        initiator: Initiator,
        by_local: bool,
        segments: u64,
    ) -> bool {
        let Some((account, is_client)) = self.account(ends, initiator, Protocol::TCP) else { return false };
        let Retransmits { by_client, by_server } = &mut account.counts.retransmits;
        *(if by_local == is_client { by_client } else { by_server }) += segments;
        true
    }

    /// Something told of a failure: of what the end did whose interface it was seen at (`of_local`), or the other. Whether the
    /// pair is kept.
    pub(super) fn failed(
        &mut self,
        ends: [&End; 2],
        initiator: Initiator,
        protocol: Protocol,
        of_local: bool,
        sign: Sign,
    ) -> bool {
        let Some((account, is_client)) = self.account(ends, initiator, protocol) else { return false };
        let of_client = of_local == is_client;
        match sign {
            Sign::Icmp { by, error, told } => {
                account.counts.icmp_errors += 1;
                let errors = &mut account.rare.get_or_insert_default().icmp;
                match errors.note(of_client, by.clone(), &error, told) {
                    Some(0) => {}
                    Some(again) => {
                        let wrong = account.wrong_mtu(of_client, by, &error, (again, told.at));
                        wrong.into_iter().for_each(|wrong| self.wrong_mtus.add(wrong));
                    }
                    None => self.errors_not_kept += 1,
                }
            }
            Sign::ZeroWindow => {
                let ZeroWindows { by_client, by_server } = &mut account.counts.zero_windows;
                *(if of_client { by_client } else { by_server }) += 1;
            }
            Sign::HalfOpen => account.counts.answers.half_open += 1,
        }
        true
    }

    /// The account of a conversation, and whether the end whose interface it was seen at is the client.
    fn account(
        &mut self,
        [local, remote]: [&End; 2],
        initiator: Initiator,
        protocol: Protocol,
    ) -> Option<(&mut Account, bool)> {
        let [here, there] = [Who::of(local), Who::of(remote)];
        let is_client = is_client(initiator, &here, &there);
        let (client, server, port) =
            if is_client { (here, there, remote.port) } else { (there, here, local.port) };
        let port = port.filter(|_| initiator != Initiator::Unknown);
        let slot = self.index.get(&Key { client, server, port, protocol })?;
        Some((self.slots.get_mut(*slot as usize)?, is_client))
    }

    fn slot(&mut self, key: Key, [client, server]: [&End; 2], talk: &Talk<'_>) -> u32 {
        if let Some(slot) = self.index.get(&key) {
            return *slot;
        }
        let ends = PairEnds {
            client: End { port: None, ..client.clone() },
            server: End { port: key.port, ..server.clone() },
            protocol: key.protocol,
            network: talk.network.cloned(),
            devices: [None, None],
        };
        let account = Account {
            key: key.clone(),
            ends: Arc::new(ends),
            counts: PairCounts::default(),
            told: PairCounts::default(),
            recent: Recent::default(),
            rare: None,
            handshakes: None,
            handshakes_untold: Spread::default(),
            verdict: None,
            last_seen: talk.at,
        };
        let oldest = if self.slots.len() < MOST { None } else { self.take_oldest() };
        let slot = if let Some(slot) = oldest {
            let before = std::mem::replace(&mut self.slots[slot as usize], account);
            self.index.remove(&before.key);
            self.histograms -= usize::from(before.handshakes.is_some());
            self.forgotten += 1;
            before.departs(&mut self.departed);
            slot
        } else {
            self.slots.push(account);
            u32::try_from(self.slots.len() - 1).expect("there are no more slots than the bound")
        };
        self.index.insert(key, slot);
        self.order.push(Reverse((talk.at, slot)));
        slot
    }

    /// The slot that was seen longest ago, taken out of the order.
    fn take_oldest(&mut self) -> Option<u32> {
        while let Some(Reverse((noted, slot))) = self.order.pop() {
            let last_seen = self.slots.get(slot as usize)?.last_seen;
            if last_seen <= noted {
                return Some(slot);
            }
            self.order.push(Reverse((last_seen, slot)));
        }
        None
    }

    /// Forgets the pairs of containers that are no longer known, and of those in a swarm who are not remembered.
    pub(super) fn keep(
        &mut self,
        known: impl Fn(&ContainerId) -> bool,
        remembered: impl Fn(&SwarmRef) -> bool,
    ) {
        let stays = |end: &End| match (&end.container, &end.swarm) {
            (Some(container), _) => known(&container.id),
            (None, Some(swarm)) => remembered(swarm),
            (None, None) => true,
        };
        let is_kept = |account: &Account| stays(&account.ends.client) && stays(&account.ends.server);
        if self.slots.iter().all(is_kept) {
            return;
        }
        let departed = &mut self.departed;
        self.slots.retain(|account| {
            let stays = is_kept(account);
            if !stays {
                account.departs(departed);
            }
            stays
        });
        self.histograms = self.slots.iter().filter(|account| account.handshakes.is_some()).count();
        let numbered = || self.slots.iter().zip(0_u32..);
        self.index = numbered().map(|(account, slot)| (account.key.clone(), slot)).collect();
        self.order = numbered().map(|(account, slot)| Reverse((account.last_seen, slot))).collect();
    }

    /// What came since the history was told last: of each pair of which something did, and of those that are gone.
    pub(super) fn tell(&mut self) -> (Vec<PairSpan>, Others) {
        self.book_arrivals();
        (self.slots.iter_mut().filter_map(Account::tell).collect(), std::mem::take(&mut self.departed))
    }

    /// The rows, busiest in the window that began at `start` first.
    pub(super) fn rows(&self, start: KernelTime) -> Arc<[PairRow]> {
        let bytes = |traffic: &Traffic| traffic.sent.bytes.saturating_add(traffic.received.bytes);
        let mut busiest: Vec<(Traffic, &Account)> =
            self.slots.iter().map(|account| (account.recent.after(start), account)).collect();
        busiest.sort_unstable_by(|(a, one), (b, other)| {
            let by_bytes =
                bytes(b).cmp(&bytes(a)).then(bytes(&other.counts.traffic).cmp(&bytes(&one.counts.traffic)));
            by_bytes.then_with(|| one.key.cmp(&other.key))
        });
        busiest.into_iter().map(|(window, account)| account.row(window)).collect()
    }
}

/// Whether the end whose interface it was seen at is the client.
fn is_client(initiator: Initiator, here: &Who, there: &Who) -> bool {
    match initiator {
        Initiator::Local => true,
        Initiator::Remote => false,
        // Both interfaces have to come to the same.
        Initiator::Unknown => here <= there,
    }
}

/// What this tick tells of how a connection goes.
pub(super) fn answers(talk: &Talk<'_>) -> Answers {
    let failed = talk.tcp.filter(|tcp| tcp.failed);
    let reset = failed.filter(|tcp| tcp.state == TcpState::Reset);
    let by = |end: Initiator| {
        let sent = reset.is_some_and(|tcp| tcp.sent_flags.has(TcpFlags::RST));
        let received = reset.is_some_and(|tcp| tcp.received_flags.has(TcpFlags::RST));
        // Where both did in one tick, nobody can tell who was first.
        u64::from(sent != received && sent == (talk.initiator == end) && talk.initiator != Initiator::Unknown)
    };
    let silent = |opener: Initiator, way: Direction| {
        u64::from(talk.initiator == opener && talk.tcp.is_some_and(|tcp| tcp.silent == Some(way)))
    };
    Answers {
        answered: u64::from(talk.handshake().is_some()),
        refused: u64::from(failed.is_some_and(|tcp| tcp.state == TcpState::Refused)),
        reset: u64::from(reset.is_some()),
        reset_by_client: by(Initiator::Local),
        reset_by_server: by(Initiator::Remote),
        half_open: u64::from(talk.tcp.is_some_and(|tcp| tcp.half_open)),
        silent_client: silent(Initiator::Local, Direction::Sent)
            + silent(Initiator::Remote, Direction::Received),
        silent_server: silent(Initiator::Local, Direction::Received)
            + silent(Initiator::Remote, Direction::Sent),
    }
}
