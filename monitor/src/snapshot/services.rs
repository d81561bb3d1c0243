//! How connections are spread over the containers of a service, or behind a name.

use super::{
    Alias, Answers, ContainerRef, ContainerRow, End, NetworkRef, PairRow, Part, Retransmits, Service,
    SwarmRef, ZeroWindows, icmp, shares,
};
use crate::attribution as ends;
use crate::model::{ContainerState, Counts, Protocol, SafeText, SwarmKind, Traffic};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Clients of a replica that are named.
const CLIENTS: usize = 16;

/// One of those that are a service together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replica {
    /// A container of this host.
    Here(Arc<ContainerRef>),
    /// A task on another node of a swarm. What was asked of it is what containers of this node asked.
    Elsewhere(Arc<SwarmRef>),
}

impl Replica {
    /// Which one an end is; nobody is behind a virtual address alone.
    fn of(end: &End) -> Option<Self> {
        match (&end.container, &end.swarm) {
            (Some(container), _) => Some(Self::Here(Arc::clone(container))),
            (None, Some(swarm)) if swarm.member.kind == SwarmKind::Task => {
                Some(Self::Elsewhere(Arc::clone(swarm)))
            }
            (None, _) => None,
        }
    }

    /// The container's name; absent where the swarm does not tell it.
    #[must_use]
    pub fn name(&self) -> Option<&SafeText> {
        match self {
            Self::Here(container) => Some(&container.name),
            Self::Elsewhere(swarm) => swarm.member.name.as_ref(),
        }
    }

    /// What it is a replica of: its service, and the names that it shares with others on a network, or on any.
    fn groups(&self, network: Option<&NetworkRef>) -> Vec<Service> {
        match self {
            Self::Here(container) => groups(container, network).collect(),
            Self::Elsewhere(swarm) => swarm.member.service.clone().map(Service::Swarm).into_iter().collect(),
        }
    }
}

/// One container of a service, and what it was asked at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaRow {
    /// Who.
    pub who: Replica,
    /// Connections that were opened to it.
    pub connections: u64,
    /// How they went.
    pub answers: Answers,
    /// Of the connections, those whose client is known to have asked for the name. Others have come by an address, or by a
    /// name that nobody saw it ask for. Absent for services of Compose and Swarm: all are theirs, by whatever name.
    pub by_name: Option<u64>,
    /// What it sent and received with them.
    pub traffic: Traffic,
    /// Services that asked it, by name; at most 16.
    pub clients: Vec<SafeText>,
    /// How many services asked it.
    pub client_count: usize,
}

impl ReplicaRow {
    fn new(who: Replica) -> Self {
        Self {
            who,
            connections: 0,
            answers: Answers::default(),
            by_name: None,
            traffic: Traffic::default(),
            clients: Vec::new(),
            client_count: 0,
        }
    }

    fn add(&mut self, part: Part, by_name: Option<u64>) {
        self.connections += part.conversations;
        self.answers += part.answers;
        self.traffic.sent += part.traffic.received;
        self.traffic.received += part.traffic.sent;
        if let Some(by_name) = by_name {
            *self.by_name.get_or_insert(0) += by_name;
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

/// What a container is a replica of: its service, and the names that it shares with others on a network, or on any.
fn groups<'a>(container: &'a ContainerRef, network: Option<&'a NetworkRef>) -> impl Iterator<Item = Service> {
    let service = container.service.is_some().then(|| Service::of_container(container));
    let is_there = move |alias: &&Alias| network.is_none_or(|network| alias.network.id == network.id);
    service.into_iter().chain(container.aliases.iter().filter(is_there).cloned().map(Service::Alias))
}

/// All services of Compose and Swarm, and names that several containers share, that were asked over TCP, by name and port: what
/// is in `pairs` and was not in `before`.
#[must_use]
pub fn services(pairs: &[PairRow], before: &[PairRow], containers: &[ContainerRow]) -> Vec<ServiceRow> {
    let before: HashMap<_, &PairRow> = before.iter().map(|row| (identity(row), row)).collect();
    let mut asked: BTreeMap<(Service, u16), BTreeMap<SafeText, Asked>> = BTreeMap::new();
    for row in pairs.iter().filter(|row| row.protocol == Protocol::TCP) {
        let (Some(server), Some(port)) = (Replica::of(&row.server), row.server.port) else { continue };
        let Some(name) = server.name() else { continue };
        let Some(more) = since(row, before.get(&identity(row)).copied()) else { continue };
        for group in server.groups(row.network.as_ref()) {
            let (part, by_name) = match &group {
                Service::Alias(alias) => {
                    let (part, by_name) = more.by_alias(alias);
                    (part, Some(by_name))
                }
                _ => (Part::whole(&more), None),
            };
            if part != Part::default() {
                let (replica, clients) = asked
                    .entry((group, port))
                    .or_default()
                    .entry(name.clone())
                    .or_insert_with(|| (ReplicaRow::new(server.clone()), BTreeSet::new()));
                replica.add(part, by_name);
                clients.insert(SafeText::new(&Service::of_client(&row.client).to_string()));
            }
        }
    }
    let mut running: HashMap<Service, Vec<&Arc<ContainerRef>>> = HashMap::new();
    for row in containers.iter().filter(|row| row.state == ContainerState::Running) {
        for group in groups(&row.container, None) {
            running.entry(group).or_default().push(&row.container);
        }
    }
    let rows = asked.into_iter().map(|((service, port), mut replicas)| {
        for container in running.get(&service).into_iter().flatten() {
            let fresh = || (ReplicaRow::new(Replica::Here(Arc::clone(container))), BTreeSet::new());
            replicas.entry(container.name.clone()).or_insert_with(fresh);
        }
        let is_alias = matches!(service, Service::Alias(_));
        let named = |(replica, clients): Asked| ReplicaRow {
            client_count: clients.len(),
            clients: clients.into_iter().take(CLIENTS).collect(),
            by_name: is_alias.then(|| replica.by_name.unwrap_or(0)),
            ..replica
        };
        ServiceRow { service, port, replicas: replicas.into_values().map(named).collect() }
    });
    // A name that led to several, of which one is left, is no name of several any more.
    rows.filter(|row| row.replicas.len() > 1 || !matches!(row.service, Service::Alias(_))).collect()
}

/// A replica, and all who asked it.
type Asked = (ReplicaRow, BTreeSet<SafeText>);

pub(super) type Identity<'a> =
    (Result<&'a str, ends::Identity>, Result<&'a str, ends::Identity>, Protocol, Option<u16>);

/// What makes a row the same as an earlier one.
pub(super) fn identity(row: &PairRow) -> Identity<'_> {
    let [client, server] = [&row.client, &row.server].map(|end| match &end.container {
        Some(container) => Ok(container.id.as_str()),
        None => Err(end.identity()),
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
    let shares = shares::since(&row.shares, &before.shares);
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
        shares,
        retransmits,
        zero_windows,
        icmp,
        ..row.clone()
    })
}
