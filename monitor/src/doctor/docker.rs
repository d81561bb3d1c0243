//! Docker's side: what it told, what of it has no interface that could be watched, and what its configuration says.

use super::Finding;
use crate::attribution::{Attribution, Known, KnownNetwork, SwarmRef};
use crate::collector::probe::{Cgroups, Report};
use crate::model::{
    Change, Container, ContainerState, DockerState, KernelTime, Network, NetworkDriver, NetworkId,
    NetworkMode, SafeText, WallTime,
};
use crate::policy::file::Policy;
use crate::policy::posture::{Look, PostureRule, look};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

/// The least of a network's id that a namespace is called by.
const SHORTEST_ID: usize = 8;
/// The most names that one line lists.
const MOST_NAMES: usize = 5;

/// What Docker told.
#[derive(Debug)]
pub struct Docker {
    facts: Attribution,
    complete: bool,
}

impl Default for Docker {
    fn default() -> Self {
        Self { facts: Attribution::new(crate::attribution::Settings::default()), complete: false }
    }
}

impl Docker {
    /// Takes in one more fact.
    pub fn learn(&mut self, change: &Change) {
        self.facts.change(change);
        self.complete |= matches!(change, Change::Complete { .. });
    }

    /// Whether it was found not to answer, or everything that exists was told.
    #[must_use]
    pub fn has_told_all(&self) -> bool {
        self.complete || matches!(self.state(), DockerState::Down { .. })
    }

    /// The networks of the swarm that containers of this node are on, and of which was not told who else is: their names, in order.
    #[must_use]
    pub fn swarm_untold(&self) -> Vec<&SafeText> {
        let running = self.facts.containers().filter(|known| known.is_running());
        let mut names: Vec<&SafeText> = running
            .flat_map(|known| &known.container.endpoints)
            .filter_map(|endpoint| self.facts.network(&endpoint.network))
            .filter(|known| known.network.driver == NetworkDriver::Overlay)
            .filter(|known| !self.facts.has_told_swarm(&known.network.id))
            .map(|known| &known.network.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether also the rights of all containers that run were told, if it answers.
    #[must_use]
    pub fn has_told_rights(&self) -> bool {
        let mut running = self.facts.containers().filter(|known| known.is_running());
        self.has_told_all() && running.all(|known| known.container.rights.is_some())
    }

    /// Whether it answers.
    #[must_use]
    pub fn state(&self) -> &DockerState {
        self.facts.docker()
    }

    /// The containers that exist, in the order of their ids.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        let there = self.facts.containers().filter(|known| known.gone.is_none());
        let mut there: Vec<&Known> = there.collect();
        there.sort_by(|a, b| a.container.id.cmp(&b.container.id));
        there.into_iter().map(|known| &known.container)
    }

    /// The networks that exist, in the order of their ids.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        let mut there: Vec<&KnownNetwork> = self.facts.networks().collect();
        there.sort_by(|a, b| a.network.id.cmp(&b.network.id));
        there.into_iter().map(|known| &known.network)
    }

    /// Whether a network is the swarm's own, of published ports.
    #[must_use]
    pub fn is_ingress(&self, network: &NetworkId) -> bool {
        let overlay = self.facts.network(network).and_then(|known| known.network.overlay.as_ref());
        overlay.is_some_and(|overlay| overlay.ingress)
    }

    /// Who is in the swarm and no container of this node, by network and address.
    #[must_use]
    pub fn elsewhere(&self) -> Vec<&SwarmRef> {
        let endpoints = self.containers().flat_map(|container| &container.endpoints);
        let here: HashSet<(&NetworkId, IpAddr)> = endpoints
            .flat_map(|endpoint| endpoint.addresses.iter().map(|address| (&endpoint.network, *address)))
            .collect();
        let members = self.facts.swarm_members().map(AsRef::as_ref);
        let mut elsewhere: Vec<&SwarmRef> =
            members.filter(|who| !here.contains(&(&who.network.id, who.member.address))).collect();
        elsewhere.sort_by_key(|who| (&who.network.name, &who.network.id, who.member.address));
        elsewhere
    }

    /// What its configuration says about isolation.
    fn posture(&mut self, policy: &Policy, wall: WallTime) -> Look {
        let now = KernelTime::default();
        self.facts.settle(now);
        look(&self.facts, policy, now, wall)
    }

    /// Whether the path of a namespace is that of an overlay network's own.
    pub(super) fn is_of_overlay(&self, path: &Path) -> bool {
        // Docker calls it by how often it was made, and the network's id.
        let name = path.file_name().and_then(OsStr::to_str);
        let Some((_, id)) = name.and_then(|name| name.split_once('-')) else { return false };
        let mut overlays = self.networks().filter(|network| network.driver == NetworkDriver::Overlay);
        id.len() >= SHORTEST_ID && overlays.any(|network| network.id.as_str().starts_with(id))
    }

    pub(super) fn judge(&mut self, policy: &Policy, wall: WallTime, report: &Report) -> Vec<Finding> {
        let posture = self.posture(policy, wall);
        let mut findings = vec![self.engine()];
        findings.extend(self.rootless());
        findings.extend(self.host_mode(report.cgroups));
        findings.extend(self.shared());
        findings.extend(self.without_host_end(report));
        findings.extend(told(&posture, &findings));
        findings
    }

    fn engine(&self) -> Finding {
        let todo = "start Docker, or say where it is with --docker-host or DOCKER_HOST";
        match self.state() {
            DockerState::Up { version, api, host, .. } => {
                let containers = self.running().len();
                Finding::ok(
                    "docker",
                    format!("{version} (API {api}) at {host}, {containers} containers running"),
                )
            }
            DockerState::Down { reason, .. } => Finding::missing("docker", reason, todo),
            DockerState::Connecting => Finding::missing("docker", "it does not answer in time", todo),
        }
    }

    fn rootless(&self) -> Option<Finding> {
        let rootless = matches!(self.state(), DockerState::Up { rootless: true, .. });
        rootless.then(|| {
            Finding::missing(
                "rootless",
                "this Docker is rootless: its bridges and veths are in a namespace of its own",
                "run vethwatch there: nsenter --net=/proc/PID/ns/net, PID being that of the engine's dockerd",
            )
        })
    }

    fn host_mode(&self, cgroups: Cgroups) -> Option<Finding> {
        let names = self.names(|container| container.network_mode == NetworkMode::Host)?;
        Some(match cgroups {
            Cgroups::V2 | Cgroups::Hybrid => Finding::posture(
                "host-mode",
                format!("{names}: in the host's own network, counted at their control groups"),
                "give them a network of their own: Docker's isolation does not hold for them",
            ),
            Cgroups::V1 | Cgroups::None => Finding::limited(
                "host-mode",
                format!("{names}: in the host's own network, not counted without cgroup version 2"),
                "mount cgroup version 2, or give them a network of their own",
            ),
        })
    }

    fn shared(&self) -> Option<Finding> {
        let names = self.names(|container| matches!(container.network_mode, NetworkMode::SharedWith(_)))?;
        Some(Finding::limited(
            "shared-namespace",
            format!("{names}: in another container's network, counted together with it"),
            "give them a network of their own",
        ))
    }

    /// Endpoints of other drivers than `bridge`, which have no veth in this namespace.
    fn without_host_end(&self, report: &Report) -> Vec<Finding> {
        let mut drivers: Vec<NetworkDriver> = self.networks().map(|network| network.driver.clone()).collect();
        drivers.retain(|driver| !driver.has_host_end());
        drivers.sort_by(|a, b| a.name().cmp(b.name()));
        drivers.dedup();
        let one = |driver: NetworkDriver| {
            let on_it = |container: &Container| {
                let networks = container.endpoints.iter().filter_map(|at| self.facts.network(&at.network));
                networks.into_iter().any(|known| known.network.driver == driver)
            };
            let names = self.names(on_it)?;
            let on = format!("{names}: on {} networks, which have no end on the host", driver.name());
            Some(match report.can_watch_inside() {
                Ok(()) => Finding::ok("drivers", format!("{on}; watched in their own namespaces")),
                Err(missing) => Finding::limited(
                    "drivers",
                    format!("{on}; not watched in their own namespaces: {missing}"),
                    "use bridge networks for what is to be watched",
                ),
            })
        };
        drivers.into_iter().filter_map(one).collect()
    }

    fn running(&self) -> Vec<&Container> {
        let runs = |state| matches!(state, ContainerState::Running | ContainerState::Paused);
        self.containers().filter(|container| runs(container.state)).collect()
    }

    /// The names of the running containers of a kind; `None` if there are none.
    fn names(&self, kind: impl Fn(&Container) -> bool) -> Option<String> {
        let running = self.running();
        some(running.iter().filter(|one| kind(one)).map(|container| container.name.as_str()))
    }
}

/// The first of some names, and how many more; `None` if there are none.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > MOST_NAMES => Some(format!("{shown} and {} more", count - MOST_NAMES)),
        _ => Some(shown),
    }
}

/// What the configuration says, a line for each rule that is not told already.
fn told(posture: &Look, already: &[Finding]) -> Vec<Finding> {
    let one = |rule: PostureRule| {
        let of_rule = posture.standing.iter().filter(|standing| standing.rule == rule);
        let names = some(of_rule.map(|standing| standing.subject.name().as_str()))?;
        Some(Finding::posture(rule.name(), format!("{names}: {}", rule.means()), rule.todo()))
    };
    let rules = PostureRule::ALL.into_iter();
    let new = rules.filter(|rule| already.iter().all(|finding| finding.subject != rule.name()));
    let mut findings: Vec<Finding> = new.filter_map(one).collect();
    if posture.rights_unknown > 0 {
        let found =
            format!("rights and mounts of {} containers were not told in time", posture.rights_unknown);
        findings.push(Finding::limited("rights", found, "run it again while Docker has less to do"));
    }
    findings
}
