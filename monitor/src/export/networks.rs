//! The series of networks.

use super::containers::{at_least, counts_at_least};
use super::families as family;
use super::labels::Labels;
use super::page::Page;
use crate::model::{SafeText, Traffic};
use crate::snapshot::{NetworkRef, NetworkRow, Reach};

/// Series of one network at most: 3 about itself, and 2 or 4 for each reach.
pub(super) const COST: usize = 21;

/// One network's figures.
#[derive(Debug)]
pub(super) struct Network {
    network: NetworkRef,
    internal: bool,
    containers: usize,
    crossings: usize,
    measured: bool,
    totals: Reach,
}

impl Network {
    pub(super) fn new(row: &NetworkRow) -> Self {
        Self {
            network: row.network.clone(),
            internal: row.is_internal(),
            containers: 0,
            crossings: 0,
            measured: false,
            totals: Reach::default(),
        }
    }

    /// Takes in its row.
    pub(super) fn take(&mut self, row: &NetworkRow) {
        self.internal = row.is_internal();
        self.containers = row.members.len();
        self.crossings = row.crossings;
        self.measured |= row.is_measured();
        let (before, now) = (self.totals, row.totals);
        self.totals = Reach {
            inside: counts_at_least(before.inside, now.inside),
            host: at_least(before.host, now.host),
            outside: at_least(before.outside, now.outside),
            networks: at_least(before.networks, now.networks),
            other: at_least(before.other, now.other),
        };
    }

    /// Writes its series.
    pub(super) fn write(&self, page: &mut Page) {
        let NetworkRef { id, name, driver } = &self.network;
        let (name, id) = (Some(name.clone()), Some(SafeText::new(id.short())));
        let labels = Labels::new([("network", name), ("id", id)]);
        let internal = if self.internal { "true" } else { "false" };
        let info = labels.with("driver", driver.name()).with("internal", internal);
        page.add(&family::NETWORK, &info, 1_u64);
        page.add(&family::NETWORK_CONTAINERS, &labels, self.containers);
        if !self.measured {
            return;
        }
        page.add(&family::NETWORK_CROSSINGS, &labels, self.crossings);
        let Reach { inside, host, outside, networks, other } = self.totals;
        let inside = Traffic { sent: inside, ..Traffic::default() };
        let reaches = [
            ("inside", inside),
            ("host", host),
            ("outside", outside),
            ("other_networks", networks),
            ("other", other),
        ];
        for (reach, traffic) in reaches {
            let labels = labels.with("reach", reach);
            page.add(&family::NETWORK_TRANSMIT_BYTES, &labels, traffic.sent.bytes);
            page.add(&family::NETWORK_TRANSMIT_PACKETS, &labels, traffic.sent.packets);
            if reach != "inside" {
                page.add(&family::NETWORK_RECEIVE_BYTES, &labels, traffic.received.bytes);
                page.add(&family::NETWORK_RECEIVE_PACKETS, &labels, traffic.received.packets);
            }
        }
    }
}
