//! How long TCP connections between two services took to be answered, as either end sees it.
//!
//! The client's interface sees the whole way, the server's what the server needs; of a connection that both saw, the
//! difference is the way between them.

mod accounts;
mod first_byte;
mod halves;

pub use first_byte::FirstByte;

use super::history::LatencySpan;
use super::{Alias, End, EndKind, FlowRecord, NetworkRef, Service, Talk};
use crate::flows::{Percentiles, Steps};
use crate::model::{Initiator, InterfaceKind, KernelTime, Losses};
use accounts::{Account, Accounts};
use halves::{Half, Halves};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;

/// Pairs of services that are kept. Each has up to five histograms of 8 to 70 kB.
const MOST: usize = 128;
/// The same of services and names that several containers share.
const MOST_OF_NAMES: usize = 32;

/// Who asked whom.
#[derive(Clone, Copy, Debug)]
struct Between<'a> {
    client: &'a End,
    server: &'a End,
    /// The network that it was seen on.
    network: Option<&'a NetworkRef>,
}

impl<'a> Between<'a> {
    /// That of a flow's tick at a container's interface, and whether that is the client's.
    fn of_record(flow: &'a FlowRecord) -> Option<(Self, bool)> {
        let is_counted = flow.observed_at.kind != InterfaceKind::Bridge && flow.local.container.is_some();
        is_counted.then(|| Self::of([&flow.local, &flow.remote], flow.network.as_ref(), flow.initiator))?
    }

    fn of_talk(talk: &Talk<'a>) -> Option<(Self, bool)> {
        Self::of([talk.local, talk.remote], talk.network, talk.initiator)
    }

    /// Whose the SYN was is known of each but those whose ports were in use before the watch.
    fn of(
        [local, remote]: [&'a End; 2],
        network: Option<&'a NetworkRef>,
        opener: Initiator,
    ) -> Option<(Self, bool)> {
        match opener {
            Initiator::Local => Some((Self { client: local, server: remote, network }, true)),
            Initiator::Remote => Some((Self { client: remote, server: local, network }, false)),
            Initiator::Unknown => None,
        }
    }

    /// The names on that network that the server shares with other containers.
    fn names(&self) -> impl Iterator<Item = &'a Alias> + use<'a> {
        let found = self.server.container.as_ref().zip(self.network);
        found.into_iter().flat_map(|(container, network)| container.aliases_on(&network.id))
    }
}

/// A handshake as one interface saw it.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<'a> {
    ends: Between<'a>,
    half: Half,
}

impl<'a> Handshake<'a> {
    /// That of a flow's tick at a container's interface, if there is one.
    #[must_use]
    pub fn of_record(flow: &'a FlowRecord) -> Option<Self> {
        let took = flow.tcp.and_then(|tcp| tcp.handshake)?;
        let (ends, at_client) = Between::of_record(flow)?;
        Some(Self { ends, half: Half { at_client, took, at: flow.tick_end } })
    }

    pub(super) fn of_talk(talk: &Talk<'a>) -> Option<Self> {
        let took = talk.handshake()?;
        let (ends, at_client) = Between::of_talk(talk)?;
        Some(Self { ends, half: Half { at_client, took, at: talk.tick_end } })
    }

    /// Both ends, if the other one's interface may be watched too.
    fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let [client, server] = [self.ends.client, self.ends.server].map(|end| {
            let port = end.port.filter(|_| end.kind == EndKind::Container)?;
            Some(SocketAddr::new(end.address, port))
        });
        client.zip(server)
    }
}

/// A set of durations: percentiles for one host and a moment, steps for adding up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Their percentiles.
    pub percentiles: Percentiles,
    /// The same by fixed steps.
    pub steps: Steps,
}

/// Handshakes of one service with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyRow {
    /// Who opened the connections.
    pub client: Service,
    /// Who was asked.
    pub server: Service,
    /// The port that was asked.
    pub port: Option<u16>,
    /// From SYN to SYN-ACK at the clients' interfaces: the whole way, there and back, with what the server needed.
    pub at_client: Option<Measured>,
    /// The same at the servers' interfaces: what lies behind those.
    pub at_server: Option<Measured>,
    /// Of each connection that both ends saw, by how much the client waited longer than the server needed.
    pub between: Option<Measured>,
    /// From the first data of the client to the first of the server, at the servers' interfaces: what the program behind them
    /// needed.
    pub first_byte_at_server: Option<Measured>,
    /// The same at the clients' interfaces, of servers that are no containers of this host.
    pub first_byte_at_client: Option<Measured>,
}

impl LatencyRow {
    /// A row of what was measured at the client, at the server, between the two, and to the first byte at the server and at the
    /// client.
    pub(super) fn new(services: &ServicePair, measured: [Option<Measured>; 5]) -> Self {
        let ServicePair { client, server, port } = services.clone();
        let [at_client, at_server, between, first_byte_at_server, first_byte_at_client] = measured;
        Self {
            client,
            server,
            port,
            at_client,
            at_server,
            between,
            first_byte_at_server,
            first_byte_at_client,
        }
    }

    /// Connections whose handshakes were seen, at the end that saw more of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        let count = |of: &Option<Measured>| of.map_or(0, |it| it.percentiles.count);
        let first_bytes = count(&self.first_byte_at_server).max(count(&self.first_byte_at_client));
        count(&self.at_client).max(count(&self.at_server)).max(first_bytes)
    }
}

/// Two services, and the port that one asks the other for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePair {
    /// Who opens connections.
    pub client: Service,
    /// Who is asked.
    pub server: Service,
    /// The port that is asked.
    pub port: Option<u16>,
}

/// All of them.
#[derive(Debug)]
pub struct Latencies {
    of_services: Accounts,
    /// The same connections once more, by each name that the server shares with other containers.
    of_names: Accounts,
    halves: Halves,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            of_services: Accounts::new(MOST),
            of_names: Accounts::new(MOST_OF_NAMES),
            halves: Halves::default(),
        }
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, seen: &Handshake<'_>) {
        let Handshake { ends, half, .. } = *seen;
        let between = seen.ends().and_then(|ends| self.halves.meet(ends, half));
        self.each(&ends, half.at, true, |account| {
            let end = if half.at_client { &mut account.at_client } else { &mut account.at_server };
            end.record(half.took);
            if let Some(took) = between {
                account.between.record(took);
            }
        });
    }

    /// Adds the time to the first byte of an answer; that of a connection whose handshake found no room is counted with it.
    pub fn record_first_byte(&mut self, seen: &FirstByte<'_>) {
        self.each(&seen.ends, seen.at, false, |account| {
            let place = if seen.at_server {
                &mut account.first_byte_at_server
            } else {
                &mut account.first_byte_at_client
            };
            place.record(seen.took);
        });
    }

    /// Adds to what is kept of two ends: by their services, and by each name that the server shares. `is_counted`: whether it is
    /// a loss where there is no room.
    fn each(
        &mut self,
        ends: &Between<'_>,
        at: KernelTime,
        is_counted: bool,
        mut add: impl FnMut(&mut Account),
    ) {
        let (client, port) = (Service::of_client(ends.client), ends.server.port);
        let mut into = |accounts: &mut Accounts, server: Service| {
            let key = ServicePair { client: client.clone(), server, port };
            match accounts.get(&key, at) {
                Some(account) => add(account),
                None => accounts.not_kept += u64::from(is_counted),
            }
        };
        into(&mut self.of_services, Service::of_server(ends.server));
        for alias in ends.names() {
            into(&mut self.of_names, Service::Alias(alias.clone()));
        }
    }

    /// Forgets those with a service that is no longer known, which may depend on whether they are idle.
    pub(super) fn keep(&mut self, now: KernelTime, known: impl Fn(&Service, bool) -> bool) {
        self.of_services.keep(now, &known);
        self.of_names.keep(now, &known);
    }

    /// What came since the history was told last, of each pair of services of which something did.
    pub(super) fn tell(&mut self) -> Vec<LatencySpan> {
        self.of_services.tell().chain(self.of_names.tell()).collect()
    }

    /// The rows, those with the most connections first.
    #[must_use]
    pub fn rows(&self) -> Arc<[LatencyRow]> {
        let mut rows: Vec<LatencyRow> = self.of_services.rows().chain(self.of_names.rows()).collect();
        rows.sort_by_cached_key(|row| {
            (Reverse(row.connections()), row.client.clone(), row.server.clone(), row.port)
        });
        rows.into()
    }

    /// What is in no row.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        losses.add("handshakes_not_kept", self.of_services.not_kept);
        losses.add("shared_names_not_kept", self.of_names.not_kept);
        losses.add("latencies_forgotten", self.of_services.forgotten + self.of_names.forgotten);
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::accounts::IDLE;
    use super::{Between, Half, Handshake, Latencies, MOST};
    use crate::model::KernelTime;
    use crate::wire::fixtures;
    use std::time::Duration;

    #[test]
    fn a_million_pairs_take_the_room_of_a_few_and_are_counted() {
        let client = fixtures::container_end("shop-nginx-1", "172.18.0.2", Some(40_000));
        let mut server = fixtures::container_end("shop-flask_app-1", "172.18.0.3", Some(1));
        let mut latencies = Latencies::default();
        let mut record = |at: u64, number: u32| {
            server.port = u16::try_from(number % 65_536).ok();
            server.address = [10, 0, 0, u8::try_from(number >> 16).unwrap()].into();
            server.container = None;
            server.kind = crate::snapshot::EndKind::External;
            let half = Half { at_client: true, took: Duration::from_micros(300), at: KernelTime(at) };
            let ends = Between { client: &client, server: &server, network: None };
            latencies.record(&Handshake { ends, half });
        };
        (0..1_000_000).for_each(|number| record(1, number));
        let later = 2 + u64::try_from(IDLE.as_nanos()).unwrap();
        (0..10).for_each(|number| record(later, 500_000 + number));
        assert_eq!(latencies.rows().len(), MOST);
        let losses = latencies.losses();
        assert_eq!(losses.get("handshakes_not_kept"), 1_000_000 - MOST as u64);
        assert_eq!(losses.get("latencies_forgotten"), 10, "those that were idle long enough make room");
    }
}
