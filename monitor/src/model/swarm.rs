//! What a Swarm has on an overlay network beside the containers of this node.

use super::{Mac, SafeText};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What an address on an overlay network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwarmKind {
    /// A task of a service.
    Task,
    /// A container of no service, on an attachable network.
    Container,
    /// The address of a service itself, which its tasks share.
    VirtualIp,
    /// The namespace of a node in which the swarm's load balancer is: of one network, or of the ingress network.
    LoadBalancer,
}

impl SwarmKind {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Container => "container",
            Self::VirtualIp => "virtual-ip",
            Self::LoadBalancer => "load-balancer",
        }
    }
}

/// Who is at an address on an overlay network, as `GET /networks/ID?verbose=true` tells it on every node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SwarmMember {
    /// Its address there.
    pub address: IpAddr,
    /// What it is.
    pub kind: SwarmKind,
    /// The service, of a task or of a virtual address.
    pub service: Option<SafeText>,
    /// The name of the task or container.
    pub name: Option<SafeText>,
    /// The address of the node that it runs on; absent where it is not told.
    pub node: Option<IpAddr>,
    /// Its Ethernet address there, of a load balancer of this node.
    pub mac: Option<Mac>,
}

/// What an overlay network is beside its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Overlay {
    /// VXLAN network identifiers, one for each subnet (`com.docker.network.driver.overlay.vxlanid_list`).
    pub vxlan_ids: Vec<u32>,
    /// Whether what crosses between nodes is encrypted (`encrypted`).
    pub encrypted: bool,
    /// Whether it is the network of published ports (`Ingress`).
    pub ingress: bool,
    /// Addresses of the nodes that have containers on it, as far as this node knows (`Peers`).
    pub nodes: Vec<IpAddr>,
}
