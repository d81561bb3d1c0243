//! With whom each container talks.

use super::recent::Recent;
use super::{End, Peer};
use crate::attribution::Identity;
use crate::model::{ContainerId, KernelTime, Traffic};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

/// Peers of one container that are kept.
const PER_CONTAINER: usize = 64;
/// Peers of all containers that are kept.
const IN_ALL: usize = 4_096;
/// Peers a row shows.
const SHOWN: usize = 16;

/// What makes peers the same: the container, or else the address; and the service port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    container: Option<ContainerId>,
    other: Option<Identity>,
    port: Option<u16>,
}

impl Key {
    fn of(end: &End) -> Self {
        let container = end.container.as_ref().map(|container| container.id.clone());
        let other = container.is_none().then(|| end.identity());
        Self { container, other, port: end.port }
    }
}

#[derive(Debug)]
struct Account {
    end: End,
    traffic: Traffic,
    recent: Recent<Traffic>,
    last: KernelTime,
}

/// All peers of all containers.
#[derive(Debug)]
pub(super) struct Peers {
    window: Duration,
    of: HashMap<ContainerId, HashMap<Key, Account>>,
    count: usize,
    /// Peers that made room for others.
    pub(super) forgotten: u64,
}

impl Peers {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, of: HashMap::new(), count: 0, forgotten: 0 }
    }

    /// Adds traffic of the tick that ended at `at`. `end.port` is the service port, or absent.
    pub(super) fn add(&mut self, container: &ContainerId, end: End, traffic: Traffic, at: KernelTime) {
        if !self.of.contains_key(container) {
            self.of.insert(container.clone(), HashMap::new());
        }
        let Some(peers) = self.of.get_mut(container) else { return };
        let key = Key::of(&end);
        if !peers.contains_key(&key) {
            if peers.len() >= PER_CONTAINER || self.count >= IN_ALL {
                self.forgotten += 1;
                let oldest = peers.iter().min_by_key(|(_, account)| account.last);
                let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
                peers.remove(&oldest);
                self.count -= 1;
            }
            self.count += 1;
        }
        let account = peers.entry(key).or_insert_with(|| Account {
            end: end.clone(),
            traffic: Traffic::default(),
            recent: Recent::default(),
            last: at,
        });
        account.end = end;
        account.traffic += traffic;
        account.last = account.last.max(at);
        account.recent.add(at, self.window, traffic);
    }

    /// The busiest peers of a container after a moment, in the window that began with it.
    pub(super) fn busiest(&self, container: &ContainerId, start: KernelTime) -> Vec<Peer> {
        let accounts = self.of.get(container).into_iter().flatten();
        let mut peers: Vec<Peer> = accounts
            .map(|(_, account)| {
                let window = account.recent.after(start);
                Peer { end: account.end.clone(), traffic: account.traffic, window }
            })
            .collect();
        let bytes = |traffic: &Traffic| traffic.sent.bytes.saturating_add(traffic.received.bytes);
        peers.sort_by_key(|peer| {
            (Reverse(bytes(&peer.window)), Reverse(bytes(&peer.traffic)), peer.end.address, peer.end.port)
        });
        peers.truncate(SHOWN);
        peers
    }

    /// Forgets the containers that are no longer known, on either side.
    pub(super) fn keep(&mut self, known: impl Fn(&ContainerId) -> bool) {
        self.of.retain(|container, peers| {
            peers.retain(|peer, _| peer.container.as_ref().is_none_or(&known));
            known(container)
        });
        self.count = self.of.values().map(HashMap::len).sum();
    }
}
