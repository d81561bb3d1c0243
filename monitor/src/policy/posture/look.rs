//! From what Docker told to what stands: pure.

use super::neighbours::Neighbours;
use super::words::{Around, explanation};
use super::{PostureRule, Standing, Subject};
use crate::attribution::{Attribution, EndKind, Known, KnownNetwork};
use crate::model::{
    Container, DockerState, KernelTime, NetworkDriver, NetworkMode, Rights, SafeText, WallTime,
};
use crate::policy::file::Policy;
use crate::policy::{InSwarm, Party, Severity};
use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

/// The most standing findings that are open at once.
pub(super) const MOST: usize = 1_024;
/// How many ports, rights or names one of them lists.
const LISTED: usize = 16;
/// The first engine that keeps IPv6 networks apart unless it is told not to.
const ISOLATES_IPV6: u32 = 27;

/// What stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The findings, worst first; at most 1,024. All of the first revision.
    pub standing: Vec<Standing>,
    /// How many more there were no room for: the least severe.
    pub refused: u64,
    /// Running containers whose rights and mounts Docker has not told.
    pub rights_unknown: usize,
}

/// Something that stands, before it is put into words.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    severity: Severity,
    rule: PostureRule,
    on: Bearer<'a>,
}

/// What it stands about.
#[derive(Clone, Copy)]
enum Bearer<'a> {
    Container(&'a Known),
    Network(&'a KnownNetwork),
}

/// Looks at everything Docker told so far. What the policy file accepts at `wall` is left out.
#[must_use]
pub fn look(facts: &Attribution, policy: &Policy, now: KernelTime, wall: WallTime) -> Look {
    let neighbours = Neighbours::of(facts);
    let mut look = Look::default();
    let mut candidates = Vec::new();
    for known in facts.containers().filter(|known| known.is_running()) {
        look.rights_unknown += usize::from(known.container.rights.is_none());
        let mut add = |rule, severity| {
            candidates.push(Candidate { severity, rule, on: Bearer::Container(known) });
        };
        of_container(facts, &neighbours, known, &mut add);
    }
    let ipv6 = not_isolated(facts, &neighbours);
    let warning = |on| Candidate { severity: Severity::Warning, rule: PostureRule::Ipv6NotIsolated, on };
    candidates.extend(ipv6.iter().map(|known| warning(Bearer::Network(known))));
    candidates.sort_by(|a, b| a.place().cmp(&b.place()));
    let around = Around { facts, neighbours: &neighbours };
    for candidate in candidates {
        if look.standing.len() == MOST {
            look.refused += 1;
        } else if policy.accepted_standing(candidate.rule.name(), &candidate.on.party(), wall).is_none() {
            let what = candidate.what(facts, &ipv6);
            look.standing.push(candidate.told(&around, what, now));
        }
    }
    look
}

/// The rules about one container.
fn of_container(
    facts: &Attribution,
    neighbours: &Neighbours<'_>,
    known: &Known,
    add: &mut impl FnMut(PostureRule, Severity),
) {
    let Container { network_mode, rights, published, .. } = &known.container;
    match network_mode {
        NetworkMode::Host => add(PostureRule::HostMode, Severity::Warning),
        NetworkMode::SharedWith(_) => add(PostureRule::SharedNamespace, Severity::Info),
        NetworkMode::None | NetworkMode::Networks => {}
    }
    if without_host_end(facts, known).next().is_some() {
        add(PostureRule::NoHostEnd, Severity::Info);
    }
    if published.iter().any(|(at, ..)| at.is_unspecified()) {
        add(PostureRule::PublishedEverywhere, Severity::Info);
    }
    let Some(rights) = rights else { return };
    if rights.docker_socket.is_some() {
        add(PostureRule::DockerSocket, Severity::Critical);
    }
    let seat = neighbours.seat(known);
    let on_host = seat.container.network_mode == NetworkMode::Host;
    let strong = rights.net_admin || rights.sys_admin;
    if rights.privileged || (strong && on_host) {
        add(PostureRule::StrongRights, Severity::Critical);
    } else if strong && neighbours.has_others(seat) {
        add(PostureRule::StrongRights, Severity::Warning);
    }
}

/// The macvlan and ipvlan networks of a container.
fn without_host_end<'a>(facts: &'a Attribution, known: &'a Known) -> impl Iterator<Item = &'a KnownNetwork> {
    let networks = known.container.endpoints.iter().filter_map(|endpoint| facts.network(&endpoint.network));
    networks.filter(|known| matches!(known.network.driver, NetworkDriver::Macvlan | NetworkDriver::Ipvlan))
}

/// The IPv6 networks with containers, by name, if there are several and this engine does not, or may not, keep them apart.
fn not_isolated<'a>(facts: &'a Attribution, neighbours: &Neighbours<'_>) -> Vec<&'a KnownNetwork> {
    let DockerState::Up { version, .. } = facts.docker() else { return Vec::new() };
    if major(version).is_some_and(|major| major >= ISOLATES_IPV6) {
        return Vec::new();
    }
    let concerned = |known: &&KnownNetwork| {
        let network = &known.network;
        network.ipv6 && network.driver == NetworkDriver::Bridge && neighbours.live_on(&network.id)
    };
    let mut networks: Vec<&KnownNetwork> = facts.networks().filter(concerned).collect();
    networks.sort_by(|a, b| (&a.network.name, &a.network.id).cmp(&(&b.network.name, &b.network.id)));
    if networks.len() < 2 { Vec::new() } else { networks }
}

/// The first number of an engine's version.
pub(super) fn major(version: &SafeText) -> Option<u32> {
    version.as_str().split('.').next()?.parse().ok()
}

/// The rights that count, by the names Docker has for them.
fn named(rights: &Rights) -> Vec<&'static str> {
    if rights.privileged {
        return vec!["privileged"];
    }
    let all = [("NET_ADMIN", rights.net_admin), ("SYS_ADMIN", rights.sys_admin)];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// `0.0.0.0:8080->80/tcp`, as `docker ps` shows it.
fn port((at, outer, inner, protocol): &(IpAddr, u16, u16, String)) -> SafeText {
    let at = if at.is_ipv6() { format!("[{at}]") } else { at.to_string() };
    SafeText::new(&format!("{at}:{outer}->{inner}/{protocol}"))
}

impl<'a> Candidate<'a> {
    /// Worst first; within a severity always in the same order, so that what has no room stays the same.
    fn place(&self) -> (Reverse<Severity>, PostureRule, &'a str) {
        (Reverse(self.severity), self.rule, self.on.id())
    }

    /// What exactly: the first of it, and how much there is.
    fn what(&self, facts: &Attribution, ipv6: &[&KnownNetwork]) -> (Vec<SafeText>, usize) {
        match self.on {
            Bearer::Network(known) => {
                let others = ipv6.iter().filter(|other| other.network.id != known.network.id);
                (others.take(LISTED).map(|other| other.network.name.clone()).collect(), ipv6.len() - 1)
            }
            Bearer::Container(known) => {
                let all = self.of_container(facts, known);
                let count = all.len();
                (all.into_iter().take(LISTED).collect(), count)
            }
        }
    }

    fn of_container(&self, facts: &Attribution, known: &Known) -> Vec<SafeText> {
        let container = &known.container;
        match self.rule {
            PostureRule::DockerSocket => {
                container.rights.iter().filter_map(|rights| rights.docker_socket.clone()).collect()
            }
            PostureRule::StrongRights => container.rights.iter().flat_map(named).map(SafeText::new).collect(),
            PostureRule::NoHostEnd => {
                without_host_end(facts, known).map(|known| known.network.name.clone()).collect()
            }
            PostureRule::PublishedEverywhere => {
                container.published.iter().filter(|(at, ..)| at.is_unspecified()).map(port).collect()
            }
            PostureRule::SharedNamespace => {
                let NetworkMode::SharedWith(owner) = &container.network_mode else { return Vec::new() };
                let name = facts.container(owner).map(|owner| owner.container.name.clone());
                vec![name.unwrap_or_else(|| SafeText::new(owner.short()))]
            }
            PostureRule::HostMode | PostureRule::Ipv6NotIsolated => Vec::new(),
        }
    }

    fn told(
        &self,
        around: &Around<'_>,
        (what, what_count): (Vec<SafeText>, usize),
        now: KernelTime,
    ) -> Standing {
        let mut hasher = DefaultHasher::new();
        (self.rule, self.on.id()).hash(&mut hasher);
        let since = match self.on {
            Bearer::Container(known) => known.container.started_at,
            Bearer::Network(_) => None,
        };
        let mut standing = Standing {
            id: hasher.finish(),
            revision: 1,
            is_open: true,
            severity: self.severity,
            rule: self.rule,
            subject: self.on.subject(),
            what,
            what_count,
            since,
            first_seen: now,
            last_seen: now,
            explanation: String::new(),
        };
        standing.explanation = explanation(around, &standing);
        standing
    }
}

impl<'a> Bearer<'a> {
    fn id(self) -> &'a str {
        match self {
            Self::Container(known) => known.container.id.as_str(),
            Self::Network(known) => known.network.id.as_str(),
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Container(known) => Subject::Container(known.reference().clone()),
            Self::Network(known) => Subject::Network(known.reference().clone()),
        }
    }

    /// It, as an entry of a policy file sees it. A network is no end: nothing but `network` and `cidr` fits it.
    fn party(self) -> Party<'a> {
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        match self {
            Self::Container(known) => Party {
                kind: EndKind::Container,
                address: known
                    .container
                    .endpoints
                    .iter()
                    .flat_map(|it| &it.addresses)
                    .next()
                    .copied()
                    .unwrap_or(none),
                port: None,
                container: Some(&known.container),
                swarm: InSwarm::No,
                networks: &known.reference().networks,
            },
            Self::Network(known) => Party {
                kind: EndKind::Unknown,
                address: known
                    .network
                    .subnets
                    .iter()
                    .map(|(at, _)| *at)
                    .find(IpAddr::is_ipv6)
                    .unwrap_or(none),
                port: None,
                container: None,
                swarm: InSwarm::No,
                networks: std::slice::from_ref(known.reference()),
            },
        }
    }
}
