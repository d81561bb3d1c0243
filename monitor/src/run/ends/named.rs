//! Who has a name that was typed: a container of this node, or somebody else in the swarm.

use super::runs;
use crate::attribution::SwarmRef;
use crate::doctor::Docker;
use crate::document::nearest;
use crate::model::{Container, NetworkId, SafeText, SwarmKind};
use anyhow::bail;

/// The most names an error lists.
const MOST_LISTED: usize = 8;

/// What a name is meant beside.
pub(super) struct Beside<'d> {
    /// The networks of the other end, if that is a container of this node.
    pub(super) networks: Vec<&'d NetworkId>,
    /// Whether the other end asks this one: nobody asks from a virtual address.
    pub(super) is_asked: bool,
}

/// Whether a container of this node is a task of a Swarm service.
pub(super) fn is_task_of(container: &Container, service: &str) -> bool {
    container.is_of_swarm() && container.service.as_ref().is_some_and(|it| it.as_str() == service)
}

/// Who has a name.
pub(super) enum Named<'d> {
    /// A container of this node.
    Here(&'d Container),
    /// Somebody else in the swarm.
    Elsewhere(&'d SwarmRef),
}

/// The container of this node with that whole name or id.
pub(super) fn whole<'d>(name: &str, docker: &'d Docker) -> Option<&'d Container> {
    docker.containers().find(|container| container.name.as_str() == name || container.id.as_str() == name)
}

/// What a task of this node is called without its id, as those of other nodes are.
fn short_name(container: &Container) -> Option<&str> {
    let (short, _) = container.name.as_str().rsplit_once('.').filter(|_| container.is_of_swarm())?;
    Some(short)
}

/// The containers of this node that are of a service, or the task with that short name: those that run, and those that do not.
pub(super) fn called<'d>(name: &str, docker: &'d Docker) -> (Vec<&'d Container>, Vec<&'d Container>) {
    let is_it = |container: &&Container| {
        let is_of_it = container.service.as_ref().is_some_and(|it| it.as_str() == name);
        is_of_it || short_name(container) == Some(name)
    };
    docker.containers().filter(is_it).partition(|container| runs(container))
}

/// The containers of this node whose id begins so.
pub(super) fn beginning<'d>(id: &str, docker: &'d Docker) -> Vec<&'d Container> {
    docker.containers().filter(|container| container.id.as_str().starts_with(id)).collect()
}

/// Those of this node that a name may mean.
pub(super) fn here<'d>(name: &str, docker: &'d Docker) -> Vec<&'d Container> {
    if let Some(container) = whole(name, docker) {
        return vec![container];
    }
    let (running, stopped) = called(name, docker);
    let ways = [running, stopped, beginning(name, docker)];
    ways.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// The container with that name or id; else the only one of a service, or with a task's short name, that runs here; else the service,
/// task or container elsewhere in the swarm; else the only container whose id begins so.
pub(super) fn named<'d>(name: &str, beside: &Beside<'_>, docker: &'d Docker) -> anyhow::Result<Named<'d>> {
    if let Some(container) = whole(name, docker) {
        return Ok(Named::Here(container));
    }
    // Of a service those that run; if none does, whoever is elsewhere in the swarm, and else whichever there is.
    let (running, stopped) = called(name, docker);
    // What is left of an earlier task here is not who answers now.
    let elsewhere = if running.is_empty() {
        in_swarm(name, beside, docker)?
    } else {
        shared_address(name, &running, beside, docker)?
    };
    if let Some(who) = elsewhere {
        return Ok(Named::Elsewhere(who));
    }
    let called = if running.is_empty() { stopped } else { running };
    match called.as_slice() {
        [only] => return Ok(Named::Here(only)),
        [] => {}
        several if several.iter().all(|container| short_name(container) == Some(name)) => {
            bail!("more than one container is called {}: {}", shown(name), listed(several))
        }
        several => bail!("service {} has more than one container: {}", shown(name), listed(several)),
    }
    match beginning(name, docker).as_slice() {
        [only] => Ok(Named::Here(only)),
        [] => bail!(
            "Docker knows no container or service with the name or id {}{}",
            shown(name),
            suggestion(name, docker)
        ),
        several => {
            bail!("more than one container has an id that begins with {}: {}", shown(name), listed(several))
        }
    }
}

/// The service, task or container with that name that is in the swarm and not on this node, on a network of the other end if
/// it is on one. A service is asked by its virtual address, if it has one; else by its task.
///
/// # Errors
/// When several addresses have that name.
fn in_swarm<'d>(name: &str, beside: &Beside<'_>, docker: &'d Docker) -> anyhow::Result<Option<&'d SwarmRef>> {
    let is_it = |who: &&SwarmRef| who.is_named(name) || who.is_of(name);
    let found: Vec<&SwarmRef> = docker.elsewhere().into_iter().filter(is_it).collect();
    // A service with published ports is on the ingress network as well, where nobody asks for it by name.
    let found = rather(found, |who| !docker.is_ingress(&who.network.id));
    let found = rather(found, |who| beside.networks.contains(&&who.network.id));
    let of_kind = |kind: SwarmKind| -> Vec<&'d SwarmRef> {
        found.iter().filter(|who| who.member.kind == kind && who.is_of(name)).copied().collect()
    };
    let own: Vec<&SwarmRef> = found.iter().filter(|who| who.is_named(name)).copied().collect();
    let ways = [own, of_kind(SwarmKind::VirtualIp), of_kind(SwarmKind::Task)];
    only(name, &ways.into_iter().find(|found| !found.is_empty()).unwrap_or_default())
}

/// The virtual address of a service with tasks on this node, on a network of the end that asks it: that is what the service's name
/// leads to there.
///
/// # Errors
/// When it has several there.
fn shared_address<'d>(
    name: &str,
    running: &[&Container],
    beside: &Beside<'_>,
    docker: &'d Docker,
) -> anyhow::Result<Option<&'d SwarmRef>> {
    if !beside.is_asked || !running.iter().all(|container| is_task_of(container, name)) {
        return Ok(None);
    }
    let mut found = docker.elsewhere();
    found.retain(|who| {
        let is_there = beside.networks.contains(&&who.network.id) && !docker.is_ingress(&who.network.id);
        is_there && who.member.kind == SwarmKind::VirtualIp && who.is_of(name)
    });
    only(name, &found)
}

/// Those that are such; all, if none is.
fn rather(all: Vec<&SwarmRef>, is_such: impl Fn(&SwarmRef) -> bool) -> Vec<&SwarmRef> {
    let (such, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|who| is_such(who));
    if such.is_empty() { others } else { such }
}

/// The only one with a name.
///
/// # Errors
/// When there are several.
fn only<'d>(name: &str, found: &[&'d SwarmRef]) -> anyhow::Result<Option<&'d SwarmRef>> {
    match found {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => {
            let at = several.iter().map(|who| format!("{who} on {}", who.network.name)).collect();
            bail!(
                "{} has several addresses in the swarm, ask about one of them: {}",
                shown(name),
                some_of(at)
            )
        }
    }
}

/// `shop-web-1, shop-web-2`.
pub(super) fn listed(containers: &[&Container]) -> String {
    some_of(containers.iter().map(|container| container.name.to_string()).collect())
}

/// The first of some names, in their order, and how many more there are.
pub(super) fn some_of(mut names: Vec<String>) -> String {
    names.sort_unstable();
    let more = names.len().saturating_sub(MOST_LISTED);
    names.truncate(MOST_LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

/// What may have been meant: the nearest name, or those that run.
fn suggestion(name: &str, docker: &Docker) -> String {
    let services = docker.containers().filter_map(|container| container.service.as_ref());
    let elsewhere = docker.elsewhere();
    let in_swarm = elsewhere.iter().filter_map(|who| who.member.service.as_ref());
    let names = docker.containers().map(|container| &container.name).chain(services).chain(in_swarm);
    if let Some(nearest) = nearest(name, names.map(SafeText::as_str)) {
        return format!("; did you mean {nearest}?");
    }
    let running: Vec<&Container> = docker.containers().filter(|container| runs(container)).collect();
    if running.is_empty() { String::new() } else { format!("; running are {}", listed(&running)) }
}

pub(super) fn shown(text: &str) -> SafeText {
    SafeText::new(text)
}
