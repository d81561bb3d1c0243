//! Everything the engine knows, and what each change and observation does to it. No I/O, no clock: time is an
//! argument, so a recorded scenario replays exactly.

use super::Settings;
use super::asks::{Ask, Asks};
use super::held::Held;
use super::inquirers::Inquirers;
use super::subscribers::{Filter, Subscribers};
use crate::attribution::Attribution;
use crate::flows::{self, FlowTable};
use crate::model::{
    AttachMode, Change, DockerState, InterfaceKind, InterfaceNumber, KernelTime, Losses, NetworkMode,
    NotWatched, Observation, Resources, WallTime,
};
use crate::policy::{Around, Judge};
use crate::snapshot::{self, Books, Record, Snapshot};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Devices that are not watched and are listed, at most.
const NOT_WATCHED: usize = 1_024;
/// How often what is over is looked for.
const TIDY: Duration = Duration::from_secs(1);
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
    pub(super) books: Books,
    pub(super) held: Held,
    pub(super) subscribers: Subscribers,
    pub(super) inquirers: Inquirers,
    pub(super) asks: Asks,
    /// Epoch, start and end of the latest generation.
    pub(super) latest: (u64, KernelTime, KernelTime),
    gone: Vec<(InterfaceNumber, KernelTime)>,
    not_watched: BTreeMap<u32, NotWatched>,
    modes: HashMap<InterfaceNumber, AttachMode>,
    collector_losses: Losses,
    resources: Resources,
    watching_since: KernelTime,
    tidied: KernelTime,
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
            books: Books::new(snapshot::Settings { window: settings.window }),
            held: Held::default(),
            subscribers: Subscribers::default(),
            inquirers: Inquirers::default(),
            asks: Asks::default(),
            latest: (0, now, now),
            gone: Vec::new(),
            not_watched: BTreeMap::new(),
            modes: HashMap::new(),
            collector_losses: Losses::default(),
            resources: Resources::default(),
            watching_since: now,
            tidied: now,
            settings,
        }
    }

    /// Takes in what the inventory told.
    pub fn change(&mut self, change: &Change) -> Publish {
        self.attribution.change(change);
        Publish::Soon
    }

    /// Takes in what the collector saw.
    pub fn observe(&mut self, observation: Observation, now: KernelTime) -> Publish {
        match observation {
            Observation::Attached { interface, at, mode, before, after } => {
                self.attribution.attached(&interface, at);
                self.books.attached(interface.number, at, before, after);
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
            Observation::NotWatched(device) => {
                if self.not_watched.len() < NOT_WATCHED || self.not_watched.contains_key(&device.ifindex) {
                    self.not_watched.insert(device.ifindex, device);
                }
                return Publish::Soon;
            }
            Observation::Namespace { sandbox, namespace } => {
                if let Some(namespace) = namespace {
                    self.attribution.namespace(&sandbox, namespace, now);
                }
            }
            Observation::Flows(batch) => {
                // With the tick's last flows, totals and peers are about the same time.
                let complete = batch.last;
                self.take_flows(batch, now);
                return if complete { Publish::Now } else { Publish::No };
            }
            Observation::Totals(readings) => {
                self.books.read(&readings);
                return Publish::Soon;
            }
            Observation::Sample(sample) => self.take_sample(sample),
            Observation::DropWatch(watch) => self.judge.drop_watch(watch),
            Observation::Drops(batch) => self.judge.drops(&batch),
            Observation::Translations(changes) => self.judge.translations(&changes),
            Observation::Conntrack(source) => self.judge.conntrack(&source),
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
                return Publish::Soon;
            }
        }
        Publish::No
    }

    /// What time alone brings about: names given up, flows over, history forgotten.
    pub fn housekeeping(&mut self, now: KernelTime) {
        self.attribution.settle(now);
        self.release_held(now);
        self.end_flows(now);
        self.subscribers.tidy();
        if now.since(self.tidied) >= TIDY {
            self.tidied = now;
            self.attribution.prune(now);
            self.forget_inquirers();
            self.books.tidy(&self.attribution);
        }
    }

    /// Nothing more will come: what waits for a name is told without one.
    pub fn finish(&mut self, now: KernelTime) {
        self.attribution.settle(now);
        self.release_held(now.plus(self.settings.attribution.announcement));
        self.tell_answers(now);
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
        for flow in over {
            self.judge.over(flow.flow_id, &flow.key);
            self.flow_is_over(&flow, now);
        }
    }

    /// A moment on the wall clock, to the day: it may have been set meanwhile.
    pub(super) fn wall(&self, now: KernelTime) -> WallTime {
        WallTime(self.settings.booted.0.saturating_add_unsigned(now.0))
    }

    /// What the judge has to tell at the end of a tick.
    fn tell_findings(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, subscribers, .. } = self;
        let around = Around { attribution, flows, now, wall };
        for finding in judge.tick(&around, self.latest.0) {
            subscribers.send_finding(&finding);
        }
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
        let wanted: Vec<Ask> = bridges.chain(namespaces).collect();
        self.asks.due(wanted, now)
    }

    /// An ask could not be handed over; it is worth another try.
    pub fn not_asked(&mut self, ask: &Ask) {
        self.asks.afresh(ask);
    }

    /// Adds a reader of records.
    pub fn subscribe(&mut self, filter: Filter, queue: mpsc::Sender<Record>) {
        self.subscribers.add(filter, queue);
    }

    /// Everything, as of `now`.
    pub fn snapshot(&mut self, now: KernelTime) -> Snapshot {
        self.attribution.settle(now);
        let rows = self.books.rows(&self.attribution, now);
        Snapshot {
            host: self.settings.host.clone(),
            taken_at: now,
            window: rows.window,
            watching_since: self.watching_since,
            docker: self.attribution.docker().clone(),
            containers: rows.containers,
            unattributed: rows.unattributed,
            bridges: rows.bridges,
            not_watched: self.not_watched.values().cloned().collect(),
            attached: self.modes.values().copied().collect(),
            interfaces_watched: rows.interfaces_watched,
            flows_kept: self.flows.len(),
            findings: snapshot::findings(self.judge.findings()),
            losses: self.losses(),
            resources: self.resources,
        }
    }

    /// All losses, by name: the collector's and our own.
    fn losses(&self) -> Losses {
        let mut losses = self.collector_losses.clone();
        for (name, count) in self.attribution.losses().iter().chain(self.books.losses().iter()) {
            losses.add(name, count);
        }
        for (name, count) in self.judge.not_kept().iter() {
            losses.add(name, count);
        }
        losses.add("flows_forgotten", self.flows.forgotten());
        losses.add("names_given_up", self.held.given_up);
        losses.add("records_lost_by_slow_readers", self.subscribers.lost());
        losses
    }

    /// Sizes of everything that could grow: facts, containers, networks, interfaces, flows, flows that wait.
    #[must_use]
    pub fn sizes(&self) -> [usize; 6] {
        let [facts, containers, networks, interfaces] = self.attribution.sizes();
        [facts, containers, networks, interfaces, self.flows.len(), self.held.len()]
    }
}
