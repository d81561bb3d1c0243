//! Docker's side, and what of it has no interface that could be watched.

use super::Finding;
use crate::model::{
    Change, Container, ContainerId, ContainerState, DockerState, Network, NetworkDriver, NetworkId,
    NetworkMode,
};
use std::collections::BTreeMap;

/// The most names that one line lists.
const MOST_NAMES: usize = 5;

/// What Docker told.
#[derive(Clone, Debug, Default)]
pub struct Docker {
    state: Option<DockerState>,
    containers: BTreeMap<ContainerId, Container>,
    networks: BTreeMap<NetworkId, Network>,
}

impl Docker {
    /// Takes in one more fact.
    pub fn learn(&mut self, change: Change) {
        match change {
            Change::Docker(state) => self.state = Some(state),
            Change::Container { container, .. } => {
                self.containers.insert(container.id.clone(), *container);
            }
            Change::Network { network, .. } => {
                self.networks.insert(network.id.clone(), network);
            }
            Change::NetworkGone { .. }
            | Change::Endpoint { .. }
            | Change::EndpointGone { .. }
            | Change::ContainerStopped { .. }
            | Change::ContainerGone { .. }
            | Change::Complete { .. }
            | Change::Refused { .. } => {}
        }
    }

    /// Whether it answers, if that is known.
    #[must_use]
    pub fn state(&self) -> Option<&DockerState> {
        self.state.as_ref()
    }

    /// The containers that exist.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values()
    }

    /// The networks that exist.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        let mut findings = vec![self.engine()];
        findings.extend(self.rootless());
        findings.extend(self.host_mode());
        findings.extend(self.shared());
        findings.extend(self.without_host_end());
        findings
    }

    fn engine(&self) -> Finding {
        let todo = "start Docker, or say where it is with --docker-host or DOCKER_HOST";
        match &self.state {
            Some(DockerState::Up { version, api, host, .. }) => {
                let containers = self.running().count();
                Finding::ok(
                    "docker",
                    format!("{version} (API {api}) at {host}, {containers} containers running"),
                )
            }
            Some(DockerState::Down { reason, .. }) => Finding::missing("docker", reason, todo),
            Some(DockerState::Connecting) | None => {
                Finding::missing("docker", "it does not answer in time", todo)
            }
        }
    }

    fn rootless(&self) -> Option<Finding> {
        let rootless = matches!(self.state, Some(DockerState::Up { rootless: true, .. }));
        rootless.then(|| {
            Finding::missing(
                "rootless",
                "this Docker is rootless: its bridges and veths are in a namespace of its own",
                "run vethwatch there: nsenter --net=/proc/PID/ns/net, PID being that of the engine's dockerd",
            )
        })
    }

    fn host_mode(&self) -> Option<Finding> {
        let names = self.names(|container| container.network_mode == NetworkMode::Host)?;
        Some(Finding::limited(
            "host-mode",
            format!("{names}: traffic in the host's own network, shown as the host's"),
            "give them a network of their own",
        ))
    }

    fn shared(&self) -> Option<Finding> {
        let names = self.names(|container| matches!(container.network_mode, NetworkMode::SharedWith(_)))?;
        Some(Finding::limited(
            "shared-namespace",
            format!("{names}: in another container's network, counted together with it"),
            "give them a network of their own",
        ))
    }

    /// macvlan, ipvlan and overlay endpoints, which have no veth in this namespace.
    fn without_host_end(&self) -> Vec<Finding> {
        let drivers = [NetworkDriver::Macvlan, NetworkDriver::Ipvlan, NetworkDriver::Overlay];
        let one = |driver: NetworkDriver| {
            let on_it = |container: &Container| {
                let networks = container.endpoints.iter().filter_map(|at| self.networks.get(&at.network));
                networks.into_iter().any(|network| network.driver == driver)
            };
            let names = self.names(on_it)?;
            let found = format!("{names}: on {} networks, which have no host end here", driver.name());
            Some(Finding::limited("drivers", found, "use bridge networks for what is to be watched"))
        };
        drivers.into_iter().filter_map(one).collect()
    }

    fn running(&self) -> impl Iterator<Item = &Container> {
        let runs = |state| matches!(state, ContainerState::Running | ContainerState::Paused);
        self.containers.values().filter(move |container| runs(container.state))
    }

    /// The names of the running containers of a kind; `None` if there are none.
    fn names(&self, kind: impl Fn(&Container) -> bool) -> Option<String> {
        let names: Vec<&str> =
            self.running().filter(|one| kind(one)).map(|container| container.name.as_str()).collect();
        let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
        match names.len() {
            0 => None,
            count if count > MOST_NAMES => Some(format!("{shown} and {} more", count - MOST_NAMES)),
            _ => Some(shown),
        }
    }
}
