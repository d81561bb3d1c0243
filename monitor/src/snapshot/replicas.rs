//! Which replica of a service, or behind a name, answers nobody while the others do.

use super::{End, Service, Talk, Tcp, TcpState};
use crate::attribution::{Attribution, Known};
use crate::model::{ContainerId, Initiator, KernelTime, SafeText, SwarmKind};
use crate::policy::{Outcome, SilentReplica};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Replicas and ports that are compared at once.
const MOST: usize = 4_096;
/// What was asked in so long is judged together, once as much time again has passed in which it may be answered.
const SPAN: Duration = Duration::from_secs(10);
/// Connections that a replica must have left unanswered in it: one or two may be chance.
const ENOUGH: u64 = 3;

/// One of those that are asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Who {
    /// A container of this host.
    Here(ContainerId),
    /// A task on another node of a swarm, by its name, at whichever of its addresses.
    Elsewhere(SafeText),
}

impl Who {
    /// Which one an end is; nobody is behind a virtual address alone.
    fn of(end: &End) -> Option<Self> {
        match (&end.container, &end.swarm) {
            (Some(container), _) => Some(Self::Here(container.id.clone())),
            (None, Some(swarm)) if swarm.member.kind == SwarmKind::Task => {
                swarm.member.name.clone().map(Self::Elsewhere)
            }
            (None, _) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    service: Service,
    port: u16,
    replica: Who,
}

#[derive(Clone, Debug)]
struct Asked {
    connections: u64,
    answered: u64,
    refused: u64,
    client: End,
    server: End,
    /// Whether something between them stopped one, which is told as a finding of its own.
    stopped: bool,
    at: KernelTime,
}

/// Connections to each replica, by spans of time.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    since: KernelTime,
    now: HashMap<Key, Asked>,
    before: HashMap<Key, Asked>,
    /// Replicas, with the port, that answered anybody in these two spans, by whatever name they were asked.
    answer_now: HashSet<(Who, u16)>,
    answered_before: HashSet<(Who, u16)>,
    /// Connections that were not compared.
    pub(super) not_compared: u64,
}

impl Replicas {
    /// Takes in one tick of a flow.
    pub(super) fn take(&mut self, talk: &Talk<'_>) {
        let Some(tcp) = talk.tcp.filter(|_| talk.counts_connections()) else { return };
        let (client, server) = match talk.initiator {
            Initiator::Local => (talk.local, talk.remote),
            Initiator::Remote => (talk.remote, talk.local),
            Initiator::Unknown => return,
        };
        if !(talk.opened || tcp.handshake.is_some() || is_refused(&tcp)) {
            return;
        }
        let (Some(replica), Some(port)) = (Who::of(server), server.port) else { return };
        let mut all = tcp.handshake.is_none() || self.answers((replica.clone(), port));
        for service in groups(talk, server) {
            let key = Key { service, port, replica: replica.clone() };
            all &= self.note(key, talk, [client, server], &tcp);
        }
        self.not_compared += u64::from(!all && talk.opened);
    }

    /// Notes that a replica answered at a port. Whether there is room.
    fn answers(&mut self, who: (Who, u16)) -> bool {
        let has_room = self.answer_now.len() < MOST || self.answer_now.contains(&who);
        if has_room {
            self.answer_now.insert(who);
        }
        has_room
    }

    /// Notes what became of a connection to a replica. Whether there is room.
    fn note(&mut self, key: Key, talk: &Talk<'_>, [client, server]: [&End; 2], tcp: &Tcp) -> bool {
        if !self.now.contains_key(&key) && self.now.len() >= MOST {
            return false;
        }
        let asked = self.now.entry(key).or_insert_with(|| Asked {
            connections: 0,
            answered: 0,
            refused: 0,
            client: client.clone(),
            server: server.clone(),
            stopped: false,
            at: talk.at,
        });
        if client.address < asked.client.address {
            // One finding, not one for each of those that ask by turns.
            asked.client = client.clone();
        }
        asked.connections += u64::from(talk.opened);
        asked.answered += u64::from(tcp.handshake.is_some());
        asked.refused += u64::from(is_refused(tcp));
        asked.at = asked.at.max(talk.at);
        let outcome = talk.verdict.map(|verdict| verdict.outcome);
        asked.stopped |= matches!(outcome, Some(Outcome::Blocked | Outcome::Undelivered));
        true
    }

    /// Those that answered nobody in the span before the one that ends now, and are there still, in order; none while it goes on.
    pub(super) fn silent(&mut self, attribution: &Attribution, now: KernelTime) -> Vec<SilentReplica> {
        if now.since(self.since) < SPAN {
            return Vec::new();
        }
        self.since = now;
        let after = std::mem::take(&mut self.now);
        let before = std::mem::replace(&mut self.before, after);
        let answer_now = std::mem::take(&mut self.answer_now);
        let answered_before = std::mem::replace(&mut self.answered_before, answer_now);
        let mut others: HashMap<(&Service, u16), (usize, u64)> = HashMap::new();
        for (key, asked) in before.iter().filter(|(_, asked)| asked.answered > 0) {
            let (replicas, answered) = others.entry((&key.service, key.port)).or_default();
            *replicas += 1;
            *answered += asked.answered;
        }
        // One that answers whoever asks it by another name is not silent: then it is something between, or what it is asked for.
        let answers = |key: &Key| {
            let who = (key.replica.clone(), key.port);
            answered_before.contains(&who) || self.answered_before.contains(&who)
        };
        let mut silent: Vec<(&Key, SilentReplica)> = before
            .iter()
            .filter(|(key, asked)| asked.connections >= ENOUGH && !asked.stopped && !answers(key))
            .filter(|(_, asked)| is_there(attribution, &asked.server, now))
            .filter_map(|(key, asked)| {
                let (replicas, answered) = *others.get(&(&key.service, key.port))?;
                Some((key, asked.silent(key, replicas, answered)))
            })
            .collect();
        silent.sort_by_key(|(key, _)| *key);
        // One that is behind several names is told once: of its service, if it has one.
        let mut told = HashSet::new();
        silent.retain(|(key, _)| told.insert((&key.replica, key.port)));
        silent.into_iter().map(|(_, silent)| silent).collect()
    }
}

/// What a connection says of a replica of: its service, and the name that its client came by, or each that it may have come by.
fn groups(talk: &Talk<'_>, server: &End) -> Vec<Service> {
    let Some(container) = &server.container else {
        let member = server.swarm.as_ref().map(|swarm| &swarm.member);
        let service = member.and_then(|member| member.service.clone());
        return service.map(Service::Swarm).into_iter().collect();
    };
    let service = container.service.is_some().then(|| Service::of_container(container));
    let may_be = talk.network.filter(|_| talk.asked.is_none());
    let may_be = may_be.into_iter().flat_map(|network| container.aliases_on(&network.id));
    let aliases = talk.alias(server).into_iter().chain(may_be);
    service.into_iter().chain(aliases.cloned().map(Service::Alias)).collect()
}

/// Whether a replica is where it was asked: its container runs, or its task has that address by what the swarm told last.
fn is_there(attribution: &Attribution, server: &End, now: KernelTime) -> bool {
    match (&server.container, &server.swarm) {
        (Some(container), _) => attribution.container(&container.id).is_some_and(Known::is_running),
        (None, Some(swarm)) => {
            let holder = attribution.in_swarm_now(&swarm.network.id, swarm.member.address, now);
            holder.is_some_and(|holder| holder.member.name == swarm.member.name)
        }
        (None, None) => false,
    }
}

fn is_refused(tcp: &Tcp) -> bool {
    tcp.failed && tcp.state == TcpState::Refused
}

impl Asked {
    fn silent(&self, key: &Key, others: usize, others_answered: u64) -> SilentReplica {
        SilentReplica {
            service: key.service.to_string(),
            source: self.client.clone(),
            destination: self.server.clone(),
            port: key.port,
            connections: self.connections,
            refused: self.refused,
            others,
            others_answered,
            at: self.at,
        }
    }
}
