//! From the books to the rows of a snapshot.

use super::interfaces::Sums;
use super::{Books, BridgeRow, ContainerRow, Conversations, Membership, UnattributedRow};
use crate::attribution::{Attribution, Known, Watched};
use crate::flows::FlowTable;
use crate::model::{ContainerId, ContainerState, InterfaceKind, KernelTime, NetworkMode};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

/// The rows of a snapshot.
#[derive(Debug, Default)]
pub struct Rows {
    /// How long the window is.
    pub window: Duration,
    /// Containers, busiest first.
    pub containers: Vec<ContainerRow>,
    /// Watched interfaces without a container.
    pub unattributed: Vec<UnattributedRow>,
    /// Watched bridges.
    pub bridges: Vec<BridgeRow>,
    /// How many interfaces are watched.
    pub interfaces_watched: usize,
}

/// What was counted at a container's interfaces.
#[derive(Default)]
struct Counted<'a> {
    sums: Sums,
    live: Vec<&'a Watched>,
    any: bool,
    alive: u64,
}

impl Books {
    /// The rows as of `now`.
    #[must_use]
    pub fn rows(&self, attribution: &Attribution, flows: &FlowTable, now: KernelTime) -> Rows {
        let base = self.base();
        let mut rows = Rows { window: base.window, ..Rows::default() };
        let mut counted: HashMap<&ContainerId, Counted<'_>> = HashMap::new();
        for watched in attribution.interfaces() {
            let Some(account) = self.accounts.get(&watched.interface.number) else { continue };
            let sums = account.sums(base);
            let live = account.gone.is_none();
            let is_device = watched.interface.kind != InterfaceKind::Cgroup;
            rows.interfaces_watched += usize::from(live && is_device);
            if watched.interface.kind == InterfaceKind::Bridge {
                if live {
                    rows.bridges.push(bridge_row(watched, &sums));
                }
            } else if let Some(known) = attribution.owner(watched.interface.number) {
                let of_container = counted.entry(&known.container.id).or_default();
                of_container.sums += sums;
                of_container.any = true;
                of_container.alive += flows.alive(watched.interface.number);
                if live {
                    of_container.live.push(watched);
                }
            } else if live {
                let reason = attribution.why_unowned(watched, now);
                rows.unattributed.push(unattributed_row(watched, reason, &sums));
            }
        }
        for known in attribution.containers() {
            let mut of_container = counted.remove(&known.container.id).unwrap_or_default();
            if let Some(closed) = self.closed.get(&known.container.id) {
                of_container.sums += *closed;
            }
            let window = of_container.sums.window;
            if known.is_running()
                || !of_container.live.is_empty()
                || !window.sent.is_zero()
                || !window.received.is_zero()
            {
                rows.containers.push(self.container_row(attribution, known, &of_container));
            }
        }
        rows.sort();
        rows
    }

    fn container_row(&self, attribution: &Attribution, known: &Known, counted: &Counted<'_>) -> ContainerRow {
        let container = &known.container;
        let watched = !counted.live.is_empty();
        let explained = watched || counted.any;
        let (opened, accepted) = self.connections.get(&container.id).copied().unwrap_or_default();
        ContainerRow {
            container: known.reference().clone(),
            state: if known.gone.is_some() { ContainerState::Exited } else { container.state },
            started_at: container.started_at,
            memberships: memberships(attribution, known, &counted.live),
            totals: counted.sums.totals,
            window: counted.sums.window,
            before_watch: counted.sums.before_watch,
            not_recorded: counted.sums.not_recorded,
            unaccounted_bytes: counted.sums.difference.map(|difference| difference.bytes),
            watched,
            unwatched_reason: (!explained).then(|| self.why_unwatched(attribution, known)),
            handshake: self.handshakes.get(&container.id).and_then(|latency| latency.percentiles()),
            handshake_steps: self.steps.get(&container.id).copied(),
            peers: self.peers.busiest(&container.id, self.window_start()),
            conversations: Conversations { alive: counted.alive, opened, accepted },
            dropped: self.dropped.get(&container.id).copied().unwrap_or(0),
            details: container.details.clone(),
        }
    }
}

impl Books {
    fn why_unwatched(&self, attribution: &Attribution, known: &Known) -> String {
        match self.groups_refused.get(&known.container.id) {
            Some(reason) => format!("host mode, and its control group cannot be watched: {reason}"),
            None => match self.inside_refused.get(&known.container.id) {
                Some(reason) => format!("its device is in its own network namespace: {reason}"),
                None => why_unwatched(attribution, known),
            },
        }
    }
}

impl Rows {
    fn sort(&mut self) {
        self.containers.sort_by_key(|row| {
            let bytes = row.window.sent.bytes.saturating_add(row.window.received.bytes);
            (Reverse(bytes), row.container.name.clone(), row.container.id.clone())
        });
        self.unattributed.sort_by_key(|row| row.observed_at.number);
        self.bridges.sort_by_key(|row| row.observed_at.number);
    }
}

fn bridge_row(watched: &Watched, sums: &Sums) -> BridgeRow {
    BridgeRow {
        observed_at: watched.observed_at.clone(),
        network: watched.network.clone(),
        totals: sums.totals,
    }
}

fn unattributed_row(watched: &Watched, reason: &'static str, sums: &Sums) -> UnattributedRow {
    UnattributedRow {
        observed_at: watched.observed_at.clone(),
        network: watched.network.clone(),
        reason,
        totals: sums.totals,
        window: sums.window,
        before_watch: sums.before_watch,
    }
}

fn memberships(attribution: &Attribution, known: &Known, live: &[&Watched]) -> Vec<Membership> {
    let mut memberships: Vec<Membership> = known
        .container
        .endpoints
        .iter()
        .filter_map(|endpoint| {
            let network = attribution.network(&endpoint.network)?.reference().clone();
            let at = live.iter().find(|watched| {
                watched.network.as_ref().is_some_and(|network| network.id == endpoint.network)
            });
            Some(Membership {
                network,
                addresses: endpoint.addresses.clone(),
                mac: endpoint.mac,
                interface: at.map(|watched| (watched.interface.name.clone(), watched.interface.ifindex)),
            })
        })
        .collect();
    memberships.extend(on_host(&memberships, live));
    memberships.sort_by(|a, b| a.network.name.cmp(&b.network.name));
    memberships
}

/// The host's network, for a container that is watched at its control group, unless that lists it.
fn on_host(listed: &[Membership], live: &[&Watched]) -> Option<Membership> {
    let watched = live.iter().find(|watched| watched.interface.kind == InterfaceKind::Cgroup)?;
    let network = watched.network.clone()?;
    if listed.iter().any(|other| other.network.id == network.id) {
        return None;
    }
    let interface = Some((watched.interface.name.clone(), watched.interface.ifindex));
    Some(Membership { network, addresses: Vec::new(), mac: None, interface })
}

fn why_unwatched(attribution: &Attribution, known: &Known) -> String {
    let container = &known.container;
    match &container.network_mode {
        NetworkMode::Host => "host mode: its control group is not watched yet".into(),
        NetworkMode::None => "it has no network".into(),
        NetworkMode::SharedWith(owner) => {
            let name =
                attribution.container(owner).map_or(owner.short(), |known| known.container.name.as_str());
            format!("its packets are counted with {name}, whose network namespace it shares")
        }
        NetworkMode::Networks => {
            let drivers = container.endpoints.iter().filter_map(|endpoint| {
                let driver = &attribution.network(&endpoint.network)?.network.driver;
                (!driver.has_host_end()).then(|| driver.name())
            });
            let drivers: Vec<&str> = drivers.collect();
            if drivers.is_empty() {
                "no interface of it is watched".into()
            } else {
                let drivers = drivers.join(" and ");
                format!(
                    "a {drivers} network has no end on the host, and no device was found in its namespace yet"
                )
            }
        }
    }
}
