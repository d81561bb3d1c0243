//! How connections are spread over the containers of a service.

use super::{Answers, ContainerRef, ContainerRow, PairRow, Retransmits, Service, ZeroWindows, icmp};
use crate::model::{ContainerState, Counts, Protocol, SafeText, Traffic};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Clients of a replica that are named.
const CLIENTS: usize = 16;

/// One container of a service, and what it was asked at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaRow {
    /// Who.
    pub container: Arc<ContainerRef>,
    /// Connections that were opened to it.
    pub connections: u64,
    /// How they went.
    pub answers: Answers,
    /// What it sent and received with them.
    pub traffic: Traffic,
    /// Services that asked it, by name; at most 16.
    pub clients: Vec<SafeText>,
    /// How many services asked it.
    pub client_count: usize,
}

impl ReplicaRow {
    fn new(container: &Arc<ContainerRef>) -> Self {
        Self {
            container: Arc::clone(container),
            connections: 0,
            answers: Answers::default(),
            traffic: Traffic::default(),
            clients: Vec::new(),
            client_count: 0,
        }
    }

    /// Connections that have neither been answered nor refused so far.
    #[must_use]
    pub const fn unanswered(&self) -> u64 {
        self.connections.saturating_sub(self.answers.answered.saturating_add(self.answers.refused))
    }
}

/// A service at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// Which.
    pub service: Service,
    /// The port that was asked.
    pub port: u16,
    /// Its containers: those that were asked, and those that run, by name.
    pub replicas: Vec<ReplicaRow>,
}

impl ServiceRow {
    /// Connections to all of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.connections).sum()
    }

    /// Whether a replica gets none of what the others get.
    #[must_use]
    pub fn gets_none(&self, replica: &ReplicaRow) -> bool {
        replica.connections == 0 && self.connections() > 0
    }
}

/// All Compose services that were asked over TCP, by name and port: what is in `pairs` and was not in `before`.
#[must_use]
pub fn services(pairs: &[PairRow], before: &[PairRow], containers: &[ContainerRow]) -> Vec<ServiceRow> {
    let before: HashMap<_, &PairRow> = before.iter().map(|row| (identity(row), row)).collect();
    let mut asked: BTreeMap<(Service, u16), BTreeMap<SafeText, Asked>> = BTreeMap::new();
    for row in pairs.iter().filter(|row| row.protocol == Protocol::TCP) {
        let Some(container) = row.server.container.as_ref().filter(|it| it.service.is_some()) else {
            continue;
        };
        let Some(port) = row.server.port else { continue };
        let Some(more) = since(row, before.get(&identity(row)).copied()) else { continue };
        let of_service = asked.entry((Service::of_container(container), port)).or_default();
        let (replica, clients) = of_service
            .entry(container.name.clone())
            .or_insert_with(|| (ReplicaRow::new(container), BTreeSet::new()));
        replica.connections += more.conversations;
        replica.answers += more.answers;
        replica.traffic.sent += more.traffic.received;
        replica.traffic.received += more.traffic.sent;
        clients.insert(SafeText::new(&Service::of_client(&row.client).to_string()));
    }
    let running: Vec<(Service, &Arc<ContainerRef>)> = containers
        .iter()
        .filter(|row| row.state == ContainerState::Running)
        .map(|row| (Service::of_container(&row.container), &row.container))
        .collect();
    let rows = asked.into_iter().map(|((service, port), mut replicas)| {
        for (_, container) in running.iter().filter(|(of, _)| *of == service) {
            let fresh = || (ReplicaRow::new(container), BTreeSet::new());
            replicas.entry(container.name.clone()).or_insert_with(fresh);
        }
        let named = |(replica, clients): Asked| ReplicaRow {
            client_count: clients.len(),
            clients: clients.into_iter().take(CLIENTS).collect(),
            ..replica
        };
        ServiceRow { service, port, replicas: replicas.into_values().map(named).collect() }
    });
    rows.collect()
}

/// A replica, and all who asked it.
type Asked = (ReplicaRow, BTreeSet<SafeText>);

pub(super) type Identity<'a> =
    (Result<&'a str, std::net::IpAddr>, Result<&'a str, std::net::IpAddr>, Protocol, Option<u16>);

/// What makes a row the same as an earlier one.
pub(super) fn identity(row: &PairRow) -> Identity<'_> {
    let [client, server] = [&row.client, &row.server].map(|end| match &end.container {
        Some(container) => Ok(container.id.as_str()),
        None => Err(end.address),
    });
    (client, server, row.protocol, row.server.port)
}

/// What came on top; all of it where the row was forgotten meanwhile and began anew, nothing where there is nothing.
pub(super) fn since(row: &PairRow, before: Option<&PairRow>) -> Option<PairRow> {
    let Some(before) = before.filter(|before| before.conversations <= row.conversations) else {
        return Some(row.clone());
    };
    let more = |now: Counts, before: &Counts| now.since(before).unwrap_or(now);
    let traffic = Traffic {
        sent: more(row.traffic.sent, &before.traffic.sent),
        received: more(row.traffic.received, &before.traffic.received),
    };
    let conversations = row.conversations - before.conversations;
    let answers = row.answers.since(before.answers);
    let retransmits = row.retransmits.since(before.retransmits);
    let zero_windows = row.zero_windows.since(before.zero_windows);
    let icmp = icmp::since(&row.icmp, &before.icmp);
    let is_nothing = traffic == Traffic::default()
        && conversations == 0
        && answers == Answers::default()
        && retransmits == Retransmits::default()
        && zero_windows == ZeroWindows::default()
        && icmp.is_empty();
    (!is_nothing).then(|| PairRow {
        traffic,
        conversations,
        answers,
        retransmits,
        zero_windows,
        icmp,
        ..row.clone()
    })
}
