//! What the inventory tells the engine.

use super::{Container, ContainerId, Endpoint, KernelTime, Network, NetworkId, SafeText, SwarmMember};
use serde::{Deserialize, Serialize};

/// Whether Docker answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DockerState {
    /// Not asked yet.
    Connecting,
    /// It answers.
    Up {
        /// `Version` of `GET /version`.
        version: SafeText,
        /// API version in use.
        api: SafeText,
        /// Where it was reached.
        host: SafeText,
        /// Whether the engine is rootless (`SecurityOptions` of `GET /info`).
        rootless: bool,
        /// Whether its experimental features are on (`ExperimentalBuild` of `GET /info`), if it tells.
        experimental: Option<bool>,
    },
    /// It does not; names may be old.
    Down {
        /// Since when.
        since: KernelTime,
        /// Why, for a person.
        reason: String,
    },
}

/// A fact of the inventory that changed. `at` is the moment from which it is true (or no longer true), as near as
/// the inventory can tell: an event's own time, or the time of the answer that told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Docker went up or down.
    Docker(DockerState),
    /// A network exists, or has changed.
    Network {
        /// All of it.
        network: Network,
        /// Since when.
        at: KernelTime,
    },
    /// A network is gone.
    NetworkGone {
        /// Which.
        id: NetworkId,
        /// Since when.
        at: KernelTime,
    },
    /// What the swarm has on a network beside this node's containers, all of it: what is not among it is there no longer.
    Swarm {
        /// Which network.
        network: NetworkId,
        /// In the order of their addresses, each once; absent where it is what was told last.
        members: Option<Vec<SwarmMember>>,
        /// As of when.
        at: KernelTime,
    },
    /// A container exists, or has changed. Its endpoints replace the ones known.
    Container {
        /// All of it.
        container: Box<Container>,
        /// Since when.
        at: KernelTime,
    },
    /// A network lists an endpoint, before the container itself could be inspected (`GET /networks/ID` answers
    /// while a container starts; `GET /containers/ID/json` blocks until the start is over).
    Endpoint {
        /// Which container.
        container: ContainerId,
        /// Its name, as the network's list tells it.
        name: SafeText,
        /// The endpoint.
        endpoint: Endpoint,
        /// Since when.
        at: KernelTime,
    },
    /// A container left a network.
    EndpointGone {
        /// Which container.
        container: ContainerId,
        /// Which network.
        network: NetworkId,
        /// Since when.
        at: KernelTime,
    },
    /// A container ended: its interfaces and addresses are no longer its own.
    ContainerStopped {
        /// Which.
        id: ContainerId,
        /// Since when.
        at: KernelTime,
    },
    /// A container was removed.
    ContainerGone {
        /// Which.
        id: ContainerId,
        /// Since when.
        at: KernelTime,
    },
    /// After a (re)connection, everything that exists was told: what was not among `containers` and `networks`
    /// is gone.
    Complete {
        /// All containers that exist.
        containers: Vec<ContainerId>,
        /// All networks that exist.
        networks: Vec<NetworkId>,
        /// As of when.
        at: KernelTime,
    },
    /// Answers of Docker that made no sense and were dropped, since the start.
    Refused {
        /// How many.
        answers: u64,
        /// The last reason, for a person.
        last: String,
    },
}
