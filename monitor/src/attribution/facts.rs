//! Who held which address in which network, and when.
//!
//! A fact that ended is kept for a while, so that a record of its time is still named by it; how many are kept is
//! bounded, and what the bound drops early is counted.

use crate::model::{ContainerId, InterfaceNumber, KernelTime, Mac, NetworkId, Span};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// How long before it was told a fact may have been true, if nothing else was known of that time.
const TOLD_LATE: Duration = Duration::from_secs(10);

/// A fact's number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FactId(u64);

/// How a fact ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It still holds.
    Open,
    /// Its interface went, but Docker has not said so.
    ByLink,
    /// Docker said so, or another container got its address.
    Told,
}

/// A container's endpoint in a network, for a span of time.
#[derive(Clone, Debug)]
pub(super) struct EndpointFact {
    pub(super) container: ContainerId,
    pub(super) network: NetworkId,
    pub(super) mac: Option<Mac>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) span: Span,
    pub(super) end: End,
    /// The interface that was recognised by it.
    pub(super) interface: Option<InterfaceNumber>,
    told: KernelTime,
    queued: bool,
}

impl EndpointFact {
    /// Whether it was told as true at a time after `at`; what was seen at `at` says nothing against it.
    pub(super) fn told_after(&self, at: KernelTime) -> bool {
        self.told > at
    }
}

/// Who held an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    /// No container.
    Nobody,
    /// One.
    One(&'a EndpointFact),
    /// Several, in different networks.
    Several,
}

/// All endpoint facts.
#[derive(Debug)]
pub(super) struct Facts {
    facts: HashMap<FactId, EndpointFact>,
    by_address: HashMap<IpAddr, Vec<FactId>>,
    by_mac: HashMap<Mac, Vec<FactId>>,
    ended: VecDeque<FactId>,
    next: u64,
    max_kept: usize,
    /// Facts dropped before their time.
    pub(super) forgotten: u64,
    /// Facts not taken because too many are live.
    pub(super) refused: u64,
}

impl Facts {
    pub(super) fn new(max_kept: usize) -> Self {
        Self {
            facts: HashMap::new(),
            by_address: HashMap::new(),
            by_mac: HashMap::new(),
            ended: VecDeque::new(),
            next: 0,
            max_kept,
            forgotten: 0,
            refused: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn get(&self, id: FactId) -> Option<&EndpointFact> {
        self.facts.get(&id)
    }

    /// Takes a fact; whoever else held one of its addresses in that network holds it no longer.
    pub(super) fn open(
        &mut self,
        container: &ContainerId,
        network: &NetworkId,
        mac: Option<Mac>,
        addresses: &[IpAddr],
        at: KernelTime,
    ) -> Option<FactId> {
        if self.facts.len() - self.ended.len() >= self.max_kept {
            self.refused += 1;
            return None;
        }
        for address in addresses {
            for other in self.others_open(container, network, *address) {
                self.end(other, at, End::Told);
            }
        }
        let id = FactId(self.next);
        self.next += 1;
        for address in addresses {
            self.by_address.entry(*address).or_default().push(id);
        }
        if let Some(mac) = mac {
            self.by_mac.entry(mac).or_default().push(id);
        }
        let fact = EndpointFact {
            container: container.clone(),
            network: network.clone(),
            mac,
            addresses: addresses.to_vec(),
            span: Span::starting(at),
            end: End::Open,
            interface: None,
            told: at,
            queued: false,
        };
        self.facts.insert(id, fact);
        Some(id)
    }

    fn others_open(&self, container: &ContainerId, network: &NetworkId, address: IpAddr) -> Vec<FactId> {
        let same = |fact: &EndpointFact| {
            fact.network == *network && fact.container != *container && fact.end != End::Told
        };
        let ids = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter().copied().filter(|id| self.facts.get(id).is_some_and(same)).collect()
    }

    /// Ends a fact. A fact that its interface's end closed keeps that time: it is the better evidence.
    pub(super) fn end(&mut self, id: FactId, at: KernelTime, how: End) {
        let Some(fact) = self.facts.get_mut(&id) else { return };
        if fact.end == End::Open {
            fact.span.until = Some(at.max(fact.span.from));
        }
        if fact.end != End::Told {
            fact.end = how;
        }
        if !fact.queued {
            fact.queued = true;
            self.ended.push_back(id);
        }
    }

    /// The interface recognised by a fact went at `at`: until then the address was the container's, whenever
    /// Docker said it was over.
    pub(super) fn link_gone(&mut self, id: FactId, number: InterfaceNumber, at: KernelTime) {
        let Some(fact) = self.facts.get(&id).filter(|fact| fact.interface == Some(number)) else { return };
        if fact.end == End::Open {
            self.end(id, at, End::ByLink);
        } else if fact.span.until.is_some_and(|until| until < at) && !self.held_by_another(fact, at) {
            self.facts.entry(id).and_modify(|fact| fact.span.until = Some(at));
        }
    }

    fn held_by_another(&self, fact: &EndpointFact, at: KernelTime) -> bool {
        fact.addresses.iter().any(|address| match self.holder(*address, Some(&fact.network), at) {
            Holder::One(other) => other.container != fact.container,
            Holder::Nobody | Holder::Several => false,
        })
    }

    /// An interface that began at `from` was recognised by a fact: the fact holds from then on, and nobody else
    /// held its addresses any longer.
    pub(super) fn bind(&mut self, id: FactId, number: InterfaceNumber, from: KernelTime) {
        let Some(fact) = self.facts.get_mut(&id) else { return };
        fact.interface = Some(number);
        if fact.end == End::ByLink {
            fact.end = End::Open;
            fact.span.until = None;
        }
        if from >= fact.span.from {
            return;
        }
        fact.span.from = from;
        let (container, network, addresses) =
            (fact.container.clone(), fact.network.clone(), fact.addresses.clone());
        for address in addresses {
            for other in self.by_address.get(&address).into_iter().flatten() {
                let Some(other) = self.facts.get_mut(other) else { continue };
                let overlaps = other.span.from < from && other.span.until.is_some_and(|until| until > from);
                if other.network == network && other.container != container && overlaps {
                    other.span.until = Some(from);
                }
            }
        }
    }

    /// Facts with that Ethernet address.
    pub(super) fn with_mac(&self, mac: Mac) -> impl Iterator<Item = (FactId, &EndpointFact)> {
        let ids = self.by_mac.get(&mac).into_iter().flatten();
        ids.filter_map(|id| self.facts.get(id).map(|fact| (*id, fact)))
    }

    /// Whether a container holds an address, or held it lately: as long as facts that ended are kept.
    pub(super) fn is_or_was_of(&self, address: IpAddr, container: &ContainerId) -> bool {
        let ids = self.by_address.get(&address).into_iter().flatten();
        ids.filter_map(|id| self.facts.get(id)).any(|fact| fact.container == *container)
    }

    /// Whether a container had an address at a time before `at`, as far as facts are kept.
    pub(super) fn held_since(&self, address: IpAddr, container: &ContainerId, at: KernelTime) -> bool {
        let ids = self.by_address.get(&address).into_iter().flatten();
        let mut facts = ids.filter_map(|id| self.facts.get(id));
        facts.any(|fact| fact.container == *container && fact.span.from <= at)
    }

    /// Who held `address` at `when`, in one network or in any.
    pub(super) fn holder(
        &self,
        address: IpAddr,
        network: Option<&NetworkId>,
        when: KernelTime,
    ) -> Holder<'_> {
        let mut held: Option<&EndpointFact> = None;
        let mut later: Option<&EndpointFact> = None;
        let mut earlier = false;
        let mut several = false;
        for id in self.by_address.get(&address).into_iter().flatten() {
            let Some(fact) = self.facts.get(id) else { continue };
            if network.is_some_and(|network| fact.network != *network) {
                continue;
            }
            if fact.span.contains(when) {
                several |= held
                    .is_some_and(|other| other.container != fact.container && other.network != fact.network);
                held = held.filter(|other| other.span.from > fact.span.from).or(Some(fact));
            } else if fact.span.from > when {
                later = later.filter(|other| other.span.from < fact.span.from).or(Some(fact));
            } else {
                earlier = true;
            }
        }
        if several {
            return Holder::Several;
        }
        let told_late = later.filter(|fact| !earlier && fact.span.from.since(when) <= TOLD_LATE);
        held.or(told_late).map_or(Holder::Nobody, Holder::One)
    }

    /// Drops what ended before `before`, and the oldest ended ones beyond the bound.
    pub(super) fn prune(&mut self, before: KernelTime) {
        for _ in 0..self.ended.len() {
            let Some(id) = self.ended.front().copied() else { return };
            let too_many = self.ended.len() > self.max_kept;
            let until = self.facts.get(&id).and_then(|fact| fact.span.until);
            if until.is_some_and(|until| until > before) && !too_many {
                return;
            }
            self.ended.pop_front();
            match until {
                Some(until) => {
                    self.forgotten += u64::from(until > before);
                    self.remove(id);
                }
                // It was taken up again by a new interface.
                None => {
                    self.facts.entry(id).and_modify(|fact| fact.queued = false);
                }
            }
        }
    }

    fn remove(&mut self, id: FactId) {
        let Some(fact) = self.facts.remove(&id) else { return };
        for address in &fact.addresses {
            drop_from(&mut self.by_address, address, id);
        }
        if let Some(mac) = fact.mac {
            drop_from(&mut self.by_mac, &mac, id);
        }
    }
}

fn drop_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<FactId>>, key: &K, id: FactId) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, FactId, Facts, Holder};
    use crate::model::{ContainerId, InterfaceNumber, KernelTime, NetworkId};
    use std::net::{IpAddr, Ipv4Addr};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 18, 0, 2));
    const SECOND: u64 = 1_000_000_000;

    fn container(name: &str) -> ContainerId {
        ContainerId::new(name).unwrap()
    }

    fn network(name: &str) -> NetworkId {
        NetworkId::new(name).unwrap()
    }

    fn at(seconds: u64) -> KernelTime {
        KernelTime(seconds * SECOND)
    }

    fn open(facts: &mut Facts, who: &str, net: &str, seconds: u64) -> FactId {
        facts.open(&container(who), &network(net), None, &[ADDRESS], at(seconds)).unwrap()
    }

    fn check(facts: &Facts, net: Option<&str>, seconds: u64, expected: &str) {
        let net = net.map(network);
        let found = match facts.holder(ADDRESS, net.as_ref(), at(seconds)) {
            Holder::Nobody => "nobody",
            Holder::One(fact) => fact.container.as_str(),
            Holder::Several => "several",
        };
        assert_eq!(found, expected, "at {seconds} s");
    }

    #[test]
    fn an_address_is_held_by_whoever_had_it_at_that_time() {
        let mut facts = Facts::new(100);
        let a = open(&mut facts, "a", "n", 10);
        facts.end(a, at(20), End::Told);
        open(&mut facts, "b", "n", 30);
        check(&facts, Some("n"), 15, "a");
        check(&facts, Some("n"), 20, "nobody");
        check(&facts, Some("n"), 29, "nobody");
        check(&facts, Some("n"), 31, "b");
    }

    #[test]
    fn a_fact_told_late_holds_before_it_was_told_if_nothing_else_did() {
        let mut facts = Facts::new(100);
        open(&mut facts, "a", "n", 20);
        check(&facts, Some("n"), 15, "a");
        check(&facts, Some("n"), 5, "nobody");
    }

    #[test]
    fn a_new_holder_ends_the_old_ones_claim() {
        let mut facts = Facts::new(100);
        open(&mut facts, "a", "n", 10);
        open(&mut facts, "b", "n", 20);
        check(&facts, Some("n"), 19, "a");
        check(&facts, Some("n"), 21, "b");
    }

    #[test]
    fn the_interface_of_the_new_holder_says_when_it_began() {
        let mut facts = Facts::new(100);
        open(&mut facts, "a", "n", 10);
        let b = open(&mut facts, "b", "n", 20);
        facts.bind(b, InterfaceNumber(2), at(18));
        check(&facts, Some("n"), 17, "a");
        check(&facts, Some("n"), 18, "b");
    }

    #[test]
    fn the_end_of_the_interface_is_better_evidence_than_what_is_told() {
        let mut facts = Facts::new(100);
        let a = open(&mut facts, "a", "n", 10);
        facts.bind(a, InterfaceNumber(1), at(10));
        facts.end(a, at(20), End::Told);
        facts.link_gone(a, InterfaceNumber(1), at(22));
        check(&facts, Some("n"), 21, "a");
        check(&facts, Some("n"), 22, "nobody");

        let mut facts = Facts::new(100);
        let a = open(&mut facts, "a", "n", 10);
        facts.bind(a, InterfaceNumber(1), at(10));
        facts.link_gone(a, InterfaceNumber(1), at(18));
        facts.end(a, at(20), End::Told);
        check(&facts, Some("n"), 19, "nobody");
    }

    #[test]
    fn the_same_address_in_two_networks_is_ambiguous_only_without_a_network() {
        let mut facts = Facts::new(100);
        open(&mut facts, "a", "n", 10);
        open(&mut facts, "b", "m", 10);
        check(&facts, None, 15, "several");
        check(&facts, Some("n"), 15, "a");
        check(&facts, Some("m"), 15, "b");
    }

    #[test]
    fn ended_facts_are_kept_until_their_time_and_within_the_bound() {
        let mut facts = Facts::new(2);
        for (index, who) in ["a", "b", "c"].into_iter().enumerate() {
            let id = open(&mut facts, who, "n", 10 + index as u64);
            facts.end(id, at(10 + index as u64), End::Told);
        }
        facts.prune(at(5));
        assert_eq!((facts.len(), facts.forgotten), (2, 1));
        facts.prune(at(12));
        assert_eq!((facts.len(), facts.forgotten), (0, 1));
        assert!(facts.by_address.is_empty());
    }

    #[test]
    fn live_facts_are_bounded() {
        let mut facts = Facts::new(1);
        open(&mut facts, "a", "n", 10);
        assert!(facts.open(&container("b"), &network("n"), None, &[], at(11)).is_none());
        assert_eq!(facts.refused, 1);
    }
}
