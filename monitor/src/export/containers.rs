//! The series of containers.

use super::families as family;
use super::labels::Labels;
use super::page::Page;
use crate::model::{ContainerId, Counts, SafeText, Traffic};
use crate::snapshot::{ContainerRef, ContainerRow, Conversations, Service, Steps};
use std::sync::Arc;

/// Series of one container at most: 12 of one line, and 19 of its histogram.
pub(super) const COST: usize = 31;
/// The same with those of cAdvisor.
pub(super) const COST_WITH_CADVISOR: usize = COST + 4;

/// One container's figures. Those of counters never go back, whatever the snapshots say.
#[derive(Debug)]
pub(super) struct Container {
    who: Arc<ContainerRef>,
    /// Whether it is watched now, and whether it ever was.
    watched: bool,
    measured: bool,
    totals: Traffic,
    /// What its devices count; packets and bytes of the wire are not known of it.
    devices: Traffic,
    not_recorded: u64,
    unaccounted_bytes: Option<u64>,
    dropped: u64,
    conversations: Conversations,
    steps: Option<Steps>,
}

impl Container {
    /// The service that it is of, or that it is by itself.
    pub(super) fn service(&self) -> Service {
        Service::of_container(&self.who)
    }

    pub(super) fn new(who: &Arc<ContainerRef>) -> Self {
        Self {
            who: Arc::clone(who),
            watched: false,
            measured: false,
            totals: Traffic::default(),
            devices: Traffic::default(),
            not_recorded: 0,
            unaccounted_bytes: None,
            dropped: 0,
            conversations: Conversations::default(),
            steps: None,
        }
    }

    /// Takes in its row.
    pub(super) fn take(&mut self, row: &ContainerRow) {
        self.who = Arc::clone(&row.container);
        self.watched = row.watched;
        self.measured |= row.watched || row.totals != Traffic::default();
        self.totals = at_least(self.totals, row.totals);
        self.devices = at_least(self.devices, row.totals + row.before_watch);
        self.not_recorded = self.not_recorded.max(row.not_recorded.packets);
        self.unaccounted_bytes = row.unaccounted_bytes;
        self.dropped = self.dropped.max(row.dropped);
        let (before, now) = (self.conversations, row.conversations);
        self.conversations = Conversations {
            alive: now.alive,
            opened: before.opened.max(now.opened),
            accepted: before.accepted.max(now.accepted),
        };
        let answered = |steps: &Option<Steps>| steps.map_or(0, |steps| steps.count());
        if answered(&row.handshake_steps) > answered(&self.steps) {
            self.steps = row.handshake_steps;
        }
    }

    /// It was not in the latest snapshot: what is about now is over.
    pub(super) fn is_over(&mut self) {
        self.watched = false;
        self.conversations.alive = 0;
    }

    /// Writes its series; its drops only where drops are watched.
    pub(super) fn write(&self, page: &mut Page, drops: bool, cadvisor: bool) {
        let ContainerRef { id, name, image, project, service, .. } = &*self.who;
        let labels = named("container", name, "id", id);
        let (container, short) = (Some(name.clone()), Some(SafeText::new(id.short())));
        let info = [
            ("container", container),
            ("id", short),
            ("image", image.clone()),
            ("project", project.clone()),
            ("service", service.clone()),
        ];
        page.add(&family::CONTAINER, &Labels::new(info), 1_u64);
        page.add(&family::CONTAINER_WATCHED, &labels, self.watched);
        if !self.measured {
            return;
        }
        let Traffic { sent, received } = self.totals;
        page.add(&family::CONTAINER_RECEIVE_BYTES, &labels, received.bytes);
        page.add(&family::CONTAINER_RECEIVE_PACKETS, &labels, received.packets);
        page.add(&family::CONTAINER_TRANSMIT_BYTES, &labels, sent.bytes);
        page.add(&family::CONTAINER_TRANSMIT_PACKETS, &labels, sent.packets);
        page.add(&family::CONTAINER_NOT_RECORDED, &labels, self.not_recorded);
        if let Some(bytes) = self.unaccounted_bytes {
            page.add(&family::CONTAINER_UNACCOUNTED, &labels, bytes);
        }
        if drops {
            page.add(&family::CONTAINER_DROPPED, &labels, self.dropped);
        }
        page.add(&family::CONTAINER_CONVERSATIONS, &labels, self.conversations.alive);
        page.add(&family::CONTAINER_OPENED, &labels, self.conversations.opened);
        page.add(&family::CONTAINER_ACCEPTED, &labels, self.conversations.accepted);
        if let Some(steps) = self.steps {
            page.add(&family::CONTAINER_HANDSHAKE, &labels, steps);
        }
        if cadvisor {
            let path = SafeText::new(&format!("/docker/{}", id.as_str()));
            let labels =
                Labels::new([("id", Some(path)), ("name", Some(name.clone())), ("image", image.clone())]);
            let Traffic { sent, received } = self.devices;
            page.add(&family::CADVISOR_RECEIVE_BYTES, &labels, received.skb_bytes);
            page.add(&family::CADVISOR_RECEIVE_PACKETS, &labels, received.skbs);
            page.add(&family::CADVISOR_TRANSMIT_BYTES, &labels, sent.skb_bytes);
            page.add(&family::CADVISOR_TRANSMIT_PACKETS, &labels, sent.skbs);
        }
    }
}

/// A container's name and the beginning of its id, under these names.
pub(super) fn named(name_is: &'static str, name: &SafeText, id_is: &'static str, id: &ContainerId) -> Labels {
    Labels::new([(name_is, Some(name.clone())), (id_is, Some(SafeText::new(id.short())))])
}

/// The later of two readings of the same counters, of which none goes back.
pub(super) fn at_least(before: Traffic, now: Traffic) -> Traffic {
    Traffic {
        sent: counts_at_least(before.sent, now.sent),
        received: counts_at_least(before.received, now.received),
    }
}

/// The same for one direction.
pub(super) fn counts_at_least(before: Counts, now: Counts) -> Counts {
    Counts {
        packets: before.packets.max(now.packets),
        bytes: before.bytes.max(now.bytes),
        skbs: before.skbs.max(now.skbs),
        skb_bytes: before.skb_bytes.max(now.skb_bytes),
    }
}
