//! Names that containers asked for: told once it is known whose question it was, and kept for the flows to the addresses
//! that were answered.

use super::state::State;
use crate::attribution::{Attribution, Known, Packets};
use crate::model::{
    ContainerId, DnsExchange, DnsPlace, DnsRecord, DnsTransport, FlowKey, FlowPorts, KernelTime, Protocol,
    SafeText,
};
use crate::snapshot::{End, EndKind, Lookups, NameRecord, Record};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// Questions that may wait for the name of their container.
const MOST_WAITING: usize = 16_384;
/// Addresses whose names are kept, of one container and of all.
const MOST_OF_CONTAINER: usize = 1_024;
const MOST: usize = 65_536;

/// What is known of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    waiting: VecDeque<(KernelTime, DnsExchange)>,
    by_container: HashMap<ContainerId, Addresses>,
    /// Addresses of all containers.
    kept: usize,
    /// Questions that had to go without their container because too many waited.
    pub(super) given_up: u64,
    /// Names of addresses that made room for others, or found none.
    pub(super) forgotten: u64,
    /// The same summed up, for rows.
    pub(super) lookups: Lookups,
}

/// The addresses that one container was answered, each with the name that it asked for last.
#[derive(Debug, Default)]
struct Addresses {
    names: HashMap<IpAddr, Asked>,
    /// In the order in which they came.
    order: VecDeque<IpAddr>,
}

/// A name that was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: SafeText,
    /// When it was answered.
    pub(super) at: KernelTime,
}

impl Names {
    /// The name that a container asked for last of those that an address was an answer to.
    pub(super) fn of(&self, container: &ContainerId, address: IpAddr) -> Option<&Asked> {
        self.by_container.get(container)?.names.get(&address)
    }

    /// Keeps the names of what was answered.
    fn learn(&mut self, container: &ContainerId, told: &DnsExchange) {
        let Some(answer) = &told.answer else { return };
        for record in &answer.records {
            let DnsRecord::Address(address) = record else { continue };
            let of_container = self.by_container.get_mut(container);
            let addresses = match of_container {
                Some(addresses) => addresses,
                None => self.by_container.entry(container.clone()).or_default(),
            };
            let asked = Asked { name: told.name.clone(), at: answer.at };
            if let Some(known) = addresses.names.get_mut(address) {
                *known = asked;
                continue;
            }
            if addresses.order.len() >= MOST_OF_CONTAINER
                && let Some(first) = addresses.order.pop_front()
            {
                addresses.names.remove(&first);
                self.kept -= 1;
                self.forgotten += 1;
            }
            if self.kept >= MOST {
                self.forgotten += 1;
                continue;
            }
            addresses.names.insert(*address, asked);
            addresses.order.push_back(*address);
            self.kept += 1;
        }
    }

    /// Forgets what containers knew that run no longer.
    pub(super) fn tidy(&mut self, attribution: &Attribution) {
        let is_running = |id: &ContainerId| attribution.container(id).is_some_and(Known::is_running);
        self.lookups.tidy(is_running, |id| attribution.container(id).is_some());
        self.by_container.retain(|id, addresses| {
            let stays = is_running(id);
            if !stays {
                self.kept -= addresses.order.len();
            }
            stays
        });
    }

    /// Questions that wait, addresses whose names are kept, and names in rows.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.waiting.len(), self.kept, self.lookups.len()]
    }
}

impl State {
    /// Takes in what was asked.
    pub(super) fn take_names(&mut self, told: Vec<DnsExchange>, now: KernelTime) {
        for told in told {
            match self.asker(&told) {
                Some(_) => self.tell_name(told, now),
                None => self.names.waiting.push_back((now, told)),
            }
        }
        while self.names.waiting.len() > MOST_WAITING {
            self.names.given_up += 1;
            self.tell_first_name(now);
        }
    }

    /// Tells the questions whose container is known now, or that have waited long enough.
    pub(super) fn release_names(&mut self, now: KernelTime) {
        for _ in 0..self.names.waiting.len() {
            let Some((since, told)) = self.names.waiting.pop_front() else { return };
            if self.asker(&told).is_none() && self.attribution.may_still_be_named(since, now) {
                self.names.waiting.push_back((since, told));
            } else {
                self.tell_name(told, now);
            }
        }
    }

    fn tell_first_name(&mut self, now: KernelTime) {
        if let Some((_, told)) = self.names.waiting.pop_front() {
            self.tell_name(told, now);
        }
    }

    /// Whose question it was.
    fn asker(&self, told: &DnsExchange) -> Option<&Known> {
        match told.place {
            DnsPlace::Interface(number) => self.attribution.owner(number),
            // Who had the number before had no address then.
            DnsPlace::Namespace(inode) => {
                let known = self.attribution.in_namespace(inode)?;
                self.attribution.had_address(known, told.asked_at).then_some(known)
            }
        }
    }

    fn tell_name(&mut self, told: DnsExchange, now: KernelTime) {
        let container = self.asker(&told).map(|known| Arc::clone(known.reference()));
        let resolver = self.resolver(&told, now);
        if let Some(container) = &container {
            self.names.learn(&container.id, &told);
            self.names.lookups.take(container, &told, resolver.clone());
            if !told.forwarded {
                self.books.asked(container, &told);
            }
        }
        if !self.subscribers.want_name(container.as_deref()) {
            return;
        }
        let watched = match told.place {
            DnsPlace::Interface(number) => self.attribution.interface(number),
            DnsPlace::Namespace(_) => None,
        };
        let record = NameRecord {
            network: watched.and_then(|watched| watched.network.clone()),
            observed_at: watched.map(|watched| watched.observed_at.clone()),
            resolver,
            container,
            told,
        };
        self.subscribers.send_name(&Record::Name(Arc::new(record)));
    }

    /// Who was asked.
    fn resolver(&self, told: &DnsExchange, now: KernelTime) -> End {
        let DnsExchange { place, client, resolver, transport, asked_at, .. } = told;
        let ports = FlowPorts::Ports { local: client.port(), remote: resolver.port() };
        let end = match *place {
            DnsPlace::Interface(interface) => {
                let protocol = match transport {
                    DnsTransport::Udp => Protocol::UDP,
                    DnsTransport::Tcp => Protocol::TCP,
                };
                let (local, remote) = (client.ip(), resolver.ip());
                let key = FlowKey { interface, local, remote, protocol, ports, vlan: None };
                let last = told.answer.as_ref().map_or(*asked_at, |answer| answer.at);
                self.attribution.remote_end(&Packets { key, origin: None, first: *asked_at, last }, now)
            }
            // Docker's own, which is the engine.
            DnsPlace::Namespace(_) => End::plain(EndKind::Host, resolver.ip()),
        };
        end.with_port(ports, false)
    }
}
