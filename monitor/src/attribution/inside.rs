//! Containers whose devices may be in their own network namespaces alone.

use super::{Attribution, Known, Packets, Watched};
use crate::model::{ContainerId, FlowKey, InterfaceKind, NetworkDriver, NetworkMode, Traffic};
use std::net::IpAddr;

impl Attribution {
    /// Running containers with a network that has no end on the host, or with none at all, each with the path of its
    /// namespace: devices may be, or come, in there that are nowhere else.
    pub fn to_look_into(&self) -> impl Iterator<Item = (&ContainerId, &str)> {
        self.containers.values().filter_map(|known| {
            let sandbox = known.container.sandbox.as_deref().filter(|sandbox| !sandbox.is_empty())?;
            let is_wanted = known.is_running() && self.may_have_more_inside(known);
            is_wanted.then_some((&known.container.id, sandbox))
        })
    }

    /// Whether packets came by a container's own device without being for it: the bridge of an overlay network passes what is
    /// for somebody who never sent anything to all. The device counts them, and nobody has talked with the container. On other
    /// networks nothing is passed like that: what comes there for another's address was sent to this device.
    #[must_use]
    pub fn only_came_by(&self, packets: &Packets, counted: &Traffic) -> bool {
        let FlowKey { interface, local, .. } = packets.key;
        let watched = self.interfaces.get(&interface);
        let inside = watched.filter(|watched| watched.interface.kind == InterfaceKind::Inside);
        let on_overlay = inside.filter(|watched| {
            watched.network.as_ref().is_some_and(|network| network.driver == NetworkDriver::Overlay)
        });
        let Some((watched, owner)) = on_overlay.zip(self.owner(interface)) else { return false };
        let is_its = self.is_given(owner, local);
        counted.sent.is_zero() && !is_its && self.is_known_to(watched, packets, local)
    }

    /// Whether somebody has an address on the network of an interface, here or on another node.
    fn is_known_to(&self, watched: &Watched, packets: &Packets, address: IpAddr) -> bool {
        let network = watched.network.as_ref().map(|network| &network.id);
        network.is_some_and(|id| {
            self.holder(address, Some(id), packets).is_some()
                || self.in_swarm(Some(id), address, (packets.first, packets.last)).is_some()
        })
    }

    fn may_have_more_inside(&self, known: &Known) -> bool {
        let mut endpoints = known.container.endpoints.iter();
        match known.container.network_mode {
            NetworkMode::None => true,
            NetworkMode::Networks => endpoints.any(|at| {
                self.networks.get(&at.network).is_some_and(|known| !known.network.driver.has_host_end())
            }),
            NetworkMode::Host | NetworkMode::SharedWith(_) => false,
        }
    }
}
