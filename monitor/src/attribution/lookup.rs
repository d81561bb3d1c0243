//! What addresses mean, for those who judge conversations.

use super::networks::{in_subnet, is_gateway, is_to_many};
use super::{Attribution, End, Known, KnownNetwork, Watched};
use crate::model::{ContainerId, FlowKey, InterfaceNumber, KernelTime, Mac, Protocol, SafeText};
use std::cmp::Reverse;
use std::net::IpAddr;

impl Attribution {
    /// The Docker network whose subnet holds an address at `when`; the one with the longest prefix, if several do, and of these
    /// the one with the least id.
    #[must_use]
    pub fn network_of_address(&self, address: IpAddr, when: KernelTime) -> Option<&KnownNetwork> {
        let prefix = |known: &KnownNetwork| {
            let holding = known.network.subnets.iter().filter(|subnet| in_subnet(address, **subnet));
            holding.map(|(_, prefix)| *prefix).max()
        };
        let live = self.networks.values().filter(|known| known.not_ended(when));
        live.filter_map(|known| Some((prefix(known)?, known)))
            .max_by_key(|&(prefix, known)| (prefix, Reverse(&known.network.id)))
            .map(|(_, known)| known)
    }

    /// The Docker network of an end: the one on which Docker or the swarm tells of it, else the one of its address.
    #[must_use]
    pub fn network_of_end(&self, end: &End, when: KernelTime) -> Option<&KnownNetwork> {
        let told = end.swarm.as_ref().and_then(|who| self.networks.get(&who.network.id));
        let known = end.container.as_ref().and_then(|container| self.container(&container.id));
        let own = known.and_then(|known| {
            let mut endpoints = known.container.endpoints.iter();
            let own = endpoints.find(|endpoint| endpoint.addresses.contains(&end.address))?;
            self.networks.get(&own.network)
        });
        told.or(own).or_else(|| self.network_of_address(end.address, when))
    }

    /// Whether an address is the host's own: of one of its devices, or a gateway of a bridge network.
    #[must_use]
    pub fn is_of_host(&self, address: IpAddr, when: KernelTime) -> bool {
        self.host_addresses.contains_key(&address)
            || address.is_loopback()
            || is_gateway(&self.networks, address, when)
    }

    /// Whether a flow is between one and many: multicast, broadcast, or somebody who has no address yet. The same two
    /// addresses are at many interfaces then.
    #[must_use]
    pub fn is_to_many(&self, key: &FlowKey) -> bool {
        [key.local, key.remote].iter().any(|end| end.is_unspecified() || self.is_many(key.interface, *end))
    }

    /// Whether an address at an interface stands for many: multicast, or broadcast.
    #[must_use]
    pub fn is_many(&self, interface: InterfaceNumber, address: IpAddr) -> bool {
        let watched = self.interfaces.get(&interface);
        let network = watched.and_then(|watched| watched.network.as_ref());
        is_to_many(address, network.and_then(|network| self.networks.get(&network.id)))
    }

    /// The running container that published a port of the host at an address, and its own port.
    #[must_use]
    pub fn publisher(&self, address: IpAddr, port: u16, protocol: Protocol) -> Option<(&Known, u16)> {
        let name = protocol.name();
        let running = self.containers.values().filter(|known| known.is_running());
        running
            .flat_map(|known| known.container.published.iter().map(move |published| (known, published)))
            .find(|(_, (at, outer, _, with))| {
                let same_family = at.is_ipv4() == address.is_ipv4();
                *outer == port && *with == name && (*at == address || (at.is_unspecified() && same_family))
            })
            .map(|(known, (_, _, inner, _))| (known, *inner))
    }

    /// The devices of a container alone, also those that went lately.
    pub fn veths_of<'a>(&'a self, container: &'a ContainerId) -> impl Iterator<Item = &'a Watched> {
        let numbers = self.by_owner.get(container).into_iter().flatten();
        numbers.filter_map(|number| self.interfaces.get(number)).filter(move |watched| {
            watched.interface.kind.is_of_container()
                && watched.owner.as_ref().is_some_and(|owner| owner.container == *container)
        })
    }

    /// Whether an address was given to a container: by Docker in any of its networks, now or lately (a packet's flow
    /// is judged a while after it), or made by itself from its Ethernet address (SLAAC).
    #[must_use]
    pub fn is_given(&self, known: &Known, address: IpAddr) -> bool {
        let endpoints = &known.container.endpoints;
        self.facts.is_or_was_of(address, &known.container.id)
            || endpoints.iter().any(|endpoint| {
                endpoint.addresses.contains(&address)
                    || endpoint.mac.is_some_and(|mac| is_made_from(address, mac))
            })
    }

    /// The name of a device of the host, watched or not.
    #[must_use]
    pub fn device_name(&self, ifindex: u32) -> Option<&SafeText> {
        let numbers = self.by_ifindex.get(&ifindex).into_iter().flatten();
        let mut watched = numbers.filter_map(|number| self.interfaces.get(number));
        let live = watched.find(|watched| watched.life.until.is_none());
        live.map(|watched| &watched.interface.name).or_else(|| self.devices.get(&ifindex))
    }

    /// The Ethernet address of the container's end of an interface, if it is known.
    #[must_use]
    pub fn mac_of(&self, number: InterfaceNumber) -> Option<Mac> {
        let watched = self.interfaces.get(&number)?;
        watched.interface.peer.as_ref()?.mac
    }
}

/// Whether the low half of an IPv6 address is the modified EUI-64 of an Ethernet address (RFC 4291, appendix A).
fn is_made_from(address: IpAddr, mac: Mac) -> bool {
    let IpAddr::V6(address) = address else { return false };
    let Mac([a, b, c, d, e, f]) = mac;
    address.octets()[8..] == [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::is_made_from;
    use crate::attribution::{Attribution, Settings};
    use crate::model::{Change, GatewayMode, KernelTime, Mac, Network, NetworkDriver, NetworkId, SafeText};

    #[test]
    fn of_networks_with_one_subnet_it_is_always_the_same_one_that_has_an_address() {
        let mut facts = Attribution::new(Settings::default());
        let at = KernelTime(1);
        for id in ["h", "c", "f", "b", "e", "g", "d", "a"] {
            let network = Network {
                id: NetworkId::new(id).unwrap(),
                name: SafeText::new(id),
                driver: NetworkDriver::Macvlan,
                bridge: None,
                subnets: vec![("10.0.1.0".parse().unwrap(), 24)],
                gateways: Vec::new(),
                internal: false,
                inter_container: true,
                ipv6: false,
                gateway_mode_ipv4: GatewayMode::Nat,
                gateway_mode_ipv6: GatewayMode::Nat,
                overlay: None,
            };
            facts.change(&Change::Network { network, at });
        }
        let found = facts.network_of_address("10.0.1.8".parse().unwrap(), at);
        assert_eq!(found.map(|known| known.network.name.as_str()), Some("a"));
    }

    #[test]
    fn an_address_made_from_an_ethernet_address_is_recognised() {
        let mac = Mac([0x02, 0x42, 0xac, 0x12, 0x00, 0x02]);
        assert!(is_made_from("fd00::42:acff:fe12:2".parse().unwrap(), mac));
        assert!(!is_made_from("fd00::42:acff:fe12:3".parse().unwrap(), mac));
        assert!(!is_made_from("172.18.0.2".parse().unwrap(), mac));
    }
}
