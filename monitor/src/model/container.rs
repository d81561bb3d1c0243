//! Docker containers.

use super::{ContainerId, Mac, NetworkId, SafeText, WallTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// `State.Status` of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Known only by a network's list of endpoints; not inspected yet.
    Unknown,
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Paused.
    Paused,
    /// Between two runs.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Could not be removed.
    Dead,
}

/// How a container is connected as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Endpoints of its own.
    Networks,
    /// In the host's namespace.
    Host,
    /// No network.
    None,
    /// In the namespace of another container (`container:ID`).
    SharedWith(ContainerId),
}

/// A container's membership in a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network.
    pub network: NetworkId,
    /// The container's Ethernet address there.
    pub mac: Option<Mac>,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

/// What a container may do that bears on isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rights {
    /// `--privileged`.
    pub privileged: bool,
    /// Has the capability `NET_ADMIN`.
    pub net_admin: bool,
    /// Has the capability `SYS_ADMIN`.
    pub sys_admin: bool,
    /// Has the capability `NET_RAW`, which it has by default.
    pub net_raw: bool,
    /// The mount that gives it the Docker socket: `SOURCE:DESTINATION`.
    pub docker_socket: Option<SafeText>,
}

/// A container, as Docker tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// Its full id.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: SafeText,
    /// Its image's name.
    pub image: Option<SafeText>,
    /// Compose project (`com.docker.compose.project`), or else the stack of the Swarm service.
    pub project: Option<SafeText>,
    /// Compose service (`com.docker.compose.service`), or else Swarm service (`com.docker.swarm.service.name`).
    pub service: Option<SafeText>,
    /// Its state.
    pub state: ContainerState,
    /// When it was started.
    pub started_at: Option<WallTime>,
    /// How it is connected.
    pub network_mode: NetworkMode,
    /// Its endpoints; empty for modes other than [`NetworkMode::Networks`].
    pub endpoints: Vec<Endpoint>,
    /// Its namespace's number as the kernel gives it to the host's namespace (`RTM_GETNSID`), once known.
    pub namespace: Option<i32>,
    /// `NetworkSettings.SandboxKey`, the path of its network namespace.
    pub sandbox: Option<String>,
    /// `State.Pid`; 0 is absent.
    pub pid: Option<u32>,
    /// Labels, in the order of their names; at most 64, the Compose ones among them.
    pub labels: Vec<(SafeText, SafeText)>,
    /// Containers it is linked to (`--link`), by name without the leading slash.
    pub links: Vec<SafeText>,
    /// Names that it was given on networks (`--network-alias`), in small letters, without its own name and id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<(NetworkId, SafeText)>,
    /// What it is allowed that others are not; absent until it was inspected.
    pub rights: Option<Rights>,
    /// Published ports as (host address, host port, container port, protocol name).
    pub published: Vec<(IpAddr, u16, u16, String)>,
    /// What else Docker tells of it; absent until it was inspected. Not in recordings: nothing is judged by it, and a
    /// command may hold a password.
    #[serde(skip)]
    pub details: Option<Arc<Details>>,
}

impl Container {
    /// The label with a container's Compose service.
    pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";
    /// The label of a task of a Swarm service with the service's name.
    pub const SWARM_SERVICE: &str = "com.docker.swarm.service.name";

    /// Whether its service is one of a Swarm: what Compose says goes first.
    #[must_use]
    pub fn is_of_swarm(&self) -> bool {
        let has = |label: &str| self.labels.iter().any(|(name, _)| name.as_str() == label);
        has(Self::SWARM_SERVICE) && !has(Self::COMPOSE_SERVICE)
    }
}

/// What `docker inspect` tells of a container beside who and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Details {
    /// How often Docker restarted it.
    pub restarts: Option<u64>,
    /// What its health check says: `healthy`, `unhealthy`, `starting`; absent where it has none.
    pub health: Option<SafeText>,
    /// Entry point and command, as one line.
    pub command: Option<SafeText>,
    /// Bytes of memory it may use; absent is no limit.
    pub memory_limit: Option<u64>,
    /// Billionths of a processor it may use; absent is no limit.
    pub nano_cpus: Option<u64>,
    /// Processes it may have; absent is no limit.
    pub pids_limit: Option<u64>,
    /// Capabilities it has beyond Docker's usual ones, without `CAP_`.
    pub capabilities_added: Vec<SafeText>,
    /// Of Docker's usual capabilities, those it does not have.
    pub capabilities_dropped: Vec<SafeText>,
    /// Whether it is `--privileged`.
    pub privileged: bool,
    /// `RestartPolicy.Name`.
    pub restart_policy: Option<SafeText>,
    /// Labels, in the order of their names; at most 64.
    pub labels: Vec<(SafeText, SafeText)>,
    /// Published ports as (host address, host port, container port, protocol name).
    pub published: Vec<(IpAddr, u16, u16, String)>,
}
