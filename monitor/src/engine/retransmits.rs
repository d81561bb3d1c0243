//! What TCP connections sent again: booked once the connection's flow is in, under the pair of its two ends.

use super::state::State;
use crate::attribution::Packets;
use crate::flows::Flow;
use crate::model::{FlowPorts, Initiator, KernelTime, Protocol, Retransmit};
use crate::snapshot::End;

impl State {
    /// Books what was sent again by connections whose flows are told by now.
    pub(super) fn book_retransmits(&mut self, now: KernelTime) {
        for (since, told) in self.retransmits.look() {
            if self.book_retransmit(&told, now) {
                continue;
            }
            if self.attribution.may_still_be_named(since, now) {
                self.retransmits.put_back(since, told);
            } else if self.is_of_container(&told) {
                self.retransmits.give_up(&told);
            }
        }
    }

    /// Whether it is known to be a container's: sockets of all other namespaces are told too.
    fn is_of_container(&self, told: &Retransmit) -> bool {
        told.namespace.is_some_and(|inode| self.attribution.in_namespace(inode).is_some())
    }

    fn book_retransmit(&mut self, told: &Retransmit, now: KernelTime) -> bool {
        let Some((packets, initiator)) = self.flow_of(told) else { return false };
        let [local, remote] = self.ends_of(&packets, now);
        let by_local = told.namespace.is_some();
        self.books.retransmitted([&local, &remote], initiator, by_local, told.segments)
    }

    /// Who is at the two ends of a flow: the one whose interface it is seen at, and the other.
    pub(super) fn ends_of(&self, packets: &Packets, now: KernelTime) -> [End; 2] {
        let key = packets.key;
        let local = self.attribution.local_end(packets, now).with_port(key.ports, true);
        let remote = self.attribution.remote_end(packets, now).with_port(key.ports, false);
        let remote = self.on_host(&key, &remote).unwrap_or(remote);
        [local, remote]
    }

    /// The flow of the connection: at the interface of the container that sent again, or, of the host's own sockets, of the
    /// container that they spoke to.
    fn flow_of(&self, told: &Retransmit) -> Option<(Packets, Initiator)> {
        let (local, remote) = match told.namespace {
            Some(_) => (told.local, told.remote),
            None => (told.remote, told.local),
        };
        let container = match told.namespace {
            Some(inode) => Some(&self.attribution.in_namespace(inode)?.container.id),
            None => None,
        };
        let is_its = |flow: &&Flow| {
            let owner = self.attribution.owner(flow.key.interface).map(|known| &known.container.id);
            owner.is_some() && (container.is_none() || owner == container)
        };
        let ports = FlowPorts::Ports { local: local.port(), remote: remote.port() };
        let tuple = (local.ip(), remote.ip(), Protocol::TCP, ports);
        let flow = self.judge.with_tuple(&self.flows, tuple).find(is_its)?;
        Some((packets_of(flow), flow.initiator()))
    }
}

/// All packets of a flow.
pub(super) fn packets_of(flow: &Flow) -> Packets {
    let Flow { key, origin, first_seen, last_seen, .. } = *flow;
    Packets { key, origin, first: first_seen, last: last_seen }
}
