//! Everything the engine knows, and what each change and observation does to it. No I/O, no clock: time is an
//! argument, so a recorded scenario replays exactly.

use super::Settings;
use super::asks::{Ask, Asks};
use super::held::Held;
use super::inquirers::Inquirers;
use super::names::Names;
use super::owners::Owners;
use super::sockets::Sockets;
use super::subscribers::{Filter, Subscribers, Subscription, Topic};
use super::waiting::Waiting;
use crate::attribution::Attribution;
use crate::flows::{self, FlowTable};
use crate::model::{
    AttachMode, Change, Conntrack, DockerState, DropWatch, FailureSign, InterfaceKind, InterfaceNumber,
    KernelTime, Losses, NetworkMode, NotWatched, Observation, PinWatch, Resources, Retransmit, SafeText,
    Step, WallTime,
};
use crate::policy::posture::Standings;
use crate::policy::{Around, Judge};
use crate::snapshot::{self, Books, Interval, Record, Shared, Snapshot};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Devices that are not watched and are listed, at most.
const NOT_WATCHED: usize = 1_024;
/// How often what is over is looked for.
const TIDY: Duration = Duration::from_secs(1);
/// How often the configuration is looked at, while it changes.
const LOOK: Duration = Duration::from_millis(200);
/// How long the flows of an interface that went may still be handed over, at least.
const LAST_FLOWS: Duration = Duration::from_secs(3);

/// Whether what happened is worth a new snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Publish {
    /// No.
    No,
    /// With the next round of housekeeping.
    Soon,
    /// At once: the totals were read.
    Now,
}

/// All state of the engine.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) attribution: Attribution,
    pub(super) flows: FlowTable,
    pub(super) judge: Judge,
    pub(super) standings: Standings,
    pub(super) books: Books,
    shared: Shared,
    /// Flows that were taken in.
    taken: u64,
    pub(super) held: Held,
    pub(super) sockets: Sockets,
    pub(super) names: Names,
    pub(super) retransmits: Waiting<Retransmit>,
    pub(super) failures: Waiting<FailureSign>,
    /// Packets that came by devices of containers that they were not for.
    pub(super) flooded: u64,
    /// Flows of answered connections that made room before it was known whether that was acknowledged.
    pub(super) half_open_undecided: u64,
    pub(super) subscribers: Subscribers,
    pub(super) inquirers: Inquirers,
    pub(super) asks: Asks,
    owners: Owners,
    /// Whether anything is noted for a next agent.
    pins: bool,
    /// Epoch, start and end of the latest generation.
    pub(super) latest: (u64, KernelTime, KernelTime),
    /// The latest generation whose flows are all in.
    pub(super) ticked: Option<u64>,
    /// The end of that generation; at first, when this began.
    pub(super) counted_at: KernelTime,
    /// How many findings were told.
    pub(super) findings_told: u64,
    gone: Vec<(InterfaceNumber, KernelTime)>,
    not_watched: BTreeMap<u32, NotWatched>,
    missing: BTreeMap<&'static str, SafeText>,
    modes: HashMap<InterfaceNumber, AttachMode>,
    collector_losses: Losses,
    resources: Resources,
    watching_since: KernelTime,
    tidied: KernelTime,
    looked: KernelTime,
}

impl State {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings, now: KernelTime) -> Self {
        let table = flows::Settings {
            max_flows_kept: settings.max_flows_kept,
            idle: settings.idle,
            ..flows::Settings::default()
        };
        Self {
            attribution: Attribution::new(settings.attribution),
            flows: FlowTable::new(table),
            judge: Judge::new(Arc::clone(&settings.policy)),
            standings: Standings::default(),
            books: Books::new(snapshot::Settings {
                window: settings.window,
                started: now,
                booted: settings.booted,
            }),
            shared: Shared::default(),
            taken: 0,
            held: Held::default(),
            sockets: Sockets::default(),
            names: Names::default(),
            retransmits: Waiting::new(|told| told.segments),
            failures: Waiting::new(|_| 1),
            flooded: 0,
            half_open_undecided: 0,
            subscribers: Subscribers::default(),
            inquirers: Inquirers::default(),
            asks: Asks::default(),
            owners: Owners::default(),
            pins: false,
            latest: (0, now, now),
            ticked: None,
            counted_at: now,
            findings_told: 0,
            gone: Vec::new(),
            not_watched: BTreeMap::new(),
            missing: BTreeMap::new(),
            modes: HashMap::new(),
            collector_losses: Losses::default(),
            resources: Resources::default(),
            watching_since: now,
            tidied: now,
            looked: now,
            settings,
        }
    }

    /// Takes in one step of a recording, as it was taken in when it was recorded.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Change(change) => drop(self.change(&change)),
            Step::Observation { at, seen } => drop(self.observe(seen, at)),
            Step::Housekeeping(at) => self.housekeeping(at),
            Step::Snapshot(at) => self.attribution.settle(at),
            Step::Finish(at) => self.finish(at),
        }
    }

    /// Takes in what the inventory told.
    pub fn change(&mut self, change: &Change) -> Publish {
        self.attribution.change(change);
        self.standings.changed();
        Publish::Soon
    }

    /// Takes in what the collector saw.
    pub fn observe(&mut self, observation: Observation, now: KernelTime) -> Publish {
        match observation {
            Observation::Attached { interface, at, mode, before, after } => {
                self.attribution.attached(&interface, at);
                self.books.attached((interface.number, interface.kind), at, before, after);
                self.modes.insert(interface.number, mode);
                self.not_watched.remove(&interface.ifindex);
                if let (InterfaceKind::Veth, Some((_, bridge))) = (interface.kind, interface.master) {
                    self.asks.afresh(&Ask::NetworkOfBridge(bridge));
                }
                return Publish::Soon;
            }
            Observation::Changed { interface, .. } => self.attribution.changed(&interface),
            Observation::Detached { number, at, last } => {
                self.attribution.detached(number, at);
                self.books.detached(number, at, &last);
                self.modes.remove(&number);
                self.gone.push((number, now));
                return Publish::Soon;
            }
            Observation::GroupAttached { number, container, at } => {
                self.attribution.group_attached(number, &container, at);
                self.books.attached((number, InterfaceKind::Cgroup), at, None, None);
                self.books.group_refused(container, None);
                return Publish::Soon;
            }
            Observation::GroupNotWatched { container, reason } => {
                self.books.group_refused(container, Some(reason));
                return Publish::Soon;
            }
            Observation::InsideNotWatched { container, reason } => {
                self.books.inside_refused(container, reason);
                return Publish::Soon;
            }
            Observation::NotWatched(device) => {
                if self.not_watched.len() < NOT_WATCHED || self.not_watched.contains_key(&device.ifindex) {
                    self.not_watched.insert(device.ifindex, device);
                }
                return Publish::Soon;
            }
            Observation::Namespace { sandbox, namespace, inode } => {
                if let Some(namespace) = namespace {
                    self.attribution.namespace(&sandbox, (namespace, inode), now);
                }
            }
            Observation::Flows(batch) => {
                // With the tick's last flows, totals and peers are about the same time.
                let complete = batch.last;
                self.taken += batch.flows.len() as u64;
                self.take_flows(batch, now);
                return if complete { Publish::Now } else { Publish::No };
            }
            Observation::Totals(readings) => {
                self.books.read(&readings);
                return Publish::Soon;
            }
            Observation::Sample(sample) => self.take_sample(sample),
            Observation::Resolver(heard) => self.is_missing("resolver", heard.err()),
            Observation::Names(told) => self.take_names(told, now),
            Observation::DropWatch(watch) => {
                let why = if let DropWatch::Off(why) = &watch { Some(why.clone()) } else { None };
                self.is_missing("drops", why);
                self.judge.drop_watch(watch);
            }
            Observation::RetransmitWatch(watch) => self.is_missing("retransmits", watch.err()),
            Observation::Retransmits(told) => self.retransmits.take(told, now),
            Observation::Failures(told) => self.failures.take(told, now),
            Observation::Pins(watch) => {
                self.pins = watch == PinWatch::Pinned;
                let why = if let PinWatch::Off(why) = watch { Some(why) } else { None };
                self.is_missing("pins", why);
            }
            Observation::Drops(batch) => {
                self.judge.drops(&batch);
                self.books.dropped(&self.attribution, &batch);
            }
            Observation::Translations(changes) => self.attribution.translations(&changes),
            Observation::Conntrack(source) => {
                self.attribution.conntrack(&source);
                self.is_missing(
                    "translations",
                    if let Conntrack::Off(why) = source { Some(why) } else { None },
                );
            }
            Observation::Claims(claims) => {
                let wall = self.wall(now);
                let Self { judge, attribution, flows, .. } = self;
                judge.claims(&Around { attribution, flows, now, wall }, &claims);
            }
            // The flow's first generation tells the same and its counts; judgements will want it sooner.
            Observation::FirstPacket(_) => {}
            Observation::Host(host) => {
                self.attribution.host(&host);
                if !host.devices.is_empty() {
                    self.not_watched
                        .retain(|ifindex, _| host.devices.iter().any(|(device, _)| device == ifindex));
                }
            }
            Observation::Losses(losses) => {
                self.judge.losses(&losses);
                self.collector_losses = losses;
            }
            // The last word of a tick: all that was seen, dropped and lost in it is known.
            Observation::Resources(resources) => {
                self.resources = resources;
                self.tell_findings(now);
                self.tell_answers(now);
                self.books.remember(&self.attribution, &mut self.names.lookups, self.counted_at);
                return Publish::Soon;
            }
        }
        Publish::No
    }

    /// Keeps that something cannot be seen here, and why; or that it can.
    fn is_missing(&mut self, what: &'static str, why: Option<SafeText>) {
        match why {
            Some(why) => drop(self.missing.insert(what, why)),
            None => drop(self.missing.remove(what)),
        }
    }

    /// What time alone brings about: names given up, flows over, history forgotten.
    pub fn housekeeping(&mut self, now: KernelTime) {
        self.attribution.settle(now);
        self.release_held(now);
        self.release_names(now);
        self.end_flows(now);
        self.subscribers.tidy();
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            self.tell_standing(now);
        }
        if now.since(self.tidied) >= TIDY {
            self.tidied = now;
            self.attribution.prune(now);
            self.forget_inquirers();
            self.books.tidy(&self.attribution);
            self.names.tidy(&self.attribution);
        }
    }

    /// Flows that were taken in and do not wait for a name: their records, if anybody wants them, have left.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.taken.saturating_sub(self.held.counted() as u64)
    }

    /// Nothing more will come: what waits for a name is told without one.
    pub fn finish(&mut self, now: KernelTime) {
        self.attribution.settle(now);
        let late = now.plus(self.settings.attribution.first_answer);
        self.release_held(late);
        self.release_names(late);
        self.tell_answers(now);
        self.shared.finish();
        self.names.lookups.finish();
    }

    fn end_flows(&mut self, now: KernelTime) {
        let mut over = Vec::new();
        self.flows.expire(now, |flow| over.push(flow));
        let (_, start, end) = self.latest;
        let wait = LAST_FLOWS.max(end.since(start) * 3);
        let past = |(_, since): &(InterfaceNumber, KernelTime)| now.since(*since) >= wait;
        if self.gone.iter().any(past) {
            let ended: Vec<InterfaceNumber> =
                self.gone.iter().filter(|gone| past(gone)).map(|(number, _)| *number).collect();
            self.gone.retain(|gone| !past(gone));
            self.flows.end_interfaces(&ended, |flow| over.push(flow));
        }
        for flow in &over {
            self.judge.over(flow.flow_id, &flow.key);
            self.flow_is_over(flow, now);
        }
        // Only now: one may be the other end of another.
        for flow in &over {
            self.sockets.forget(&flow.key);
        }
    }

    /// A moment on the wall clock, to the day: it may have been set meanwhile.
    pub(super) fn wall(&self, now: KernelTime) -> WallTime {
        WallTime(self.settings.booted.0.saturating_add_unsigned(now.0))
    }

    /// What is to be asked now.
    pub fn asks(&mut self, now: KernelTime) -> Vec<Ask> {
        let up = matches!(self.attribution.docker(), DockerState::Up { .. });
        let unowned = self.attribution.interfaces().filter(|watched| {
            up && watched.interface.kind == InterfaceKind::Veth
                && watched.owner.is_none()
                && watched.life.until.is_none()
        });
        let bridges = unowned.filter_map(|watched| watched.bridge().cloned()).map(Ask::NetworkOfBridge);
        let nameless = self.attribution.containers().filter(|known| {
            known.is_running()
                && known.container.namespace.is_none()
                && known.container.network_mode != NetworkMode::Host
        });
        let sandboxes = nameless.filter_map(|known| known.container.sandbox.clone());
        let namespaces =
            sandboxes.filter(|sandbox| !sandbox.is_empty()).map(|sandbox| Ask::Namespace { sandbox });
        let watch = self.attribution.groups_to_watch().cloned();
        let watch = watch.map(|container| Ask::WatchGroup { container });
        let leave = self.attribution.groups_to_leave().cloned();
        let leave = leave.map(|container| Ask::LeaveGroup { container });
        let inside = self.attribution.to_look_into().map(|(container, sandbox)| Ask::WatchInside {
            container: container.clone(),
            sandbox: sandbox.to_owned(),
        });
        let wanted: Vec<Ask> = leave.chain(watch).chain(inside).chain(bridges).chain(namespaces).collect();
        let mut asks = self.asks.due(wanted, now);
        if self.pins {
            asks.extend(self.owners.due(&self.attribution));
        }
        asks
    }

    /// An ask could not be handed over; it is worth another try.
    pub fn not_asked(&mut self, ask: &Ask) {
        match ask {
            Ask::Keep { number, .. } => self.owners.not_told(*number),
            ask => self.asks.afresh(ask),
        }
    }

    /// Adds a reader of records.
    pub fn subscribe(&mut self, filter: Filter, queue: mpsc::Sender<Record>) {
        let Self { standings, judge, subscribers, .. } = self;
        let standing = standings.open().iter().map(|standing| Record::Standing(Arc::clone(standing)));
        // One that was not told yet comes with the others.
        let told = judge.findings().filter(|finding| finding.revision > 0);
        let of_traffic = told.map(|finding| Record::Finding(Arc::new(finding.clone())));
        let open = filter.open && matches!(filter.topic, Topic::Findings | Topic::All);
        subscribers.add(filter, queue, standing.chain(of_traffic).filter(|_| open));
    }

    /// Adds a reader of records in place of another one, whose queue ends here.
    pub fn replace(&mut self, before: &Subscription, filter: Filter, queue: mpsc::Sender<Record>) {
        self.subscribers.remove(before);
        self.subscribe(filter, queue);
    }

    /// Everything, as of `now`.
    pub fn snapshot(&mut self, now: KernelTime) -> Snapshot {
        self.attribution.settle(now);
        let Self { attribution, flows, judge, books, shared, .. } = self;
        let rows = books.rows(attribution, flows, now);
        let mut missing = self.missing.clone();
        missing.extend(books.gaps(&rows.containers).map(|gaps| (snapshot::GAPS, gaps)));
        let findings = (self.findings_told, judge.findings());
        let (networks, pairs, latencies) = shared.rows(books, attribution, self.ticked, findings, now);
        Snapshot {
            host: self.settings.host.clone(),
            taken_at: now,
            counted_at: self.counted_at,
            window: rows.window,
            watching_since: self.watching_since,
            by_agent: self.settings.by_agent,
            docker: self.attribution.docker().clone(),
            docker_refused: self.attribution.refused().cloned(),
            containers: rows.containers,
            unattributed: rows.unattributed,
            bridges: rows.bridges,
            networks,
            pairs,
            latencies,
            asked: self.names.lookups.rows(now),
            not_watched: self.not_watched.values().cloned().collect(),
            missing,
            attached: self.modes.values().copied().collect(),
            interfaces_watched: rows.interfaces_watched,
            flows_kept: self.flows.len(),
            findings: snapshot::findings(self.judge.findings()),
            standing: self.standings.open().to_vec(),
            rights_unknown: self.standings.rights_unknown(),
            drops: self.books.drops().clone(),
            losses: self.losses(),
            resources: self.resources,
            history: self.books.history().kept(),
            past: None,
        }
    }

    /// What is kept of the last hour, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<Interval>> {
        self.books.history().intervals()
    }

    /// Both clocks' readings of one moment: what is remembered from now on is shown by these.
    pub fn clock_is(&mut self, kernel: KernelTime, wall: WallTime) {
        self.books.clock_is(WallTime(wall.0.saturating_sub_unsigned(kernel.0)));
    }

    /// All losses, by name: the collector's and our own.
    fn losses(&self) -> Losses {
        let mut losses = self.collector_losses.clone();
        let own = [self.books.losses(), self.judge.not_kept(), self.standings.not_kept()];
        for others in own.iter().chain([&self.attribution.losses()]) {
            losses.add_all(others);
        }
        losses.add("flows_forgotten", self.flows.forgotten());
        losses.add("names_given_up", self.held.given_up);
        losses.add("dns_askers_given_up", self.names.given_up);
        losses.add("dns_names_forgotten", self.names.forgotten);
        losses.add("retransmits_not_booked", self.retransmits.not_booked);
        losses.add("failures_not_booked", self.failures.not_booked);
        losses.add("half_open_undecided", self.half_open_undecided);
        losses.add("flooded_not_booked", self.flooded);
        losses.add("dns_rows_forgotten", self.names.lookups.forgotten());
        losses.add("records_lost_by_slow_readers", self.subscribers.lost());
        losses
    }

    /// Sizes of everything that could grow: facts, containers, networks, interfaces, flows, flows that wait, questions for
    /// names that wait, names of addresses, and names in rows.
    #[must_use]
    pub fn sizes(&self) -> [usize; 9] {
        let [facts, containers, networks, interfaces] = self.attribution.sizes();
        let [questions, names, rows] = self.names.sizes();
        [facts, containers, networks, interfaces, self.flows.len(), self.held.len(), questions, names, rows]
    }
}
