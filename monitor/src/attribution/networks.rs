//! The networks Docker told of, and what an address in one of them means.

use super::NetworkRef;
use crate::model::{KernelTime, Network, NetworkDriver, NetworkId, SafeText, Span};
use std::collections::HashMap;
use std::net::IpAddr;

/// A network, for a span of time.
#[derive(Clone, Debug)]
pub struct KnownNetwork {
    /// What Docker last said of it.
    pub network: Network,
    /// When it existed. What was true before it was first told is not known; it may be older.
    pub span: Span,
    pub(super) reference: NetworkRef,
}

impl KnownNetwork {
    pub(super) fn new(network: Network, at: KernelTime) -> Self {
        let reference =
            NetworkRef { id: network.id.clone(), name: network.name.clone(), driver: network.driver.clone() };
        Self { network, span: Span::starting(at), reference }
    }

    /// Takes the device that has its gateway's address for its bridge: Podman does not name a bridge as Docker does, and makes it
    /// with the first container. Says whether that is another one than was known.
    pub(super) fn find_bridge(&mut self, host_addresses: &HashMap<IpAddr, SafeText>) -> bool {
        let Some(bridge) = &mut self.network.bridge else { return false };
        let device = self.network.gateways.iter().find_map(|gateway| host_addresses.get(gateway));
        match device {
            Some(device) if device != bridge => {
                *bridge = device.clone();
                true
            }
            _ => false,
        }
    }

    /// Whether it had not ended at `when`.
    pub(super) fn not_ended(&self, when: KernelTime) -> bool {
        self.span.until.is_none_or(|until| when < until)
    }

    /// What a record says of it.
    #[must_use]
    pub fn reference(&self) -> &NetworkRef {
        &self.reference
    }

    /// Whether `address` lies in one of its subnets.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.network.subnets.iter().any(|subnet| in_subnet(address, *subnet))
    }

    /// The VXLAN network identifier of the subnet that an address is in: there is one for each, in the same order.
    pub(super) fn vxlan_id(&self, address: IpAddr) -> Option<u32> {
        let ids = &self.network.overlay.as_ref()?.vxlan_ids;
        let subnets = &self.network.subnets;
        let of_subnet = subnets.iter().position(|subnet| in_subnet(address, *subnet))?;
        ids.get(of_subnet).copied().filter(|_| ids.len() == subnets.len())
    }

    /// Whether its gateways are addresses of this host.
    fn gateways_are_the_host(&self) -> bool {
        !matches!(
            self.network.driver,
            NetworkDriver::Macvlan | NetworkDriver::Ipvlan | NetworkDriver::Overlay
        )
    }
}

/// Whether a gateway of a bridge network has that address: that is the host itself.
pub(super) fn is_gateway(
    networks: &HashMap<NetworkId, KnownNetwork>,
    address: IpAddr,
    when: KernelTime,
) -> bool {
    networks.values().any(|known| {
        known.not_ended(when) && known.gateways_are_the_host() && known.network.gateways.contains(&address)
    })
}

/// Whether any network's subnet holds that address.
pub(super) fn in_any_subnet(
    networks: &HashMap<NetworkId, KnownNetwork>,
    address: IpAddr,
    when: KernelTime,
) -> bool {
    networks.values().any(|known| known.not_ended(when) && known.holds(address))
}

/// Whether an address is in a subnet given as (address, prefix length). A prefix that is too long holds nothing.
pub(crate) fn in_subnet(address: IpAddr, (subnet, prefix): (IpAddr, u8)) -> bool {
    match (address, subnet) {
        (IpAddr::V4(address), IpAddr::V4(subnet)) if prefix <= 32 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            address.to_bits() & mask == subnet.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(subnet)) if prefix <= 128 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            address.to_bits() & mask == subnet.to_bits() & mask
        }
        _ => false,
    }
}

/// Whether an address goes to many: multicast, the limited broadcast, or the broadcast address of a subnet.
pub(super) fn is_to_many(address: IpAddr, network: Option<&KnownNetwork>) -> bool {
    let IpAddr::V4(v4) = address else { return address.is_multicast() };
    if v4.is_multicast() || v4.is_broadcast() {
        return true;
    }
    let subnets = network.map_or(&[][..], |known| &known.network.subnets);
    subnets.iter().any(|(subnet, prefix)| {
        let host_bits = u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
        *prefix < 31 && in_subnet(address, (*subnet, *prefix)) && v4.to_bits() & host_bits == host_bits
    })
}

/// Whether an address never leaves its link, so that a packet from it came from a neighbour: link-local or
/// unspecified.
pub(super) fn stays_on_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownNetwork, in_subnet, is_to_many};
    use crate::model::{KernelTime, Network, NetworkDriver, NetworkId, SafeText};

    fn check(address: &str, subnet: &str, prefix: u8, expected: bool) {
        let found = in_subnet(address.parse().unwrap(), (subnet.parse().unwrap(), prefix));
        assert_eq!(found, expected, "{address} in {subnet}/{prefix}");
    }

    #[test]
    fn a_subnet_holds_the_addresses_of_its_prefix() {
        check("172.18.3.4", "172.18.0.0", 16, true);
        check("172.19.3.4", "172.18.0.0", 16, false);
        check("10.0.0.1", "10.0.0.1", 32, true);
        check("10.0.0.2", "10.0.0.1", 32, false);
        check("8.8.8.8", "0.0.0.0", 0, true);
        check("fd00:1::7", "fd00:1::", 64, true);
        check("fd00:2::7", "fd00:1::", 64, false);
        check("fd00:2::7", "::", 0, true);
    }

    #[test]
    fn a_nonsense_prefix_or_the_other_family_holds_nothing() {
        check("10.0.0.1", "10.0.0.1", 33, false);
        check("fd00::1", "fd00::1", 129, false);
        check("10.0.0.1", "::", 0, false);
    }

    #[test]
    fn broadcast_and_multicast_go_to_many() {
        let network = Network {
            id: NetworkId::new("n").unwrap(),
            name: SafeText::new("n"),
            driver: NetworkDriver::Bridge,
            bridge: None,
            subnets: vec![("172.18.0.0".parse().unwrap(), 16), ("10.9.9.8".parse().unwrap(), 31)],
            gateways: Vec::new(),
            internal: false,
            inter_container: true,
            ipv6: false,
            gateway_mode_ipv4: crate::model::GatewayMode::Nat,
            gateway_mode_ipv6: crate::model::GatewayMode::Nat,
            overlay: None,
        };
        let known = KnownNetwork::new(network, KernelTime(1));
        for (address, expected) in [
            ("224.0.0.251", true),
            ("255.255.255.255", true),
            ("172.18.255.255", true),
            ("172.18.0.255", false),
            ("10.9.9.9", false),
            ("ff02::fb", true),
            ("fe80::1", false),
        ] {
            assert_eq!(is_to_many(address.parse().unwrap(), Some(&known)), expected, "{address}");
        }
    }
}
