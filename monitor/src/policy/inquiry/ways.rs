//! The ways by which one end could ask another, and what is expected of each.

use super::super::explain::{self, Reason};
use super::super::file::Policy;
use super::super::opening::{of_action, party};
use super::super::rules::{self, Question, RuleName};
use super::{Asked, AskedEnd, Decision, Way};
use crate::attribution::{Attribution, End, EndKind, Known, SwarmRef};
use crate::model::{KernelTime, NetworkId};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// An address that stands for one that was not said.
const SOMEBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// An end that would ask.
#[derive(Clone, Debug)]
struct Source {
    end: End,
    network: Option<NetworkId>,
}

impl Source {
    /// Whether it has an address of the family; one that was not said has.
    fn fits(&self, address: IpAddr) -> bool {
        self.end.address == SOMEBODY || address == SOMEBODY || self.end.address.is_ipv4() == address.is_ipv4()
    }
}

/// An address that would be asked.
#[derive(Clone, Debug)]
struct Target {
    /// What rules see.
    end: End,
    /// The address that is used.
    address: Option<IpAddr>,
    /// The port that is used.
    port: Option<u16>,
    published: Option<u16>,
}

impl Target {
    fn plain(end: End, port: Option<u16>) -> Self {
        let address = (end.address != SOMEBODY).then_some(end.address);
        Self { end: End { port, ..end }, address, port, published: None }
    }
}

/// All ways: allowed ones first, and of these the ones by the destination's own addresses.
pub(super) fn ways(policy: &Policy, facts: &Attribution, asked: &Asked, at: KernelTime) -> Vec<Way> {
    let asked = &Asked {
        from: as_rules_see(facts, &asked.from),
        to: as_rules_see(facts, &asked.to),
        ..asked.clone()
    };
    let sources = sources(facts, asked, at);
    let mut ways: Vec<Way> = Vec::new();
    for target in targets(facts, asked, &sources, at) {
        for way in to_target(policy, facts, asked, &sources, &target, at) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
    }
    ways.sort_by_key(|way| way.decision.as_ref().map_or((true, None), |it| (false, Some(it.expected))));
    ways
}

/// Of a container in host mode, or in the network of one, rules see the host.
fn as_rules_see(facts: &Attribution, subject: &AskedEnd) -> AskedEnd {
    let known = subject.container().and_then(|id| facts.container(id));
    match known {
        Some(known) if facts.is_on_host_network(known) => AskedEnd::Host { address: None },
        _ => subject.clone(),
    }
}

/// The ways to one address: an end on its network uses that one; from elsewhere any may be used.
fn to_target(
    policy: &Policy,
    facts: &Attribution,
    asked: &Asked,
    sources: &[Source],
    target: &Target,
    at: KernelTime,
) -> Vec<Way> {
    let known = target.address.and_then(|address| {
        if address == target.end.address {
            facts.network_of_end(&target.end, at)
        } else {
            facts.network_of_address(address, at)
        }
    });
    let network = known.map(|known| known.reference().clone());
    let fitting: Vec<&Source> = sources.iter().filter(|source| source.fits(target.end.address)).collect();
    let neighbour = fitting.iter().find(|source| {
        source.network.is_some() && source.network.as_ref() == network.as_ref().map(|it| &it.id)
    });
    let used = neighbour.map_or(fitting.clone(), |one| vec![*one]);
    let mut ways: Vec<Way> = Vec::new();
    for source in &used {
        let question = Question {
            from: &source.end,
            from_network: source.network.as_ref(),
            to: &target.end,
            protocol: asked.protocol(),
            port: target.end.port,
            at,
        };
        let alone = used.len() == 1 && source.end.address != SOMEBODY;
        let from_network = source.network.as_ref().and_then(|network| facts.network(network));
        let way = Way {
            from: alone.then_some(source.end.address),
            from_network: from_network.filter(|_| alone).map(|known| known.reference().clone()),
            address: target.address,
            network: network.clone(),
            port: target.port,
            published: target.published,
            decision: decide(policy, facts, &question),
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

/// The rule that decides: one of the policy file, else one of the topology.
fn decide(policy: &Policy, facts: &Attribution, question: &Question<'_>) -> Option<Decision> {
    let [from, to] = [question.from, question.to].map(|end| party(facts, end, question.at));
    let by_file = policy.decide(&from, &to, question.protocol, question.port);
    let judgement = match by_file {
        Some(rule) => of_action(rule.action),
        None => rules::judge(facts, question)?,
    };
    let rule = by_file.map_or(RuleName::Topology(judgement.rule), |rule| RuleName::File(rule.name.clone()));
    let comment = by_file.and_then(|rule| rule.comment.clone());
    let because = explain::because(
        &Reason {
            facts,
            name: &rule,
            comment: comment.as_ref(),
            judgement,
            source: question.from,
            destination: question.to,
            at: question.at,
        },
        None,
    );
    Some(Decision { rule, expected: judgement.expected, crossing: judgement.crossing, comment, because })
}

fn sources(facts: &Attribution, asked: &Asked, at: KernelTime) -> Vec<Source> {
    match &asked.from {
        AskedEnd::Container { id, address } => {
            let Some(known) = facts.container(id) else { return Vec::new() };
            let all = addresses(facts, known, *address);
            all.into_iter()
                .map(|(network, address)| Source {
                    end: End::of_container(known.reference().clone(), address),
                    network: Some(network),
                })
                .collect()
        }
        other => {
            let end = plain(facts, other, &networks(facts, &asked.to), at);
            let network = end.swarm.as_ref().map(|who| who.network.id.clone());
            vec![Source { end, network }]
        }
    }
}

/// A container's addresses, each with its network, by the network's name.
fn addresses(facts: &Attribution, known: &Known, only: Option<IpAddr>) -> Vec<(NetworkId, IpAddr)> {
    let mut all: Vec<_> = known
        .container
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.addresses.iter().map(|address| (endpoint.network.clone(), *address)))
        .filter(|(_, address)| only.is_none_or(|only| only == *address))
        .collect();
    all.sort_by_key(|(network, address)| {
        (facts.network(network).map(|it| it.network.name.clone()), *address)
    });
    all
}

/// The networks of an end that is a container of this node.
fn networks(facts: &Attribution, subject: &AskedEnd) -> Vec<NetworkId> {
    let AskedEnd::Container { id, address } = subject else { return Vec::new() };
    let own = facts.container(id).map(|known| addresses(facts, known, *address));
    own.into_iter().flatten().map(|(network, _)| network).collect()
}

/// Who has an address in the swarm: on a network of the other end, if somebody has it there.
fn in_swarm<'f>(
    facts: &'f Attribution,
    address: IpAddr,
    beside: &[NetworkId],
    at: KernelTime,
) -> Option<&'f Arc<SwarmRef>> {
    let of_address = facts.network_of_address(address, at).map(|known| &known.network.id);
    beside.iter().chain(of_address).find_map(|network| facts.in_swarm_now(network, address, at))
}

/// An end that is no container of this node; `beside` are the networks of the other one.
fn plain(facts: &Attribution, subject: &AskedEnd, beside: &[NetworkId], at: KernelTime) -> End {
    if let AskedEnd::Address(address) | AskedEnd::Outside { address: Some(address) } = subject
        && let Some(who) = in_swarm(facts, *address, beside, at)
    {
        return End { swarm: Some(Arc::clone(who)), ..End::plain(EndKind::External, *address) };
    }
    let kind = match subject {
        AskedEnd::Host { .. } => EndKind::Host,
        AskedEnd::Outside { .. } => EndKind::External,
        AskedEnd::Address(address) if address.is_multicast() || *address == Ipv4Addr::BROADCAST => {
            EndKind::Multicast
        }
        AskedEnd::Container { .. } | AskedEnd::Address(_) => EndKind::Unknown,
    };
    End::plain(kind, subject.address().unwrap_or(SOMEBODY))
}

fn targets(facts: &Attribution, asked: &Asked, sources: &[Source], at: KernelTime) -> Vec<Target> {
    let port = asked.port;
    match &asked.to {
        AskedEnd::Container { id, address } => {
            let Some(known) = facts.container(id) else { return Vec::new() };
            let own = addresses(facts, known, *address);
            let direct = own.iter().map(|(_, address)| {
                Target::plain(End::of_container(known.reference().clone(), *address), port)
            });
            let mut targets: Vec<Target> = direct.collect();
            if address.is_none() {
                targets.extend(published(facts, asked, sources, known, at));
            }
            targets
        }
        AskedEnd::Host { address: None } => of_host(facts, sources, at)
            .into_iter()
            .map(|address| Target::plain(End::plain(EndKind::Host, address), port))
            .collect(),
        other => {
            let end = plain(facts, other, &networks(facts, &asked.from), at);
            vec![Target::plain(end, port)]
        }
    }
}

/// The addresses by which containers reach the host: the gateways of their networks.
fn of_host(facts: &Attribution, sources: &[Source], at: KernelTime) -> Vec<IpAddr> {
    let networks = sources.iter().filter_map(|source| facts.network(source.network.as_ref()?));
    let gateways = networks.flat_map(|known| known.network.gateways.iter().copied());
    let mut all: Vec<IpAddr> = gateways.filter(|gateway| facts.is_of_host(*gateway, at)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The published ports of the host that lead to a container.
fn published(
    facts: &Attribution,
    asked: &Asked,
    sources: &[Source],
    known: &Known,
    now: KernelTime,
) -> Vec<Target> {
    let name = asked.protocol().name();
    let mut targets = Vec::new();
    for (at, outer, inner, protocol) in &known.container.published {
        if *protocol != name || asked.port.is_some_and(|port| port != *inner) {
            continue;
        }
        match &asked.from {
            AskedEnd::Container { .. } => {
                // Bound to the host's own loopback it is out of a container's reach.
                let gateways = of_host(facts, sources, now);
                let fits = gateways.iter().find(|gateway| gateway.is_ipv4() == at.is_ipv4());
                let address = if at.is_unspecified() { fits.copied() } else { Some(*at) };
                let address = address.filter(|address| !address.is_loopback());
                targets.extend(address.map(|address| Target {
                    published: Some(*inner),
                    ..Target::plain(End::plain(EndKind::Host, address), Some(*outer))
                }));
            }
            AskedEnd::Host { .. } | AskedEnd::Outside { .. } => {
                let outside = matches!(asked.from, AskedEnd::Outside { .. });
                let mut own = known.container.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
                let real = own.find(|address| address.is_ipv4() == at.is_ipv4());
                targets.extend(real.filter(|_| !(outside && at.is_loopback())).map(|real| Target {
                    end: End { port: Some(*inner), ..End::of_container(known.reference().clone(), *real) },
                    address: (!at.is_unspecified()).then_some(*at),
                    port: Some(*outer),
                    published: Some(*inner),
                }));
            }
            AskedEnd::Address(_) => {}
        }
    }
    targets
}
