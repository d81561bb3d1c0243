//! The figures a snapshot is made of, kept from observation to observation.

use super::history::{Counted, History};
use super::interfaces::{Account, Sums};
use super::latencies::{FirstByte, Handshake, Latencies};
use super::networks::Networks;
use super::pairs::{Pairs, Sign, answers};
use super::peers::Peers;
use super::recent;
use super::replicas::Replicas;
use super::talk::Talk;
use super::window::{Base, Marks};
use super::{Answers, Connections, ContainerRef, End, Finding, Lookups, Service, Standing};
use crate::attribution::{Attribution, Known};
use crate::flows::{Latency, Steps};
use crate::model::{
    ContainerId, DeviceCounters, DnsExchange, DropBatch, Initiator, InterfaceKind, InterfaceNumber,
    KernelTime, Losses, Protocol, Reading, SafeText, Traffic, WallTime,
};
use crate::policy::{SilentReplica, WrongMtu};
use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Containers whose handshakes are kept as a histogram: up to 70 kB each.
const HISTOGRAMS: usize = 64;
/// Reasons of drops that are told apart; those of a kernel are about a hundred.
const REASONS: usize = 256;
/// What the rest of them is counted as.
const OTHER_REASONS: &str = "OTHER";

/// What the books are kept by.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The window that rates are about.
    pub window: Duration,
    /// When the watch begins.
    pub started: KernelTime,
    /// The wall clock when the kernel's began.
    pub booted: WallTime,
}

/// All figures.
#[derive(Debug)]
pub struct Books {
    window: Duration,
    /// The end of the latest tick whose flows are all in.
    latest_tick: KernelTime,
    pub(super) marks: Marks,
    pub(super) accounts: HashMap<InterfaceNumber, Account>,
    /// Sums over interfaces that went long ago, by their container.
    pub(super) closed: HashMap<ContainerId, Sums>,
    pub(super) peers: Peers,
    /// How often a container talked.
    pub(super) talks: u64,
    pub(super) pairs: Pairs,
    pub(super) latencies: Latencies,
    replicas: Replicas,
    pub(super) history: History,
    pub(super) networks: Networks,
    pub(super) handshakes: HashMap<ContainerId, Latency>,
    /// The same by fixed steps, of every container.
    pub(super) steps: HashMap<ContainerId, Steps>,
    /// TCP connections that each container opened, and that were opened to it.
    pub(super) connections: HashMap<ContainerId, (u64, u64)>,
    /// Packets from or to each container that were dropped.
    pub(super) dropped: HashMap<ContainerId, u64>,
    /// Why containers on the host's network are not watched.
    pub(super) groups_refused: HashMap<ContainerId, SafeText>,
    /// Why devices in containers' namespaces are not watched.
    pub(super) inside_refused: HashMap<ContainerId, SafeText>,
    /// Packets that were dropped, by the kernel's reason.
    drops: BTreeMap<SafeText, u64>,
    losses: Losses,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            window: settings.window,
            latest_tick: KernelTime(0),
            marks: Marks::new(settings.window),
            accounts: HashMap::new(),
            closed: HashMap::new(),
            peers: Peers::new(settings.window),
            talks: 0,
            pairs: Pairs::new(settings.window),
            latencies: Latencies::default(),
            replicas: Replicas::default(),
            history: History::new(settings.started, settings.booted),
            networks: Networks::new(settings.window),
            handshakes: HashMap::new(),
            steps: HashMap::new(),
            connections: HashMap::new(),
            dropped: HashMap::new(),
            groups_refused: HashMap::new(),
            inside_refused: HashMap::new(),
            drops: BTreeMap::new(),
            losses: Losses::default(),
        }
    }

    /// An interface is watched from `at` on; with the device's counters just before and just after.
    pub fn attached(
        &mut self,
        (number, kind): (InterfaceNumber, InterfaceKind),
        at: KernelTime,
        before: Option<DeviceCounters>,
        after: Option<DeviceCounters>,
    ) {
        self.marks.start(at);
        let is_adopted = at < self.history.started();
        self.accounts.insert(number, Account::new(kind, before, after, is_adopted));
    }

    /// A container on the host's network is not watched, and why; or it is.
    pub fn group_refused(&mut self, container: ContainerId, why: Option<SafeText>) {
        match why {
            Some(why) => drop(self.groups_refused.insert(container, why)),
            None => drop(self.groups_refused.remove(&container)),
        }
    }

    /// A device in a container's namespace is not watched, and why; or there is none such any more.
    pub fn inside_refused(&mut self, container: ContainerId, why: Option<SafeText>) {
        match why {
            Some(why) => drop(self.inside_refused.insert(container, why)),
            None => drop(self.inside_refused.remove(&container)),
        }
    }

    /// All totals were read.
    pub fn read(&mut self, readings: &[Reading]) {
        let Some(at) = readings.iter().map(|reading| reading.at).max() else { return };
        let mark = self.marks.read(at);
        let oldest = self.marks.oldest();
        for reading in readings {
            if let Some(account) = self.accounts.get_mut(&reading.number) {
                account.read(*reading, mark, oldest);
            }
        }
    }

    /// An interface is watched no longer.
    pub fn detached(&mut self, number: InterfaceNumber, at: KernelTime, last: &Reading) {
        let mark = self.marks.read(at);
        let oldest = self.marks.oldest();
        if let Some(account) = self.accounts.get_mut(&number) {
            account.read(*last, mark, oldest);
            account.gone = Some(at);
        }
    }

    /// All flows of the tick that ended then were told.
    pub fn ticked(&mut self, tick_end: KernelTime) {
        self.latest_tick = self.latest_tick.max(tick_end);
    }

    /// When the window began of what comes with flows: with the latest tick's flows, it is the window of the totals.
    pub(super) fn window_start(&self) -> KernelTime {
        match self.base() {
            Base { mark: None, .. } => KernelTime(0),
            Base { window, .. } => recent::start(self.latest_tick, window, self.window),
        }
    }

    /// A container talked with a peer.
    pub fn talked(&mut self, talk: &Talk<'_>) {
        self.talks += 1;
        self.pairs.add(talk);
        self.replicas.take(talk);
        if let Some(handshake) = Handshake::of_talk(talk) {
            self.latencies.record(&handshake);
        }
        if let Some(first_byte) = FirstByte::of_talk(talk) {
            self.latencies.record_first_byte(&first_byte);
        }
        if let Some(network) = talk.network {
            self.networks.add(network, talk.reach(), talk.tick_end);
        }
        let Some(container) = &talk.local.container else { return };
        let is_client = talk.initiator == Initiator::Local;
        let port = talk.remote.port.filter(|_| is_client);
        self.peers.add(&container.id, End { port, ..talk.remote.clone() }, talk.traffic, talk.tick_end);
        if talk.protocol == Protocol::TCP && talk.initiator != Initiator::Unknown {
            let answers = answers(talk);
            if talk.opened || answers != Answers::default() {
                let span = self.history.container(container);
                let connections = if is_client { &mut span.asked } else { &mut span.served };
                *connections += Connections { opened: talk.opened.into(), answers };
            }
        }
        if talk.opened && talk.protocol == Protocol::TCP {
            change(&mut self.connections, &container.id, |(opened, accepted)| {
                *(if is_client { opened } else { accepted }) += 1;
            });
        }
        if let Some(took) = talk.handshake().filter(|_| is_client) {
            self.answered(&container.id, took);
        }
    }

    /// One end of a TCP connection sent segments again: the container whose interface it was seen at (`by_local`), or the other
    /// one. Whether the pair is known.
    pub fn retransmitted(
        &mut self,
        ends: [&End; 2],
        initiator: Initiator,
        by_local: bool,
        segments: u64,
    ) -> bool {
        self.pairs.retransmitted(ends, initiator, by_local, segments)
    }

    /// Something told of a failure of a conversation: of what the container did whose interface it was seen at (`of_local`), or
    /// the other end. Whether the pair is known.
    pub fn failed(
        &mut self,
        ends: [&End; 2],
        initiator: Initiator,
        protocol: Protocol,
        of_local: bool,
        sign: Sign,
    ) -> bool {
        self.pairs.failed(ends, initiator, protocol, of_local, sign)
    }

    /// A container's connection is over whose opener never acknowledged that it was answered; it had opened it (`is_client`), or
    /// was asked.
    pub fn left_half_open(&mut self, local: &End, is_client: bool) {
        let Some(container) = &local.container else { return };
        let span = self.history.container(container);
        let connections = if is_client { &mut span.asked } else { &mut span.served };
        connections.answers.half_open += 1;
    }

    /// A connection that a container opened was answered.
    fn answered(&mut self, container: &ContainerId, took: Duration) {
        change(&mut self.steps, container, |steps| steps.record(took));
        if let Some(latency) = self.handshakes.get_mut(container) {
            latency.record(took);
        } else if self.handshakes.len() < HISTOGRAMS {
            self.handshakes.entry(container.clone()).or_default().record(took);
        }
    }

    /// Replicas that answer nobody, at the end of a tick; each once in ten seconds.
    pub fn silent_replicas(&mut self, attribution: &Attribution, tick_end: KernelTime) -> Vec<SilentReplica> {
        self.replicas.silent(attribution, tick_end)
    }

    /// Ends that send packets that do not fit on the way and were told so again in the tick that ends, each once.
    pub fn wrong_mtus(&mut self, tick_end: KernelTime) -> Vec<WrongMtu> {
        self.pairs.wrong_mtus.news(tick_end)
    }

    /// The kernel dropped packets.
    pub fn dropped(&mut self, attribution: &Attribution, batch: &DropBatch) {
        for drop in &batch.drops {
            self.dropped_for(&drop.reason, drop.packets);
            let ends = attribution.ends_of_drop(drop);
            let [source, destination] = ends.map(|end| end.map(Known::reference));
            let both = [source, destination.filter(|it| source.is_none_or(|source| source.id != it.id))];
            for reference in both.into_iter().flatten() {
                let container = &reference.id;
                let span = self.history.container(reference);
                span.dropped = span.dropped.saturating_add(drop.packets);
                change(&mut self.dropped, container, |packets| {
                    *packets = packets.saturating_add(drop.packets);
                });
            }
        }
    }

    /// Counts packets that were dropped for a reason.
    fn dropped_for(&mut self, reason: &SafeText, packets: u64) {
        let is_told_apart = self.drops.len() < REASONS || self.drops.contains_key(reason);
        let reason = if is_told_apart { reason.clone() } else { SafeText::new(OTHER_REASONS) };
        let total = self.drops.entry(reason).or_default();
        *total = total.saturating_add(packets);
    }

    /// Packets from or to what is watched that the kernel dropped, by its reason.
    #[must_use]
    pub const fn drops(&self) -> &BTreeMap<SafeText, u64> {
        &self.drops
    }

    /// Sums up what is over: interfaces that went before the window, containers that are forgotten.
    pub fn tidy(&mut self, attribution: &Attribution) {
        let base = self.marks.base();
        let Self { accounts, closed, losses, history, .. } = self;
        accounts.retain(|number, account| {
            if !account.left_the_window(base) {
                return true;
            }
            if let Some(known) = attribution.owner(*number) {
                if let Some(more) = account.tell() {
                    history.container(known.reference()).traffic += more;
                }
                let mut sums = account.sums(base);
                sums.window = Traffic::default();
                *closed.entry(known.container.id.clone()).or_default() += sums;
                return false;
            }
            let remembered = attribution.interface(*number).is_some();
            if !remembered {
                let totals = account.sums(base).totals;
                losses.add("skbs_of_nobody", totals.sent.skbs.saturating_add(totals.received.skbs));
            }
            remembered
        });
        let known = |id: &ContainerId| attribution.container(id).is_some();
        self.closed.retain(|id, _| known(id));
        self.handshakes.retain(|id, _| known(id));
        self.steps.retain(|id, _| known(id));
        self.connections.retain(|id, _| known(id));
        self.dropped.retain(|id, _| known(id));
        let runs = |id: &ContainerId| attribution.container(id).is_some_and(Known::is_running);
        self.groups_refused.retain(|id, _| runs(id));
        self.inside_refused.retain(|id, _| runs(id));
        self.networks.keep(|id| attribution.network(id).is_some());
        self.pairs.keep(known, |who| attribution.remembers(who));
        let aliases = attribution.containers().flat_map(|known| &known.reference().aliases);
        let aliases = aliases.cloned().map(Service::Alias);
        let services: HashSet<Service> =
            attribution.containers().map(Service::of_known).chain(aliases).collect();
        let elsewhere: LazyCell<HashSet<&SafeText>, _> =
            LazyCell::new(|| attribution.services_elsewhere().collect());
        // A swarm that is asked in vain for a while has its services yet.
        self.latencies.keep(self.latest_tick, |service, is_idle| match service {
            Service::Swarm(name) => !is_idle || services.contains(service) || elsewhere.contains(name),
            service => !service.is_of_this_host() || services.contains(service),
        });
        self.peers.keep(known);
    }

    /// All of a tick that ended then is in: what it came to is history, if it ends an interval.
    pub fn remember(&mut self, attribution: &Attribution, lookups: &mut Lookups, tick_end: KernelTime) {
        let Self { history, accounts, pairs, latencies, networks, .. } = self;
        if !history.is_due(tick_end) {
            return;
        }
        for (number, account) in accounts.iter_mut() {
            // One that has no name yet is told of when it has.
            let Some(known) = attribution.owner(*number) else { continue };
            if let Some(more) = account.tell() {
                history.container(known.reference()).traffic += more;
            }
        }
        let (pairs, mut others) = pairs.tell();
        let (names, more) = lookups.tell();
        others += more;
        let (latencies, networks) = (latencies.tell(), networks.tell(attribution));
        history.seal(tick_end, Counted { pairs, latencies, names, networks, others });
    }

    /// What was counted in the last hour.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The wall clock when the kernel's began, as both say now.
    pub fn clock_is(&mut self, booted: WallTime) {
        self.history.clock_is(booted);
    }

    /// A finding was told.
    pub fn found(&mut self, finding: &Arc<Finding>) {
        self.history.finding(finding);
    }

    /// A standing finding was told.
    pub fn stood(&mut self, standing: &Arc<Standing>) {
        if !standing.is_open {
            self.history.over(standing);
        }
    }

    /// A container asked for a name itself.
    pub fn asked(&mut self, container: &Arc<ContainerRef>, told: &DnsExchange) {
        self.history.container(container).name(told);
    }

    pub(super) fn base(&self) -> Base {
        self.marks.base()
    }

    /// What the books had to leave out, by name.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let mut losses = self.losses.clone();
        losses.add("peers_forgotten", self.peers.forgotten);
        losses.add("pairs_forgotten", self.pairs.forgotten);
        losses.add("icmp_errors_not_kept", self.pairs.errors_not_kept);
        losses.add("findings_refused", self.pairs.wrong_mtus.refused);
        losses.add("connections_not_compared", self.replicas.not_compared);
        losses.add_all(&self.latencies.losses());
        losses
    }
}

/// Changes what is kept of a container; its id is copied only for the first time.
fn change<T: Default>(
    of: &mut HashMap<ContainerId, T>,
    container: &ContainerId,
    change: impl FnOnce(&mut T),
) {
    match of.get_mut(container) {
        Some(kept) => change(kept),
        None => change(of.entry(container.clone()).or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Books, OTHER_REASONS, REASONS, Settings};
    use crate::model::{KernelTime, SafeText, WallTime};
    use std::time::Duration;

    #[test]
    fn drops_for_more_reasons_than_a_kernel_has_are_counted_as_one() {
        let mut books = Books::new(Settings {
            window: Duration::from_secs(1),
            started: KernelTime(0),
            booted: WallTime(0),
        });
        for number in 0..1_000 {
            books.dropped_for(&SafeText::new(&format!("REASON_{number}")), 2);
            books.dropped_for(&SafeText::new("REASON_7"), 1);
        }
        let drops = books.drops();
        assert_eq!((drops.len(), drops.values().sum::<u64>()), (REASONS + 1, 3_000));
        assert_eq!(drops[&SafeText::new("REASON_7")], 1_002);
        assert_eq!(drops[&SafeText::new(OTHER_REASONS)], 2 * (1_000 - REASONS as u64));
    }
}
