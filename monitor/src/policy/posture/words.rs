//! A standing finding in a sentence or two that a tired person understands.

use super::look::major;
use super::neighbours::{MANY, Neighbours};
use super::{PostureRule, Standing, Subject};
use crate::attribution::Attribution;
use crate::model::{DockerState, NetworkMode, SafeText};
use crate::policy::Severity;

/// How many names a sentence lists.
const NAMED: usize = 4;

/// What the sentence is about, beside the finding.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) facts: &'a Attribution,
    pub(super) neighbours: &'a Neighbours<'a>,
}

/// What stands, what follows from it, and what to do about it.
pub(super) fn explanation(around: &Around<'_>, standing: &Standing) -> String {
    let rule = standing.rule;
    let means = if rule == PostureRule::StrongRights { rights(standing) } else { rule.means() };
    let todo = rule.todo();
    let (first, rest) = todo.split_at_checked(1).unwrap_or((todo, ""));
    format!("{}: {means}. {}{rest}.", fact(around, standing), first.to_uppercase())
}

fn fact(around: &Around<'_>, standing: &Standing) -> String {
    let name = standing.subject.name();
    let what = listed(standing);
    match standing.rule {
        PostureRule::DockerSocket => format!("{name} has the Docker socket ({what})"),
        PostureRule::StrongRights => format!("{name} {}", with_rights(around, standing, &what)),
        PostureRule::HostMode => format!("{name} is in the host's own network"),
        PostureRule::Ipv6NotIsolated => {
            let word = if standing.what_count == 1 { "network" } else { "networks" };
            let verb = if cannot_isolate(around.facts) { "does not" } else { "may fail to" };
            format!("Docker {verb} keep network {name} apart from IPv6 {word} {what}")
        }
        PostureRule::NoHostEnd => {
            let driver = driver(standing);
            format!("{name} is on {driver} network {what}")
        }
        PostureRule::PublishedEverywhere => {
            format!("{name} publishes {what} on every address of the host")
        }
        PostureRule::SharedNamespace => format!("{name} is in the network of {what}"),
    }
}

/// Whether ip6tables is off for certain: before 27 it needs the experimental features.
fn cannot_isolate(facts: &Attribution) -> bool {
    matches!(facts.docker(), DockerState::Up { experimental: Some(false), version, .. } if major(version).is_some())
}

/// `macvlan`, or `ipvlan` where all such networks of the subject are.
fn driver(standing: &Standing) -> &str {
    let Subject::Container(container) = &standing.subject else { return "macvlan" };
    let mut networks = container.networks.iter();
    networks.find(|it| standing.what.contains(&it.name)).map_or("macvlan", |network| network.driver.name())
}

fn with_rights(around: &Around<'_>, standing: &Standing, what: &str) -> String {
    let Subject::Container(container) = &standing.subject else { return format!("has {what}") };
    if is_privileged(standing) {
        return "is privileged".to_owned();
    }
    let Some(known) = around.facts.container(&container.id) else { return format!("has {what}") };
    let seat = around.neighbours.seat(known);
    if seat.container.network_mode == NetworkMode::Host {
        return format!("has {what} in the host's own network");
    }
    match around.neighbours.others(seat) {
        1 => format!("has {what} on a network with another container"),
        MANY => format!("has {what} on networks with {MANY} other containers or more"),
        others => format!("has {what} on networks with {others} other containers"),
    }
}

fn is_privileged(standing: &Standing) -> bool {
    standing.what.iter().any(|right| right.as_str() == "privileged")
}

/// What follows from the rights it has.
fn rights(standing: &Standing) -> &'static str {
    if is_privileged(standing) {
        "it can do on the host whatever root can, and so in every container and network"
    } else if standing.severity == Severity::Critical {
        "it can change the host's addresses, routes and firewall, which keep all networks apart"
    } else if standing.what.iter().any(|right| right.as_str() == "SYS_ADMIN") {
        "it can do much of what root can, beyond its own container too"
    } else {
        "it can take others' addresses, and redirect and read what they send"
    }
}

/// The first of what exactly, and how many more.
fn listed(standing: &Standing) -> String {
    let names: Vec<&str> = standing.what.iter().take(NAMED).map(SafeText::as_str).collect();
    let more = standing.what_count - names.len();
    match (names.as_slice(), more) {
        (names, 1..) => format!("{} and {more} more", names.join(", ")),
        ([others @ .., last], 0) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        (names, 0) => names.join(", "),
    }
}
