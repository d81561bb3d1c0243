//! Whose an address on an overlay network is, where it is no container of this node: as the swarm tells it, and when.
//!
//! No event tells of another node's tasks; Docker is asked again and again. An address is somebody's from the first answer
//! that says so to the last one, and while answers come. What lies between an answer that says so and one that does not is
//! nobody's: when the address changed hands is not known.

use super::{Attribution, End, EndKind, NetworkRef};
use crate::model::{KernelTime, Mac, NetworkId, SafeText, Span, SwarmKind, SwarmMember};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long before it was told first somebody may have been there.
const TOLD_LATE: Duration = Duration::from_secs(10);
/// How long an answer is good for. Docker is asked several times in it.
const GOOD_FOR: Duration = Duration::from_secs(120);
/// The most that are held on all networks, with those that ended and are remembered for a while: twice as many as the inventory
/// tells of at one time.
const MOST_HELD: usize = 100_000;

/// Who is at an address on an overlay network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmRef {
    /// Who.
    pub member: SwarmMember,
    /// The network.
    pub network: NetworkRef,
    /// The VXLAN network identifier that its packets between nodes have, where one is known for its subnet.
    pub vxlan_id: Option<u32>,
}

impl SwarmRef {
    /// What it is called, short: `web.3` of a task `web.3.97q0jnm1blxsolx5tg1z4p55i`, a service or container by its name;
    /// absent of a load balancer.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let SwarmMember { kind, service, name, .. } = &self.member;
        match kind {
            SwarmKind::Task => {
                let name = name.as_ref()?.as_str();
                Some(name.rsplit_once('.').map_or(name, |(short, _)| short))
            }
            SwarmKind::Container => name.as_ref().map(SafeText::as_str),
            SwarmKind::VirtualIp => service.as_ref().map(SafeText::as_str),
            SwarmKind::LoadBalancer => None,
        }
    }

    /// Whether a name is its own, short or whole.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let whole = self.member.name.as_ref().is_some_and(|own| own.as_str() == name);
        self.member.kind != SwarmKind::VirtualIp && (whole || self.name() == Some(name))
    }

    /// Whether it is of a service.
    #[must_use]
    pub fn is_of(&self, service: &str) -> bool {
        self.member.service.as_ref().is_some_and(|own| own.as_str() == service)
    }
}

/// `web.3(10.0.1.8)` of a task or container on another node. No container's name has brackets.
impl fmt::Display for SwarmRef {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.member.address;
        match (self.member.kind, self.name()) {
            (SwarmKind::Task | SwarmKind::Container, Some(name)) => write!(to, "{name}({address})"),
            (SwarmKind::VirtualIp, Some(service)) => write!(to, "{service}(virtual {address})"),
            (SwarmKind::LoadBalancer, _) => write!(to, "load-balancer({address})"),
            (SwarmKind::Task | SwarmKind::Container | SwarmKind::VirtualIp, None) => {
                write!(to, "swarm({address})")
            }
        }
    }
}

/// Somebody at an address, for a span of time; without an end while the last answer has it.
#[derive(Debug)]
struct Held {
    who: Arc<SwarmRef>,
    span: Span,
}

/// One network.
#[derive(Debug)]
struct Told {
    /// When the last answer came.
    at: KernelTime,
    held: HashMap<IpAddr, Vec<Held>>,
}

impl Told {
    /// Keeps those whose time is such.
    fn keep(&mut self, is_kept: impl Fn(&Span) -> bool) {
        self.held.retain(|_, held| {
            held.retain(|held| is_kept(&held.span));
            !held.is_empty()
        });
    }
}

/// All overlay networks.
#[derive(Debug)]
pub(super) struct Swarm {
    networks: HashMap<NetworkId, Told>,
    most_held: usize,
    /// Those that made room for later ones, and those that found none.
    pub(super) forgotten: u64,
    pub(super) refused: u64,
}

impl Default for Swarm {
    fn default() -> Self {
        Self::holding(MOST_HELD)
    }
}

impl Swarm {
    /// Nobody is known yet, and no more than so many are held.
    fn holding(most_held: usize) -> Self {
        Self { networks: HashMap::new(), most_held, forgotten: 0, refused: 0 }
    }

    /// An answer says what it said before.
    fn confirm(&mut self, network: &NetworkId, at: KernelTime) {
        if let Some(told) = self.networks.get_mut(network) {
            told.at = told.at.max(at);
        }
    }

    /// All that an answer has.
    fn tell(&mut self, network: &NetworkId, members: Vec<SwarmRef>, at: KernelTime) {
        let first = Told { at: at.minus(TOLD_LATE), held: HashMap::new() };
        let told = self.networks.entry(network.clone()).or_insert(first);
        let before = told.at;
        let mut now: HashMap<IpAddr, SwarmRef> =
            members.into_iter().map(|member| (member.member.address, member)).collect();
        for (address, held) in &mut told.held {
            let Some(last) = held.last_mut().filter(|held| held.span.until.is_none()) else { continue };
            if now.get(address).is_some_and(|who| *who == *last.who) {
                now.remove(address);
            } else {
                last.span.until = Some(before);
            }
        }
        // Whoever was there until the answer before may have been there for a while after it.
        let is_taken = |held: &Vec<Held>| {
            held.last().is_some_and(|last| last.span.until.is_some_and(|until| until >= before))
        };
        let since = |address: &IpAddr| if told.held.get(address).is_some_and(is_taken) { at } else { before };
        let new: Vec<(IpAddr, Held)> = now
            .into_iter()
            .map(|(address, who)| {
                (address, Held { span: Span::starting(since(&address)), who: Arc::new(who) })
            })
            .collect();
        told.at = at;
        let room = self.room_for(new.len());
        self.refused += (new.len() - room) as u64;
        let Some(told) = self.networks.get_mut(network) else { return };
        for (address, held) in new.into_iter().take(room) {
            told.held.entry(address).or_default().push(held);
        }
    }

    /// How many more may be held, of `wanted`. Those that ended make room.
    fn room_for(&mut self, wanted: usize) -> usize {
        let count = |networks: &HashMap<NetworkId, Told>| -> usize {
            networks.values().flat_map(|told| told.held.values()).map(Vec::len).sum()
        };
        let before = count(&self.networks);
        if before + wanted <= self.most_held {
            return wanted;
        }
        self.networks.values_mut().for_each(|told| told.keep(|span| span.until.is_none()));
        let now = count(&self.networks);
        self.forgotten += (before - now) as u64;
        wanted.min(self.most_held.saturating_sub(now))
    }

    /// A network is gone, and all who were on it.
    pub(super) fn gone(&mut self, network: &NetworkId, at: KernelTime) {
        let Some(told) = self.networks.get_mut(network) else { return };
        let until = at.min(told.at.plus(GOOD_FOR));
        for held in told.held.values_mut().flatten() {
            held.span.until.get_or_insert(until);
        }
        told.at = told.at.max(at);
    }

    /// Whose an address was.
    fn at(&self, network: &NetworkId, address: IpAddr, when: KernelTime) -> Option<&Arc<SwarmRef>> {
        let told = self.networks.get(network)?;
        let is_it = |held: &&Held| match held.span.until {
            Some(until) => held.span.from <= when && when <= until,
            None => held.span.from <= when && when.since(told.at) <= GOOD_FOR,
        };
        told.held.get(&address)?.iter().rev().find(is_it).map(|held| &held.who)
    }

    /// Whether an Ethernet address on a network is that of this node's load balancer, as long as it has its name.
    pub(super) fn balances(&self, network: &NetworkId, mac: Mac, now: KernelTime) -> bool {
        let told = self.networks.get(network).filter(|told| now.since(told.at) <= GOOD_FOR);
        let held = told.into_iter().flat_map(|told| told.held.values().flatten());
        let mut live = held.filter(|held| held.span.until.is_none());
        live.any(|held| held.who.member.mac == Some(mac))
    }

    /// Whether somebody is at an address, or is remembered to have been.
    fn remembers(&self, who: &SwarmRef) -> bool {
        let held = self.networks.get(&who.network.id).and_then(|told| told.held.get(&who.member.address));
        let is_same = |held: &Held| {
            let SwarmMember { name, service, .. } = &held.who.member;
            (name, service) == (&who.member.name, &who.member.service)
        };
        held.is_some_and(|held| held.iter().any(is_same))
    }

    /// The services that somebody is of, by the last answers.
    fn services(&self) -> impl Iterator<Item = &SafeText> {
        self.members().filter_map(|who| who.member.service.as_ref())
    }

    /// Everybody, by the last answers.
    fn members(&self) -> impl Iterator<Item = &Arc<SwarmRef>> {
        let held = self.networks.values().flat_map(|told| told.held.values().flatten());
        held.filter(|held| held.span.until.is_none()).map(|held| &held.who)
    }

    /// Forgets what ended before `before`, and networks that are not known any more.
    pub(super) fn prune(&mut self, before: KernelTime, is_known: impl Fn(&NetworkId) -> bool) {
        for told in self.networks.values_mut() {
            told.keep(|span| span.until.is_none_or(|until| until > before));
        }
        self.networks.retain(|id, told| is_known(id) && (!told.held.is_empty() || told.at > before));
    }
}

impl Attribution {
    /// Takes in who is on a network in the swarm; of one that is not known, there is nobody to say it of.
    pub(super) fn swarm_told(
        &mut self,
        network: &NetworkId,
        members: Option<&[SwarmMember]>,
        at: KernelTime,
    ) {
        let Some(known) = self.networks.get(network) else { return };
        let Some(members) = members else { return self.swarm.confirm(network, at) };
        let whole = members.iter().map(|member| SwarmRef {
            vxlan_id: known.vxlan_id(member.address),
            network: known.reference.clone(),
            member: member.clone(),
        });
        self.swarm.tell(network, whole.collect(), at);
    }

    /// Whether somebody in the swarm is there, or was there lately.
    #[must_use]
    pub fn remembers(&self, who: &SwarmRef) -> bool {
        self.swarm.remembers(who)
    }

    /// Everybody in the swarm by the last answers, those of this node as well.
    pub fn swarm_members(&self) -> impl Iterator<Item = &Arc<SwarmRef>> {
        self.swarm.members()
    }

    /// Whether it was told who is on a network in the swarm.
    #[must_use]
    pub fn has_told_swarm(&self, network: &NetworkId) -> bool {
        self.swarm.networks.contains_key(network)
    }

    /// Who has an address of a network by what the swarm told; a container of this node is in that as well.
    #[must_use]
    pub fn in_swarm_now(
        &self,
        network: &NetworkId,
        address: IpAddr,
        now: KernelTime,
    ) -> Option<&Arc<SwarmRef>> {
        self.swarm.at(network, address, now)
    }

    /// The services that somebody on another node is of, or a virtual address.
    pub fn services_elsewhere(&self) -> impl Iterator<Item = &SafeText> {
        self.swarm.services()
    }

    /// Who is at an address on a device's own network by what the swarm told, if that was the same from `first` to `last`. A
    /// device on none, or on another one, does not reach it: there the address is somebody else's.
    pub(super) fn in_swarm(
        &self,
        network: Option<&NetworkId>,
        address: IpAddr,
        (first, last): (KernelTime, KernelTime),
    ) -> Option<End> {
        let id = network.filter(|id| self.networks.get(id).is_some_and(|known| known.holds(address)))?;
        let who = self.swarm.at(id, address, first)?;
        let is_same = self.swarm.at(id, address, last).is_some_and(|other| Arc::ptr_eq(who, other));
        is_same.then(|| End { swarm: Some(Arc::clone(who)), ..End::plain(EndKind::External, address) })
    }
}

#[cfg(test)]
mod tests {
    use super::{GOOD_FOR, Swarm, SwarmRef};
    use crate::attribution::NetworkRef;
    use crate::model::{KernelTime, NetworkDriver, NetworkId, SafeText, SwarmKind, SwarmMember};

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> KernelTime {
        KernelTime(seconds * SECOND)
    }

    fn task(name: &str, address: &str) -> SwarmRef {
        let network = NetworkId::new("n").unwrap();
        SwarmRef {
            member: SwarmMember {
                address: address.parse().unwrap(),
                kind: SwarmKind::Task,
                service: Some(SafeText::new("web")),
                name: Some(SafeText::new(name)),
                node: None,
                mac: None,
            },
            network: NetworkRef { id: network, name: SafeText::new("net"), driver: NetworkDriver::Overlay },
            vxlan_id: Some(4_097),
        }
    }

    fn told(answers: &[(u64, &[(&str, &str)])]) -> Swarm {
        let mut swarm = Swarm::default();
        for (seconds, members) in answers {
            let members = members.iter().map(|(name, address)| task(name, address)).collect();
            swarm.tell(&NetworkId::new("n").unwrap(), members, at(*seconds));
        }
        swarm
    }

    fn check(swarm: &Swarm, seconds: u64, expected: Option<&str>) {
        let who = swarm.at(&NetworkId::new("n").unwrap(), "10.0.0.2".parse().unwrap(), at(seconds));
        assert_eq!(who.and_then(|who| who.name()), expected, "at {seconds} s");
    }

    #[test]
    fn an_address_that_went_to_another_task_is_nobodys_between_the_answers() {
        let swarm = told(&[(100, &[("web.1.aa", "10.0.0.2")]), (115, &[("web.2.bb", "10.0.0.2")])]);
        for (seconds, who) in [
            (80, None),
            (95, Some("web.1")),
            (100, Some("web.1")),
            (101, None),
            (114, None),
            (115, Some("web.2")),
            (130, Some("web.2")),
        ] {
            check(&swarm, seconds, who);
        }
    }

    #[test]
    fn a_new_task_may_have_been_there_since_the_answer_before() {
        let swarm = told(&[(100, &[("web.1.aa", "10.0.0.9")]), (115, &[("web.2.bb", "10.0.0.2")])]);
        check(&swarm, 99, None);
        check(&swarm, 101, Some("web.2"));
    }

    #[test]
    fn a_task_that_went_keeps_its_name_for_its_own_time_and_not_for_ever() {
        let mut swarm = told(&[(100, &[("web.1.aa", "10.0.0.2")]), (115, &[])]);
        check(&swarm, 100, Some("web.1"));
        check(&swarm, 116, None);
        swarm.prune(at(101), |_| true);
        check(&swarm, 100, None);
        swarm.prune(at(200), |_| true);
        assert!(swarm.networks.is_empty());
    }

    #[test]
    fn who_is_on_a_network_that_is_gone_is_there_until_then_and_is_not_kept() {
        let network = NetworkId::new("n").unwrap();
        let mut swarm = told(&[(100, &[("web.1.aa", "10.0.0.2")])]);
        swarm.gone(&network, at(110));
        check(&swarm, 110, Some("web.1"));
        check(&swarm, 111, None);
        // It is told of once more.
        swarm.tell(&network, vec![task("web.2.bb", "10.0.0.2")], at(115));
        check(&swarm, 110, Some("web.1"));
        check(&swarm, 112, None);
        check(&swarm, 115, Some("web.2"));
        swarm.gone(&network, at(1_000));
        check(&swarm, 115 + GOOD_FOR.as_secs(), Some("web.2"));
        check(&swarm, 116 + GOOD_FOR.as_secs(), None);
        swarm.prune(at(900), |_| true);
        assert!(swarm.networks[&network].held.is_empty());
        swarm.prune(at(900), |_| false);
        assert!(swarm.networks.is_empty());
    }

    #[test]
    fn those_who_ended_make_room_and_no_more_are_held_than_there_is_room_for() {
        let mut swarm = Swarm::holding(100);
        let tell = |swarm: &mut Swarm, seconds: u64, network: &str, count: usize| {
            let members = (0..count).map(|number| {
                let number = u32::try_from(number).unwrap();
                task(&format!("web.1.{seconds}"), &std::net::Ipv4Addr::from_bits(number).to_string())
            });
            swarm.tell(&NetworkId::new(network).unwrap(), members.collect(), at(seconds));
        };
        let half = 50;
        tell(&mut swarm, 100, "n1", half);
        tell(&mut swarm, 115, "n1", half);
        assert_eq!((swarm.forgotten, swarm.refused), (0, 0));
        tell(&mut swarm, 130, "n1", half);
        assert_eq!((swarm.forgotten, swarm.refused), (100, 0));
        tell(&mut swarm, 130, "n2", half + 5);
        assert_eq!((swarm.forgotten, swarm.refused), (100, 5));
    }

    #[test]
    fn what_no_answer_confirms_is_no_longer_said() {
        let mut swarm = told(&[(100, &[("web.1.aa", "10.0.0.2")])]);
        check(&swarm, 100 + GOOD_FOR.as_secs(), Some("web.1"));
        check(&swarm, 101 + GOOD_FOR.as_secs(), None);
        swarm.confirm(&NetworkId::new("n").unwrap(), at(200));
        check(&swarm, 101 + GOOD_FOR.as_secs(), Some("web.1"));
    }

    #[test]
    fn the_same_answer_again_leaves_everybody_where_they_are() {
        let mut swarm = told(&[(100, &[("web.1.aa", "10.0.0.2")]), (115, &[("web.1.aa", "10.0.0.2")])]);
        check(&swarm, 107, Some("web.1"));
        swarm.prune(at(1_000), |_| true);
        check(&swarm, 107, Some("web.1"));
    }
}
