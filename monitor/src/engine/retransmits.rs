//! What TCP connections sent again: booked once the connection's flow is in, under the pair of its two ends.

use super::state::State;
use crate::attribution::Packets;
use crate::flows::Flow;
use crate::model::{Initiator, KernelTime, Retransmit};
use std::collections::VecDeque;

/// Connections that may wait for their flow, or for the name of their namespace.
const MOST_WAITING: usize = 8_192;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Retransmits {
    waiting: VecDeque<(KernelTime, Retransmit)>,
    /// Segments of containers' connections that are in no pair.
    pub(super) not_booked: u64,
}

impl Retransmits {
    /// Takes in a tick's, which come before its flows.
    pub(super) fn take(&mut self, told: Vec<Retransmit>, now: KernelTime) {
        for one in told {
            if self.waiting.len() >= MOST_WAITING
                && let Some((_, first)) = self.waiting.pop_front()
            {
                self.not_booked += first.segments;
            }
            self.waiting.push_back((now, one));
        }
    }
}

impl State {
    /// Books what was sent again by connections whose flows are told by now.
    pub(super) fn book_retransmits(&mut self, now: KernelTime) {
        let grace = self.settings.attribution.announcement;
        for _ in 0..self.retransmits.waiting.len() {
            let Some((since, told)) = self.retransmits.waiting.pop_front() else { return };
            if self.book_retransmit(&told, now) {
                continue;
            }
            if now.since(since) < grace {
                self.retransmits.waiting.push_back((since, told));
            } else if self.is_of_container(&told) {
                self.retransmits.not_booked += told.segments;
            }
        }
    }

    /// Whether it is known to be a container's: sockets of all other namespaces are told too.
    fn is_of_container(&self, told: &Retransmit) -> bool {
        told.namespace.is_some_and(|inode| self.attribution.in_namespace(inode).is_some())
    }

    fn book_retransmit(&mut self, told: &Retransmit, now: KernelTime) -> bool {
        let Some((packets, initiator)) = self.flow_of(told) else { return false };
        let key = packets.key;
        let [local, remote] = [
            self.attribution.local_end(&packets, now).with_port(key.ports, true),
            self.attribution.remote_end(&packets, now).with_port(key.ports, false),
        ];
        let remote = self.on_host(&key, &remote).unwrap_or(remote);
        let by_local = told.namespace.is_some();
        self.books.retransmitted([&local, &remote], initiator, by_local, told.segments)
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
        let flow = self.judge.connections(&self.flows, local, remote).find(is_its)?;
        let Flow { key, origin, first_seen, last_seen, .. } = *flow;
        Some((Packets { key, origin, first: first_seen, last: last_seen }, flow.initiator()))
    }
}
