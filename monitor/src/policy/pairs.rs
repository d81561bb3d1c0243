//! Which flow at another interface is the other end of a flow.

use crate::flows::{Flow, FlowTable};
use crate::model::{FlowId, FlowKey, FlowPorts, Protocol};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;

/// The most flows with one tuple, or at one port with a rewritten source, that are remembered.
const MOST_ALIKE: usize = 16;

/// What two interfaces can have in common: local and remote end, as seen at one of them.
pub(super) type Tuple = (IpAddr, IpAddr, Protocol, FlowPorts);

/// Address, protocol and port of a container, with who sent there.
type Place = (IpAddr, Protocol, u16, Sender);

/// Who is behind the remote end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    /// Whoever has that address.
    Holder,
    /// The host itself, such as its proxy for published ports.
    Host,
    /// Somebody whose address the host replaced with one of its own.
    Rewritten,
}

/// Flows at containers' interfaces by their tuple.
///
/// The index holds hashes: with 65,536 flows whole tuples would be a few megabytes more. A flow that is found is
/// compared.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    by_tuple: HashMap<u64, FlowId>,
    /// Further flows with a tuple that is taken: forwarded by a container, or by bridges in a row.
    more: HashMap<u64, Vec<FlowId>>,
    /// Flows by the container's address and port, where the source is an address of the host. Of the host's own only the
    /// latest: no other end of theirs is looked for.
    from_host: HashMap<Place, Vec<FlowId>>,
    hasher: RandomState,
}

impl Pairs {
    /// A flow was seen at a container's interface. `false`: there are too many like it, and it will not be found.
    pub(super) fn note(&mut self, id: FlowId, key: &FlowKey, sender: Sender) -> bool {
        let mut is_kept = true;
        let hash = self.hash(&tuple(key));
        let first = self.by_tuple.entry(hash).or_insert(id);
        if *first != id {
            is_kept &= push(self.more.entry(hash).or_default(), id);
        }
        if let (Sender::Host | Sender::Rewritten, FlowPorts::Ports { local, .. }) = (sender, key.ports) {
            let alike = self.from_host.entry((key.local, key.protocol, local, sender)).or_default();
            if sender == Sender::Host && alike.len() >= MOST_ALIKE && !alike.contains(&id) {
                alike.remove(0);
            }
            is_kept &= push(alike, id);
        }
        is_kept
    }

    /// A flow is over.
    pub(super) fn forget(&mut self, id: FlowId, key: &FlowKey) {
        let hash = self.hash(&tuple(key));
        let next = match self.more.get_mut(&hash) {
            Some(others) => {
                others.retain(|other| *other != id);
                let next = others.first().copied();
                if others.is_empty() {
                    self.more.remove(&hash);
                }
                next
            }
            None => None,
        };
        if self.by_tuple.get(&hash) == Some(&id) {
            match next {
                Some(next) => drop(self.by_tuple.insert(hash, next)),
                None => drop(self.by_tuple.remove(&hash)),
            }
        }
        if let FlowPorts::Ports { local, .. } = key.ports {
            for sender in [Sender::Host, Sender::Rewritten] {
                let place = (key.local, key.protocol, local, sender);
                if let Some(others) = self.from_host.get_mut(&place) {
                    others.retain(|other| *other != id);
                    if others.is_empty() {
                        self.from_host.remove(&place);
                    }
                }
            }
        }
    }

    /// The flows at other interfaces that are the other end of one: of the same packets, untranslated.
    pub(super) fn other_ends<'a>(
        &'a self,
        flows: &'a FlowTable,
        key: &FlowKey,
    ) -> impl Iterator<Item = &'a Flow> {
        let wanted = mirrored(key);
        let interface = key.interface;
        self.with_tuple(flows, wanted).filter(move |flow| flow.key.interface != interface)
    }

    /// The flows with this local and remote end.
    pub(super) fn with_tuple<'a>(
        &'a self,
        flows: &'a FlowTable,
        wanted: Tuple,
    ) -> impl Iterator<Item = &'a Flow> {
        let hash = self.hash(&wanted);
        let more = self.more.get(&hash).into_iter().flatten();
        let ids = self.by_tuple.get(&hash).into_iter().chain(more);
        ids.filter_map(|id| flows.get(*id)).filter(move |flow| tuple(&flow.key) == wanted)
    }

    /// The flows that reached an address and port with a source that is the host's.
    pub(super) fn sent_by_host_at<'a>(
        &'a self,
        flows: &'a FlowTable,
        place: Place,
    ) -> impl Iterator<Item = &'a Flow> {
        let ids = self.from_host.get(&place).into_iter().flatten();
        ids.filter_map(|id| flows.get(*id))
    }

    /// How many flows are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_tuple.len() + self.more.len() + self.from_host.len()
    }

    fn hash(&self, tuple: &Tuple) -> u64 {
        self.hasher.hash_one(tuple)
    }
}

/// Whether the id is in there now.
fn push(ids: &mut Vec<FlowId>, id: FlowId) -> bool {
    if ids.contains(&id) {
        return true;
    }
    let has_room = ids.len() < MOST_ALIKE;
    if has_room {
        ids.push(id);
    }
    has_room
}

fn tuple(key: &FlowKey) -> Tuple {
    (key.local, key.remote, key.protocol, key.ports)
}

/// The tuple at the other end.
fn mirrored(key: &FlowKey) -> Tuple {
    let ports = match key.ports {
        FlowPorts::Ports { local, remote } => FlowPorts::Ports { local: remote, remote: local },
        same => same,
    };
    (key.remote, key.local, key.protocol, ports)
}

#[cfg(test)]
mod tests {
    use super::{MOST_ALIKE, Pairs, Sender};
    use crate::model::{FlowId, FlowKey, FlowPorts, InterfaceNumber, Protocol};

    #[test]
    fn a_flow_that_will_not_be_found_is_told() {
        let key = FlowKey {
            interface: InterfaceNumber(1),
            local: "172.18.0.2".parse().unwrap(),
            remote: "172.18.0.1".parse().unwrap(),
            protocol: Protocol::TCP,
            ports: FlowPorts::Ports { local: 80, remote: 40_000 },
            vlan: None,
        };
        let mut pairs = Pairs::default();
        let most = MOST_ALIKE as u64;
        assert!((0..most).all(|id| pairs.note(FlowId(id), &key, Sender::Rewritten)));
        assert!(!pairs.note(FlowId(most), &key, Sender::Rewritten));
        assert!(pairs.note(FlowId(0), &key, Sender::Rewritten), "one that is known");
        (0..=most).for_each(|id| pairs.forget(FlowId(id), &key));
        assert_eq!(pairs.len(), 0);
    }

    #[test]
    fn of_the_hosts_own_the_latest_are_kept_and_none_is_a_loss() {
        let mut pairs = Pairs::default();
        let key = |remote| FlowKey {
            interface: InterfaceNumber(1),
            local: "172.18.0.2".parse().unwrap(),
            remote: "172.18.0.1".parse().unwrap(),
            protocol: Protocol::TCP,
            ports: FlowPorts::Ports { local: 80, remote },
            vlan: None,
        };
        assert!((0..1_000).all(|port| pairs.note(FlowId(u64::from(port)), &key(port), Sender::Host)));
        let place = ("172.18.0.2".parse().unwrap(), Protocol::TCP, 80, Sender::Host);
        let kept = &pairs.from_host[&place];
        assert_eq!((kept.len(), kept.last()), (MOST_ALIKE, Some(&FlowId(999))));
    }
}
