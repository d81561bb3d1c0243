//! Who is meant by an end that was typed: pure, over what Docker told.

mod named;

use super::ask::DOCKER_PATIENCE;
use crate::attribution::{EndKind, NetworkRef, SwarmRef, in_subnet};
use crate::cli::Who;
use crate::doctor::Docker;
use crate::model::{
    Container, ContainerState, Network, NetworkDriver, NetworkId, NetworkMode, SwarmKind, SwarmMember,
};
use crate::policy::{AskedEnd, InSwarm, Party};
use anyhow::{anyhow, bail};
use named::{Beside, Named, beginning, called, here, is_task_of, listed, named, shown, some_of, whole};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The least of a container's id that is told of it: nobody gives a name like that.
const SHORT_ID: usize = 12;
/// An end, found.
#[derive(Debug)]
pub(super) struct Found<'d> {
    pub(super) kind: EndKind,
    pub(super) container: Option<&'d Container>,
    /// The container in host mode that it is: rules see the host, and its flows are its own.
    pub(super) on_host: Option<&'d Container>,
    /// Who it is in the swarm, where it is no container of this node.
    pub(super) in_swarm: Option<&'d SwarmRef>,
    /// The address that was typed, or that a name in the swarm has.
    typed: Option<IpAddr>,
    /// Its addresses, each with its network.
    addresses: Vec<(&'d NetworkId, IpAddr)>,
    pub(super) networks: Vec<NetworkRef>,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
}

impl Found<'_> {
    /// The end as an inquiry asks about it.
    pub(super) fn subject(&self) -> AskedEnd {
        let address = self.typed;
        match (self.container.or(self.on_host), self.kind, address) {
            (Some(container), ..) => AskedEnd::Container { id: container.id.clone(), address },
            (None, EndKind::Host, _) => AskedEnd::Host { address },
            (None, EndKind::Multicast | EndKind::Unknown, Some(address)) => AskedEnd::Address(address),
            (None, _, _) => AskedEnd::Outside { address },
        }
    }

    /// The end as rules see it.
    pub(super) fn party(&self, address: Option<IpAddr>, port: Option<u16>) -> Party<'_> {
        Party {
            kind: self.kind,
            address: address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            port,
            container: self.container,
            swarm: self.in_swarm.map_or(InSwarm::No, |who| InSwarm::Member(&who.member)),
            networks: &self.networks,
        }
    }
}

/// Finds who is meant by both ends. `is_local` tells whether an address is one of the host's own.
///
/// # Errors
/// When there is no such container, or more than one.
pub(super) fn find<'d>(
    [from, to]: [&Who; 2],
    docker: &'d Docker,
    is_local: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<[Found<'d>; 2]> {
    let [of_from, of_to] = [from, to].map(|who| networks_here(who, docker));
    let (opener, asked) =
        (Beside { networks: of_to, is_asked: false }, Beside { networks: of_from, is_asked: true });
    Ok([one(from, &opener, docker, &is_local)?, one(to, &asked, docker, &is_local)?])
}

/// Whether an end may be somebody in the swarm, by what was told of this node: what was typed is no container of it and none of
/// its addresses. A Swarm service may be meant by its virtual address, whoever runs here.
pub(super) fn may_be_in_swarm(who: &Who, docker: &Docker, is_local: impl Fn(IpAddr) -> bool) -> bool {
    match who {
        Who::Container(name) => {
            let (running, _) = called(name, docker);
            let is_found = running.iter().any(|container| !is_task_of(container, name));
            let is_id = name.len() >= SHORT_ID && !beginning(name, docker).is_empty();
            whole(name, docker).is_none() && !is_found && !is_id
        }
        Who::Address(address) => {
            let is_here = docker.containers().any(|container| has_address(container, *address));
            !is_here && !is_of_host(*address, docker, is_local) && !is_of_many(*address)
        }
        Who::Host | Who::Outside => false,
    }
}

/// What was not told in time of the swarm, where that may be who is meant.
fn untold(who: &Who, docker: &Docker, is_local: impl Fn(IpAddr) -> bool) -> Option<String> {
    let networks = docker.swarm_untold();
    if networks.is_empty() || !may_be_in_swarm(who, docker, is_local) {
        return None;
    }
    let of = if networks.len() == 1 { "network" } else { "networks" };
    let names = some_of(networks.into_iter().map(ToString::to_string).collect());
    let patience = DOCKER_PATIENCE.as_secs();
    Some(format!("who is on {of} {names} of the swarm was not told within {patience} s"))
}

fn one<'d>(
    who: &Who,
    beside: &Beside<'_>,
    docker: &'d Docker,
    is_local: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<Found<'d>> {
    let untold = untold(who, docker, &is_local);
    match (told(who, beside, docker, is_local), untold) {
        (Ok(mut found), untold) => {
            found.notes.extend(untold);
            Ok(found)
        }
        (Err(failure), Some(untold)) => Err(anyhow!("{failure}; {untold}")),
        (Err(failure), None) => Err(failure),
    }
}

/// Who is meant by what was told.
fn told<'d>(
    who: &Who,
    beside: &Beside<'_>,
    docker: &'d Docker,
    is_local: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<Found<'d>> {
    Ok(match who {
        Who::Container(name) => match named(name, beside, docker)? {
            Named::Here(container) => {
                let mut found = of_container(container, docker)?;
                found.notes.extend(other_tasks(name, container, docker));
                found
            }
            Named::Elsewhere(who) => elsewhere(who, docker),
        },
        Who::Address(address) => of_address(*address, beside, docker, is_local)?,
        Who::Host => plain(EndKind::Host, None),
        Who::Outside => plain(EndKind::External, None),
    })
}

/// The networks of an end that is a container of this node.
fn networks_here<'d>(who: &Who, docker: &'d Docker) -> Vec<&'d NetworkId> {
    let containers = match who {
        Who::Container(name) => here(name, docker),
        Who::Address(address) => docker.containers().filter(|one| has_address(one, *address)).collect(),
        Who::Host | Who::Outside => Vec::new(),
    };
    let owner = |container: &'d Container| match &container.network_mode {
        NetworkMode::SharedWith(other) => docker.containers().find(|one| one.id == *other),
        _ => Some(container),
    };
    let owners = containers.into_iter().filter_map(owner);
    owners.flat_map(|container| &container.endpoints).map(|endpoint| &endpoint.network).collect()
}

fn has_address(container: &Container, address: IpAddr) -> bool {
    container.endpoints.iter().any(|endpoint| endpoint.addresses.contains(&address))
}

fn plain<'d>(kind: EndKind, typed: Option<IpAddr>) -> Found<'d> {
    let (addresses, networks, notes) = (Vec::new(), Vec::new(), Vec::new());
    Found { kind, container: None, on_host: None, in_swarm: None, typed, addresses, networks, notes }
}

/// Somebody in the swarm who is no container of this node.
fn elsewhere<'d>(who: &'d SwarmRef, docker: &'d Docker) -> Found<'d> {
    let SwarmMember { address, node, kind, service, mac, .. } = &who.member;
    let mut found = plain(EndKind::External, Some(*address));
    found.in_swarm = Some(who);
    found.addresses.push((&who.network.id, *address));
    found.networks.push(who.network.clone());
    let network = &who.network.name;
    found.notes.push(match (kind, node) {
        (SwarmKind::VirtualIp, _) => {
            format!("{who} is what the tasks of the service share on network {network}: which of them answers is not told")
        }
        // The Ethernet address is told of this node's own, and on most networks nothing of others'.
        (SwarmKind::LoadBalancer, node) if node.is_none() || mac.is_some() => {
            format!("{who} is this node's own, on network {network}: what it forwards is not watched")
        }
        (_, Some(node)) => {
            format!("{who} is on node {node}, on network {network}: what arrives there, that node's agent tells")
        }
        (_, None) => {
            format!("{who} is on another node, on network {network}: what arrives there, that node's agent tells")
        }
    });
    if let (SwarmKind::VirtualIp, Some(service)) = (kind, service) {
        let here: Vec<&Container> = docker
            .containers()
            .filter(|container| runs(container) && is_task_of(container, service.as_str()))
            .collect();
        found.notes.extend(
            (!here.is_empty()).then(|| format!("tasks of service {service} on this node: {}", listed(&here))),
        );
    }
    found
}

/// What is to be known where a container is meant by the name of its service, which has tasks on other nodes as well.
fn other_tasks(name: &str, container: &Container, docker: &Docker) -> Option<String> {
    let is_service = is_task_of(container, name);
    let elsewhere = docker.elsewhere();
    let is_task = |who: &&&SwarmRef| {
        let is_asked = !docker.is_ingress(&who.network.id);
        is_service && is_asked && who.member.kind == SwarmKind::Task && who.is_of(name)
    };
    let tasks = elsewhere.iter().filter(is_task);
    let tasks: Vec<String> = tasks.map(ToString::to_string).collect();
    let also = (!tasks.is_empty()).then(|| some_of(tasks))?;
    Some(format!("service {} is meant by its task here, {}; others are {also}", shown(name), container.name))
}

fn of_container<'d>(container: &'d Container, docker: &'d Docker) -> anyhow::Result<Found<'d>> {
    let name = &container.name;
    match &container.network_mode {
        NetworkMode::Host => return Ok(of_host_mode(container)),
        NetworkMode::None => bail!("{name} has no network"),
        NetworkMode::SharedWith(other) => {
            let Some(owner) = docker.containers().find(|one| one.id == *other) else {
                bail!("{name} is in the network of container {}, which is gone", other.short());
            };
            if owner.network_mode == NetworkMode::Host {
                return Ok(of_host_mode(container));
            }
            if matches!(owner.network_mode, NetworkMode::SharedWith(_)) {
                bail!("{name} is in the network of {}, which has none of its own", owner.name);
            }
            let mut found = of_container(owner, docker)?;
            found.notes.push(format!("{name} is in the network of {}, and rules see that one", owner.name));
            return Ok(found);
        }
        NetworkMode::Networks => {}
    }
    let addresses: Vec<_> = container
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.addresses.iter().map(|address| (&endpoint.network, *address)))
        .collect();
    let mut networks: Vec<NetworkRef> = docker
        .networks()
        .filter(|network| container.endpoints.iter().any(|endpoint| endpoint.network == network.id))
        .map(reference)
        .collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let mut found =
        Found { container: Some(container), addresses, networks, ..plain(EndKind::Container, None) };
    if !runs(container) {
        found.notes.push(format!("{name} does not run: it has no address and is on no network now"));
    }
    Ok(found)
}

fn of_host_mode(container: &Container) -> Found<'_> {
    let mut host = plain(EndKind::Host, None);
    host.on_host = Some(container);
    host.notes.push(format!(
        "{} is in host mode: rules see the host. It is seen at its own sockets: of what is dropped before it gets there, or after \
         it left, nobody knows that it is its own (ask about `host`)",
        container.name
    ));
    host
}

fn runs(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused | ContainerState::Unknown)
}

fn reference(network: &Network) -> NetworkRef {
    NetworkRef { id: network.id.clone(), name: network.name.clone(), driver: network.driver.clone() }
}

fn of_address<'d>(
    address: IpAddr,
    beside: &Beside<'_>,
    docker: &'d Docker,
    is_local: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<Found<'d>> {
    let mut owners = docker.containers().filter(|container| has_address(container, address));
    if let Some(owner) = owners.next() {
        let mut found = of_container(owner, docker)?;
        found.typed = Some(address);
        if let Some(other) = owners.next() {
            found.notes.push(format!("{} has the address {address} as well", other.name));
        }
        return Ok(found);
    }
    if is_of_host(address, docker, is_local) {
        return Ok(plain(EndKind::Host, Some(address)));
    }
    if is_of_many(address) {
        return Ok(plain(EndKind::Multicast, Some(address)));
    }
    let mut elsewhere_there = docker.elsewhere();
    elsewhere_there.retain(|who| who.member.address == address);
    elsewhere_there.sort_by_key(|who| !beside.networks.contains(&&who.network.id));
    let mut elsewhere_there = elsewhere_there.into_iter();
    if let Some(who) = elsewhere_there.next() {
        let mut found = elsewhere(who, docker);
        if let Some(other) = elsewhere_there.next() {
            found.notes.push(format!("{other} on network {} has that address as well", other.network.name));
        }
        return Ok(found);
    }
    let holds = |network: &&Network| network.subnets.iter().any(|subnet| in_subnet(address, *subnet));
    let Some(network) = docker.networks().find(holds) else {
        return Ok(plain(EndKind::External, Some(address)));
    };
    let mut found = plain(EndKind::Unknown, Some(address));
    found.networks.push(reference(network));
    found.notes.push(format!("no container has the address {address} of network {}", network.name));
    Ok(found)
}

fn is_of_host(address: IpAddr, docker: &Docker, is_local: impl Fn(IpAddr) -> bool) -> bool {
    let is_gateway = docker.networks().any(|network| {
        let of_host = !matches!(
            network.driver,
            NetworkDriver::Macvlan | NetworkDriver::Ipvlan | NetworkDriver::Overlay
        );
        of_host && network.gateways.contains(&address)
    });
    is_gateway || address.is_loopback() || is_local(address)
}

fn is_of_many(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether an address is one of this host's: a socket can be bound to no other. Nothing is sent.
pub(super) fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The addresses that two ends would use: what was typed, else those of a network that both are on, else the first.
pub(super) fn addresses(from: &Found<'_>, to: &Found<'_>, docker: &Docker) -> [Option<IpAddr>; 2] {
    let family = from.typed.or(to.typed).map(|address| address.is_ipv4());
    let fits = |address: IpAddr| family.is_none_or(|v4| address.is_ipv4() == v4);
    let shared =
        from.addresses.iter().filter(|(_, address)| fits(*address)).find_map(|(network, address)| {
            let same = |(other, theirs): &&(&NetworkId, IpAddr)| {
                other == network
                    && theirs.is_ipv4() == address.is_ipv4()
                    && to.typed.is_none_or(|typed| typed == *theirs)
            };
            to.addresses.iter().find(same).map(|(_, theirs)| [Some(*address), Some(*theirs)])
        });
    let first =
        |end: &Found<'_>| end.addresses.iter().map(|(_, address)| *address).find(|address| fits(*address));
    let [ours, theirs] = shared.unwrap_or([first(from), first(to)]);
    let gateway = |end: &Found<'_>, other: &Found<'_>| {
        let network = other.addresses.first().map(|(network, _)| *network)?;
        let network = docker.networks().find(|known| known.id == *network)?;
        let mut gateways = network.gateways.iter().copied();
        gateways.find(|address| end.kind == EndKind::Host && fits(*address))
    };
    [from.typed.or(ours).or_else(|| gateway(from, to)), to.typed.or(theirs).or_else(|| gateway(to, from))]
}

#[cfg(test)]
mod tests;
