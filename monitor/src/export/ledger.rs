//! What is exported, kept from snapshot to snapshot.

use super::containers::{self, Container};
use super::findings::Findings;
use super::labels::Labels;
use super::latencies::Latencies;
use super::names::{self, Asker};
use super::networks::{self, Network};
use super::pairs::Pairs;
use super::shelf::{Budget, Shelf};
use super::{Clients, Options, Page, Reload, families as family};
use crate::model::{ContainerId, DockerState, Losses, NetworkId, Resources, SafeText};
use crate::snapshot::{Finding, GAPS, Service, Snapshot, reason};
use crate::wire::losses::LOSSES;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Reasons for which an interface has no container: what never happened is 0.
const UNATTRIBUTED: [&str; 4] =
    [reason::DOCKER_DOWN, reason::NOT_ANNOUNCED_YET, reason::NOT_A_CONTAINER, reason::SWARM_LOAD_BALANCER];
/// What drops are called in what is missing.
const DROPS: &str = "drops";

/// All figures that are exported. Counters only grow: what a snapshot no longer has, or has less of, stays as it was.
#[derive(Debug)]
pub struct Ledger {
    options: Options,
    budget: Budget,
    /// Pairs have their own, so that they never take room from containers.
    budget_of_pairs: Budget,
    latest: Arc<Snapshot>,
    containers: Shelf<ContainerId, Container>,
    askers: Shelf<ContainerId, Asker>,
    networks: Shelf<NetworkId, Network>,
    pairs: Pairs,
    latencies: Latencies,
    findings: Findings,
    drops: BTreeMap<SafeText, u64>,
    losses: BTreeMap<String, u64>,
    is_well: bool,
    reload: Option<Reload>,
    clients: Option<Clients>,
    helper_restarts: Option<u64>,
}

impl Ledger {
    /// Of the first snapshot.
    #[must_use]
    pub fn new(options: Options, first: &Arc<Snapshot>) -> Self {
        let of_container = if options.cadvisor { containers::COST_WITH_CADVISOR } else { containers::COST };
        let of_pairs = if options.pairs { options.most_series / 2 } else { 0 };
        let mut ledger = Self {
            options,
            budget: Budget::new(options.most_series - of_pairs),
            budget_of_pairs: Budget::new(of_pairs),
            latest: Arc::clone(first),
            containers: Shelf::new(of_container),
            askers: Shelf::new(names::COST),
            networks: Shelf::new(networks::COST),
            pairs: Pairs::new(),
            latencies: Latencies::new(),
            findings: Findings::new(),
            drops: BTreeMap::new(),
            losses: LOSSES.iter().map(|loss| (loss.name.to_owned(), 0)).collect(),
            is_well: true,
            reload: None,
            clients: None,
            helper_restarts: None,
        };
        ledger.take(first);
        ledger
    }

    /// Takes in a snapshot. Each has to be taken in, since a container may be in a few only.
    pub fn take(&mut self, snapshot: &Arc<Snapshot>) {
        let (at, budget) = (snapshot.taken_at, &mut self.budget);
        self.latest = Arc::clone(snapshot);
        self.containers.each(Container::is_over);
        for row in &snapshot.containers {
            let new = || Container::new(&row.container);
            if let Some(container) = self.containers.seen(&row.container.id, at, budget, new) {
                container.take(row);
            }
        }
        for row in &snapshot.asked.containers {
            if let Some(asker) = self.askers.seen(&row.container.id, at, budget, || Asker::new(row)) {
                asker.take(row);
            }
        }
        for row in &*snapshot.networks {
            if let Some(network) = self.networks.seen(&row.network.id, at, budget, || Network::new(row)) {
                network.take(row);
            }
        }
        self.containers.tidy(at, budget, |_| true);
        self.askers.tidy(at, budget, |_| true);
        self.networks.tidy(at, budget, |_| true);
        if self.options.pairs {
            let (containers, budget) = (&self.containers, &mut self.budget_of_pairs);
            self.pairs.take(snapshot, at, budget);
            self.pairs.tidy(at, budget, |id| containers.has(id));
            self.latencies.take(&snapshot.latencies, at, budget);
            let services: HashSet<Service> = containers.iter().map(|(_, one)| one.service()).collect();
            self.latencies.tidy(at, budget, |service| services.contains(service));
        }
        self.findings.tidy(at);
        for (reason, packets) in &snapshot.drops {
            keep(&mut self.drops, reason, *packets);
        }
        self.lose(&snapshot.losses);
    }

    fn lose(&mut self, losses: &Losses) {
        for (name, count) in losses.iter() {
            match self.losses.get_mut(name) {
                Some(kept) => *kept = (*kept).max(count),
                None => drop(self.losses.insert(name.to_owned(), count)),
            }
        }
    }

    /// Takes in a finding that was told, new or revised.
    pub fn told(&mut self, finding: &Finding) {
        self.findings.told(finding, &mut self.budget);
    }

    /// Takes in whether the agent still counts, which no snapshot can tell.
    pub fn is_well(&mut self, is_well: bool) {
        self.is_well = is_well;
    }

    /// Takes in how the latest reading of settings and policy went.
    pub const fn reloaded(&mut self, reload: Reload) {
        self.reload = Some(reload);
    }

    /// Takes in how the clients of the socket fare.
    pub const fn clients(&mut self, clients: Clients) {
        self.clients = Some(clients);
    }

    /// Takes in how often the helper was started anew.
    pub const fn helper_restarts(&mut self, restarts: u64) {
        self.helper_restarts = Some(restarts);
    }

    /// All series as they are now.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::default();
        let drops = !self.latest.missing.contains_key(DROPS);
        page.add(&family::BUILD, &Labels::one("version", env!("CARGO_PKG_VERSION")), 1_u64);
        self.containers.iter().for_each(|(_, it)| it.write(&mut page, drops, self.options.cadvisor));
        self.askers.iter().for_each(|(_, asker)| asker.write(&mut page));
        self.networks.iter().for_each(|(_, network)| network.write(&mut page));
        self.pairs.write(&mut page);
        self.latencies.write(&mut page);
        self.findings.write(&mut page);
        self.write_losses(&mut page, drops);
        self.write_watch(&mut page);
        self.write_clients(&mut page);
        self.write_agent(&mut page);
        page.sort();
        page
    }

    fn write_losses(&self, page: &mut Page, drops: bool) {
        for (reason, packets) in self.drops.iter().filter(|_| drops) {
            page.add(&family::DROPPED, &Labels::one("reason", reason.as_str()), *packets);
        }
        for (name, count) in &self.losses {
            page.add(&family::LOST, &Labels::one("reason", name), *count);
        }
        let mut posture: HashMap<_, u64> = HashMap::new();
        for standing in &self.latest.standing {
            *posture.entry((standing.rule.name(), standing.severity)).or_default() += 1;
        }
        for ((rule, severity), count) in posture {
            let labels = Labels::one("rule", rule).with("severity", severity.name());
            page.add(&family::POSTURE_OPEN, &labels, count);
        }
    }

    fn write_clients(&self, page: &mut Page) {
        let none = Labels::default();
        if let Some(restarts) = self.helper_restarts {
            page.add(&family::HELPER_RESTARTS, &none, restarts);
        }
        let Some(clients) = self.clients else { return };
        page.add(&family::SOCKET_CLIENTS, &none, clients.now);
        page.add(&family::SOCKET_REFUSED, &none, clients.refused);
        page.add(&family::SOCKET_LOST, &none, clients.records_lost);
    }

    fn write_watch(&self, page: &mut Page) {
        let (none, latest) = (Labels::default(), &self.latest);
        let watched = latest.containers.iter().filter(|row| row.watched).count();
        for (is, count) in [("true", watched), ("false", latest.containers.len() - watched)] {
            page.add(&family::CONTAINERS, &Labels::one("watched", is), count);
        }
        for (mode, count) in [("tcx", latest.attached.tcx), ("clsact", latest.attached.clsact)] {
            page.add(&family::INTERFACES_ATTACHED, &Labels::one("mode", mode), count);
        }
        page.add(&family::INTERFACES_NOT_WATCHED, &none, latest.not_watched.len());
        let mut unattributed: BTreeMap<&str, (u64, u64)> = UNATTRIBUTED.map(|reason| (reason, (0, 0))).into();
        for row in &latest.unattributed {
            let (interfaces, bytes) = unattributed.entry(row.reason).or_default();
            *interfaces += 1;
            *bytes += row.totals.sent.bytes + row.totals.received.bytes;
        }
        for (reason, (interfaces, bytes)) in unattributed {
            let labels = Labels::one("reason", reason);
            page.add(&family::INTERFACES_UNATTRIBUTED, &labels, interfaces);
            page.add(&family::UNATTRIBUTED_BYTES, &labels, bytes);
        }
        // Containers have figures of their own, and are no feature of the kernel.
        for feature in latest.missing.keys().filter(|feature| **feature != GAPS) {
            page.add(&family::FEATURE_MISSING, &Labels::one("feature", feature), 1_u64);
        }
        page.add(&family::DOCKER_UP, &none, matches!(latest.docker, DockerState::Up { .. }));
        let Resources { flows, flows_ipv6, flow_capacity, .. } = latest.resources;
        // A page may come before the first generation was read.
        if flow_capacity == 0 {
            return;
        }
        for (of, flows) in [("ipv4", flows.saturating_sub(flows_ipv6)), ("ipv6", flows_ipv6)] {
            page.add(&family::FLOWS_LAST_TICK, &Labels::one("family", of), flows);
        }
        page.add(&family::FLOW_CAPACITY, &none, flow_capacity);
    }

    fn write_agent(&self, page: &mut Page) {
        let (none, resources) = (Labels::default(), &self.latest.resources);
        page.add(&family::HEALTHY, &none, self.is_well);
        if let Some(time) = resources.cpu_ns {
            page.add(&family::AGENT_CPU, &none, Duration::from_nanos(time));
        }
        if let Some(bytes) = resources.resident_bytes {
            page.add(&family::AGENT_RESIDENT, &none, bytes);
        }
        let history = self.latest.history;
        page.add(&family::HISTORY_BYTES, &none, history.bytes as u64);
        page.add(&family::HISTORY_SECONDS, &none, self.latest.taken_at.since(history.since.kernel));
        if let Some(reload) = self.reload {
            page.add(&family::CONFIG_SUCCESSFUL, &none, reload.successful);
            page.add(&family::CONFIG_TIME, &none, reload.success);
        }
        let refused = self.budget.refused + self.budget_of_pairs.refused;
        page.add(&family::SERIES_REFUSED, &none, refused);
        page.add(&family::SERIES, &none, page.series() + 1);
    }
}

fn keep(counters: &mut BTreeMap<SafeText, u64>, name: &SafeText, count: u64) {
    let kept = counters.entry(name.clone()).or_default();
    *kept = (*kept).max(count);
}
