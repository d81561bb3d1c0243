//! Naming the two ends of what crossed an interface.

use super::facts::Holder;
use super::interfaces::Watched;
use super::networks::{in_any_subnet, is_gateway, is_to_many, stays_on_link};
use super::{Attribution, End, EndKind, OriginEnd, OriginKind, reason};
use crate::model::{DockerState, FlowKey, InterfaceKind, KernelTime, NetworkId, Origin, SafeText};
use std::net::IpAddr;

/// What is to be named: packets of one flow at one interface in one tick.
#[derive(Clone, Copy, Debug)]
pub struct Packets {
    /// Where they were seen, and of which flow they are.
    pub key: FlowKey,
    /// Where received packets came from, and when that was seen; it may be from an earlier tick.
    pub origin: Option<(Origin, KernelTime)>,
    /// The first of them.
    pub first: KernelTime,
    /// The last of them.
    pub last: KernelTime,
}

/// What an ifindex was at some time.
pub(super) enum Device<'a> {
    Host,
    Watched(&'a Watched),
    Uplink(&'a SafeText),
    Other(Option<&'a SafeText>),
}

impl Attribution {
    /// The container's end: whoever owns the interface, whatever the address says.
    #[must_use]
    pub fn local_end(&self, packets: &Packets, now: KernelTime) -> End {
        let Some(watched) = self.interfaces.get(&packets.key.interface) else {
            return End::unknown(reason::INTERFACE_UNKNOWN, packets.key.local);
        };
        if watched.interface.kind == InterfaceKind::Bridge {
            return self.by_address(watched, packets, packets.key.local);
        }
        match self.owner(packets.key.interface) {
            Some(known) => End::of_container(known.reference.clone(), packets.key.local),
            None => End::unknown(self.why_unowned(watched, now), packets.key.local),
        }
    }

    /// The other end.
    #[must_use]
    pub fn remote_end(&self, packets: &Packets, now: KernelTime) -> End {
        let address = packets.key.remote;
        let Some(watched) = self.interfaces.get(&packets.key.interface) else {
            return End::unknown(reason::INTERFACE_UNKNOWN, address);
        };
        let network = watched.network.as_ref().and_then(|network| self.networks.get(&network.id));
        if is_to_many(address, network) {
            return End::plain(EndKind::Multicast, address);
        }
        let by_origin = packets.origin.and_then(|(origin, seen)| {
            let first = self.by_origin(watched, packets, origin.ifindex, seen, now);
            match origin.other {
                Some(other) if first != self.by_origin(watched, packets, other, seen, now) => {
                    Some(End::unknown(reason::SEVERAL_ORIGINS, address))
                }
                _ => first,
            }
        });
        by_origin.unwrap_or_else(|| self.by_address(watched, packets, address))
    }

    /// What the device that packets came from says of their sender; `None` if only the address can tell.
    fn by_origin(
        &self,
        watched: &Watched,
        packets: &Packets,
        ifindex: u32,
        seen: KernelTime,
        now: KernelTime,
    ) -> Option<End> {
        let address = packets.key.remote;
        let rewritten = self.is_host(address, seen);
        match self.device(ifindex, seen) {
            Device::Watched(from) if from.interface.kind == InterfaceKind::Veth => {
                let ended = from.life.until.is_some_and(|until| until <= packets.first);
                if ended || !self.is_neighbour(watched, from, address) {
                    return None;
                }
                Some(match self.owner(from.interface.number) {
                    Some(known) => End::of_container(known.reference.clone(), address),
                    None => End::unknown(self.why_unowned(from, now), address),
                })
            }
            Device::Watched(_) => rewritten.then(|| self.masqueraded(packets)),
            Device::Uplink(_) => rewritten.then(|| End::plain(EndKind::External, address)),
            Device::Host => rewritten.then(|| End::plain(EndKind::Host, address)),
            Device::Other(name) => {
                let bridge = name.is_some_and(|name| self.is_bridge(name));
                (bridge && rewritten).then(|| self.masqueraded(packets))
            }
        }
    }

    /// Who sent packets whose source is an address of the host now, and that came from another network.
    fn masqueraded(&self, packets: &Packets) -> End {
        let known = self.before_translation(packets);
        known.unwrap_or_else(|| End::unknown(reason::MASQUERADED, packets.key.remote))
    }

    /// Whether a packet with this source that entered at `from` was sent by whoever is behind it, and not routed:
    /// the address belongs to the link both are on.
    fn is_neighbour(&self, watched: &Watched, from: &Watched, address: IpAddr) -> bool {
        let same_link = watched.bridge() == from.bridge();
        let network = from.network.as_ref().and_then(|network| self.networks.get(&network.id));
        same_link
            && (address.is_unspecified()
                || stays_on_link(address)
                || network.is_none_or(|network| network.holds(address)))
    }

    fn is_host(&self, address: IpAddr, when: KernelTime) -> bool {
        self.host_addresses.contains_key(&address) || is_gateway(&self.networks, address, when)
    }

    fn is_bridge(&self, name: &SafeText) -> bool {
        self.networks.values().any(|known| known.network.bridge.as_ref() == Some(name))
    }

    fn by_address(&self, watched: &Watched, packets: &Packets, address: IpAddr) -> End {
        let network = watched.network.as_ref().map(|network| &network.id);
        if let Some(end) = network.and_then(|network| self.holder(address, Some(network), packets)) {
            return end;
        }
        if self.is_host(address, packets.first) || address.is_loopback() {
            return End::plain(EndKind::Host, address);
        }
        if let Some(end) = self.holder(address, None, packets) {
            return end;
        }
        if let Some(end) = self.in_swarm(network, address, (packets.first, packets.last)) {
            return end;
        }
        if in_any_subnet(&self.networks, address, packets.first) {
            let up = matches!(self.docker, DockerState::Up { .. });
            let known = self.network_of_address(address, packets.first);
            // Such a network has others than containers of this host: a LAN's machines, other nodes' containers.
            if up && known.is_some_and(|known| !known.network.driver.has_host_end()) {
                return End::plain(EndKind::External, address);
            }
            return End::unknown(if up { reason::NO_CONTAINER_HAS_IT } else { reason::DOCKER_DOWN }, address);
        }
        match address {
            _ if address.is_unspecified() => self.without_address(packets, address),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => End::unknown(reason::LINK_LOCAL, address),
            _ if network.is_none() => End::unknown(reason::NETWORK_UNKNOWN, address),
            _ => End::plain(EndKind::External, address),
        }
    }

    /// Who asks for an address and has none yet: 0.0.0.0 or `::`, the source of DHCP and of duplicate address
    /// detection.
    fn without_address(&self, packets: &Packets, address: IpAddr) -> End {
        match packets.origin {
            Some((Origin { ifindex: 0, other: None }, _)) => End::plain(EndKind::Host, address),
            _ => End::unknown(reason::NO_ADDRESS_YET, address),
        }
    }

    /// The container that had an address from the first of the packets to the last.
    pub(super) fn holder(
        &self,
        address: IpAddr,
        network: Option<&NetworkId>,
        packets: &Packets,
    ) -> Option<End> {
        let first = self.facts.holder(address, network, packets.first);
        let last = self.facts.holder(address, network, packets.last);
        match (first, last) {
            (Holder::Several, _) | (_, Holder::Several) => {
                Some(End::unknown(reason::AMBIGUOUS_ADDRESS, address))
            }
            (Holder::One(first), Holder::One(last)) if first.container != last.container => {
                Some(End::unknown(reason::ADDRESS_CHANGED_HANDS, address))
            }
            (Holder::One(fact), _) | (Holder::Nobody, Holder::One(fact)) => {
                let known = self.containers.get(&fact.container)?;
                Some(End::of_container(known.reference.clone(), address))
            }
            (Holder::Nobody, Holder::Nobody) => None,
        }
    }

    pub(super) fn device(&self, ifindex: u32, when: KernelTime) -> Device<'_> {
        if ifindex == 0 {
            return Device::Host;
        }
        let numbers = self.by_ifindex.get(&ifindex).into_iter().flatten();
        let watched = numbers
            .filter_map(|number| self.interfaces.get(number))
            .filter(|watched| watched.life.until.is_none_or(|until| when < until))
            .min_by_key(|watched| watched.life.from);
        if let Some(watched) = watched {
            return Device::Watched(watched);
        }
        match self.devices.get(&ifindex) {
            Some(name) if self.uplinks.contains(&ifindex) && !self.is_bridge(name) => Device::Uplink(name),
            name => Device::Other(name),
        }
    }

    /// What a record says of where received packets came from.
    #[must_use]
    pub fn origin_end(&self, origin: Origin, seen: KernelTime) -> OriginEnd {
        let mut end = OriginEnd {
            kind: OriginKind::Other,
            interface: None,
            container: None,
            network: None,
            several: origin.other.is_some(),
        };
        match self.device(origin.ifindex, seen) {
            Device::Host => end.kind = OriginKind::Host,
            Device::Watched(watched) => {
                end.kind = match watched.interface.kind {
                    InterfaceKind::Veth | InterfaceKind::Inside => OriginKind::Veth,
                    InterfaceKind::Bridge => OriginKind::Bridge,
                    InterfaceKind::Cgroup => OriginKind::Host,
                };
                end.interface = Some(watched.interface.name.clone());
                end.container =
                    self.owner(watched.interface.number).map(|known| known.container.name.clone());
                end.network = watched.network.clone();
            }
            Device::Uplink(name) => {
                end.kind = OriginKind::Uplink;
                end.interface = Some(name.clone());
            }
            Device::Other(name) => {
                let of_bridge = |name: &SafeText| {
                    self.networks.values().find(|known| known.network.bridge.as_ref() == Some(name))
                };
                end.network = name.and_then(of_bridge).map(|known| known.reference.clone());
                if end.network.is_some() {
                    end.kind = OriginKind::Bridge;
                }
                end.interface = name.cloned();
            }
        }
        end
    }

    /// Whether the name of either end may still come: the interface, or one the packets came from or could have
    /// gone to, is young and not announced.
    #[must_use]
    pub fn is_waiting_for(&self, packets: &Packets, remote: &End, now: KernelTime) -> bool {
        let Some(watched) = self.interfaces.get(&packets.key.interface) else { return false };
        if self.may_be_announced(watched, now) {
            return true;
        }
        // That need not be a container's: it is waited for no longer than one takes as a rule.
        let another =
            self.last_unowned.is_some_and(|from| self.is_in_time(from, now, self.settings.settling));
        remote.kind == EndKind::Unknown && another
    }
}
