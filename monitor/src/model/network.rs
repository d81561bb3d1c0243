//! Docker networks.

use super::{NetworkId, Overlay, SafeText};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network's driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkDriver {
    /// `bridge`.
    Bridge,
    /// `host`.
    Host,
    /// `null`, the `none` network.
    Null,
    /// `macvlan`.
    Macvlan,
    /// `ipvlan`.
    Ipvlan,
    /// `overlay`.
    Overlay,
    /// A plugin's.
    #[serde(untagged)]
    Other(SafeText),
}

impl NetworkDriver {
    /// Whether a container on such a network is seen from the host: at the host's end of a veth, or at its sockets; or there is
    /// nothing to be seen. Else its device is in its own namespace alone.
    #[must_use]
    pub fn has_host_end(&self) -> bool {
        matches!(self, Self::Bridge | Self::Host | Self::Null)
    }

    /// The name Docker uses.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
            Self::Other(name) => name.as_str(),
        }
    }
}

/// How a bridge network is connected to others, from Docker 27 on. Other bridge networks of the host reach published ports of
/// `routed` ones, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayMode {
    /// `nat`, the default: reachable through published ports only.
    #[default]
    Nat,
    /// `nat-unprotected`: every port of every address is reachable from outside by routing.
    NatUnprotected,
    /// `routed`: published ports are reachable by routing, without translation.
    Routed,
    /// `isolated`: the bridge has no address of the host.
    Isolated,
}

/// A Docker network, as `GET /networks/ID` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: SafeText,
    /// Its driver.
    pub driver: NetworkDriver,
    /// Name of its bridge device on this host, for driver `bridge`: `com.docker.network.bridge.name`, or `br-` and
    /// the first 12 characters of the id.
    pub bridge: Option<SafeText>,
    /// Subnets as (address, prefix length).
    pub subnets: Vec<(IpAddr, u8)>,
    /// Gateway addresses: the host's own, on a bridge network.
    pub gateways: Vec<IpAddr>,
    /// Whether it is `--internal`.
    pub internal: bool,
    /// Whether containers on it may talk to each other (`com.docker.network.bridge.enable_icc`).
    pub inter_container: bool,
    /// Whether IPv6 is on.
    pub ipv6: bool,
    /// `com.docker.network.bridge.gateway_mode_ipv4`.
    pub gateway_mode_ipv4: GatewayMode,
    /// `com.docker.network.bridge.gateway_mode_ipv6`.
    pub gateway_mode_ipv6: GatewayMode,
    /// What else there is to an overlay network; absent of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}
