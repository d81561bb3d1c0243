//! Where what a container sends is counted, and who sent what the kernel dropped.

use super::facts::Holder;
use super::networks::stays_on_link;
use super::remote::Device;
use super::{Attribution, End, Known, Packets, Watched};
use crate::model::{Drop, InterfaceKind, KernelTime, NetworkId, Origin};
use std::net::IpAddr;

impl Attribution {
    /// Whether what was received from `remote` is counted at that container's own interface as well, as sent to this
    /// one. Not where the host changes addresses: what was sent was sent to somebody else then.
    #[must_use]
    pub fn is_counted_at_sender(&self, packets: &Packets, remote: &End) -> bool {
        let Some(sender) = &remote.container else { return false };
        let entered = match packets.origin {
            Some((Origin { ifindex, other: None }, seen)) => self.veth(ifindex, seen),
            _ => None,
        };
        let is_its =
            |watched: &Watched| watched.owner.as_ref().is_some_and(|owner| owner.container == sender.id);
        let was_there = |watched: &Watched| watched.life.until.is_none_or(|until| until > packets.first);
        // Routed packets entered elsewhere: the address tells by which of its interfaces it sent them.
        let has_address = |watched: &Watched| {
            let network = watched.network.as_ref().and_then(|network| self.networks.get(&network.id));
            network.is_some_and(|network| network.holds(remote.address))
        };
        let watched = entered.is_some_and(is_its)
            || self.veths_of(&sender.id).any(|watched| was_there(watched) && has_address(watched));
        let here = packets.key.tuple();
        watched && self.reply_to(&here).is_none() && self.original_of(&here).is_none()
    }

    /// Whether a peer is another container on a network, by the address that was used.
    #[must_use]
    pub fn is_inside(&self, network: &NetworkId, peer: &End) -> bool {
        let Some(container) = &peer.container else { return false };
        let Some(known) = self.networks.get(network) else { return false };
        let address = peer.address;
        // An address of the host stands for a sender on another network.
        container.networks.iter().any(|its| its.id == *network)
            && (known.holds(address) || stays_on_link(address))
            && !known.network.gateways.contains(&address)
            && !self.host_addresses.contains_key(&address)
    }

    /// The containers a dropped packet was from and to, as far as there are any. Where it entered the host tells who
    /// sent it, whatever address it bears.
    #[must_use]
    pub fn ends_of_drop(&self, drop: &Drop) -> [Option<&Known>; 2] {
        let at = drop.last_seen;
        let source = match self.veth(drop.ingress, at) {
            Some(entered) => self.owner(entered.interface.number),
            None => self.held_by(drop.source, at),
        };
        let left = self.veth(drop.device, at).filter(|_| drop.device != drop.ingress);
        let destination = match left {
            Some(left) => self.owner(left.interface.number),
            None => self.held_by(drop.destination, at),
        };
        [source, destination]
    }

    fn veth(&self, ifindex: u32, when: KernelTime) -> Option<&Watched> {
        match self.device(ifindex, when) {
            Device::Watched(watched) if watched.interface.kind == InterfaceKind::Veth => Some(watched),
            _ => None,
        }
    }

    fn held_by(&self, address: IpAddr, when: KernelTime) -> Option<&Known> {
        match self.facts.holder(address, None, when) {
            Holder::One(fact) => self.containers.get(&fact.container),
            Holder::Nobody | Holder::Several => None,
        }
    }
}
