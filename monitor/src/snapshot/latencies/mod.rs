//! How long TCP connections between two services took to be answered, as either end sees it.
//!
//! The client's interface sees the whole way, the server's what the server needs; of a connection that both saw, the
//! difference is the way between them.

mod first_byte;
mod halves;

pub use first_byte::FirstByte;

use super::history::LatencySpan;
use super::{End, EndKind, FlowRecord, Service, Talk};
use crate::flows::{Latency, Percentiles, Spread, Steps};
use crate::model::{Initiator, InterfaceKind, KernelTime, Losses};
use halves::{Half, Halves};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Pairs of services that are kept. Each has up to four histograms of 8 to 70 kB.
const MOST: usize = 128;
/// A pair makes room for another one after so long without a handshake.
const IDLE: Duration = Duration::from_secs(600);

/// A handshake as one interface saw it.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<'a> {
    client: &'a End,
    server: &'a End,
    half: Half,
}

impl<'a> Handshake<'a> {
    /// That of a flow's tick at a container's interface, if there is one.
    #[must_use]
    pub fn of_record(flow: &'a FlowRecord) -> Option<Self> {
        let took = flow.tcp.and_then(|tcp| tcp.handshake)?;
        let is_counted = flow.observed_at.kind != InterfaceKind::Bridge && flow.local.container.is_some();
        is_counted.then(|| Self::at([&flow.local, &flow.remote], flow.initiator, took, flow.tick_end))?
    }

    pub(super) fn of_talk(talk: &Talk<'a>) -> Option<Self> {
        Self::at([talk.local, talk.remote], talk.initiator, talk.handshake()?, talk.tick_end)
    }

    /// Whose the SYN was is known of each but those whose ports were in use before the watch.
    fn at([local, remote]: [&'a End; 2], opener: Initiator, took: Duration, at: KernelTime) -> Option<Self> {
        let (client, server, at_client) = match opener {
            Initiator::Local => (local, remote, true),
            Initiator::Remote => (remote, local, false),
            Initiator::Unknown => return None,
        };
        Some(Self { client, server, half: Half { at_client, took, at } })
    }

    /// Both ends, if the other one's interface may be watched too.
    fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let [client, server] = [self.client, self.server].map(|end| {
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
    /// From the first data of the client to the first of the server: at the servers' interfaces, what the program behind them
    /// needed; of a server that is no container at the clients'.
    pub first_byte: Option<Measured>,
}

impl LatencyRow {
    /// Whose interface the time to the first byte is measured at.
    #[must_use]
    pub fn first_byte_seen_at(&self) -> &'static str {
        if self.server.is_of_containers() { "server" } else { "client" }
    }

    /// Connections whose handshakes were seen, at the end that saw more of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        let count = |of: &Option<Measured>| of.map_or(0, |it| it.percentiles.count);
        count(&self.at_client).max(count(&self.at_server)).max(count(&self.first_byte))
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

#[derive(Debug, Default)]
struct Timed {
    latency: Option<Box<Latency>>,
    steps: Steps,
    /// What the history was not told.
    untold: Spread,
}

impl Timed {
    fn record(&mut self, took: Duration) {
        self.latency.get_or_insert_default().record(took);
        self.steps.record(took);
        self.untold.record(took);
    }

    fn measured(&self) -> Option<Measured> {
        let percentiles = self.latency.as_ref()?.percentiles()?;
        Some(Measured { percentiles, steps: self.steps })
    }
}

#[derive(Debug, Default)]
struct Account {
    at_client: Timed,
    at_server: Timed,
    between: Timed,
    first_byte: Timed,
    last: KernelTime,
}

impl Account {
    fn row(&self, key: &ServicePair) -> LatencyRow {
        let ServicePair { client, server, port } = key.clone();
        let all = [&self.at_client, &self.at_server, &self.between, &self.first_byte];
        let [at_client, at_server, between, first_byte] = all.map(Timed::measured);
        LatencyRow { client, server, port, at_client, at_server, between, first_byte }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Latencies {
    accounts: HashMap<Arc<ServicePair>, Account>,
    halves: Halves,
    /// Before this no account was idle for long enough.
    full_until: KernelTime,
    not_kept: u64,
    forgotten: u64,
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, seen: &Handshake<'_>) {
        let Handshake { client, server, half } = *seen;
        let between = seen.ends().and_then(|ends| self.halves.meet(ends, half));
        let Some(account) = self.account([client, server], half.at) else {
            self.not_kept += 1;
            return;
        };
        let end = if half.at_client { &mut account.at_client } else { &mut account.at_server };
        end.record(half.took);
        if let Some(took) = between {
            account.between.record(took);
        }
    }

    /// Adds the time to the first byte of an answer; that of a connection whose handshake found no room is counted with it.
    pub fn record_first_byte(&mut self, seen: &FirstByte<'_>) {
        if let Some(account) = self.account([seen.client, seen.server], seen.at) {
            account.first_byte.record(seen.took);
        }
    }

    /// That of two ends, if there is room for it.
    fn account(&mut self, [client, server]: [&End; 2], at: KernelTime) -> Option<&mut Account> {
        let (client, port) = (Service::of_client(client), server.port);
        let key = ServicePair { client, server: Service::of_server(server), port };
        if !self.accounts.contains_key(&key) {
            if !self.has_room(at) {
                return None;
            }
            self.accounts.insert(Arc::new(key.clone()), Account::default());
        }
        let account = self.accounts.get_mut(&key)?;
        account.last = account.last.max(at);
        Some(account)
    }

    /// Whether there is room for one more, or the one that was idle longest can make it.
    fn has_room(&mut self, now: KernelTime) -> bool {
        if self.accounts.len() < MOST {
            return true;
        }
        if now < self.full_until {
            return false;
        }
        let oldest = self.accounts.iter().min_by_key(|(key, account)| (account.last, *key));
        let Some((key, last)) = oldest.map(|(key, account)| (Arc::clone(key), account.last)) else {
            return true;
        };
        self.full_until = last.plus(IDLE);
        let is_idle = now >= self.full_until;
        if is_idle {
            self.accounts.remove(&key);
            self.forgotten += 1;
        }
        is_idle
    }

    /// Forgets those with a service that is no longer known.
    pub(super) fn keep(&mut self, known: impl Fn(&Service) -> bool) {
        self.accounts.retain(|key, _| known(&key.client) && known(&key.server));
    }

    /// What came since the history was told last, of each pair of services of which something did.
    pub(super) fn tell(&mut self) -> Vec<LatencySpan> {
        let told = self.accounts.iter_mut().filter_map(|(services, account)| {
            let all = [
                &mut account.at_client,
                &mut account.at_server,
                &mut account.between,
                &mut account.first_byte,
            ];
            let seen = all.map(|timed| std::mem::take(&mut timed.untold));
            let is_something = seen.iter().any(|spread| spread.count() > 0);
            is_something.then(|| LatencySpan { services: Arc::clone(services), seen })
        });
        told.collect()
    }

    /// The rows, those with the most connections first.
    #[must_use]
    pub fn rows(&self) -> Arc<[LatencyRow]> {
        let mut rows: Vec<LatencyRow> = self.accounts.iter().map(|(key, account)| account.row(key)).collect();
        rows.sort_by_cached_key(|row| {
            (Reverse(row.connections()), row.client.clone(), row.server.clone(), row.port)
        });
        rows.into()
    }

    /// What is in no row.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        losses.add("handshakes_not_kept", self.not_kept);
        losses.add("latencies_forgotten", self.forgotten);
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::{Half, Handshake, IDLE, Latencies, MOST};
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
            latencies.record(&Handshake { client: &client, server: &server, half });
        };
        (0..1_000_000).for_each(|number| record(1, number));
        let later = 2 + u64::try_from(IDLE.as_nanos()).unwrap();
        (0..10).for_each(|number| record(later, 500_000 + number));
        assert_eq!(latencies.accounts.len(), MOST);
        let losses = latencies.losses();
        assert_eq!(losses.get("handshakes_not_kept"), 1_000_000 - MOST as u64);
        assert_eq!(losses.get("latencies_forgotten"), 10, "those that were idle long enough make room");
    }
}
