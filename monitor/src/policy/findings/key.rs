//! What makes two sightings one finding.

use super::Kind;
use crate::attribution::{End, EndKind};
use crate::model::{ContainerId, Protocol, SafeText};
use crate::policy::rules::RuleName;
use std::borrow::Cow;
use std::net::IpAddr;

/// Who is at an end of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Container(ContainerId),
    Address(IpAddr),
    Host,
    Outside,
    /// A task on another node of a swarm, by its name.
    Task(SafeText),
    /// Whoever it is to whom this one says that no more fits.
    BehindMtu(IpAddr, u32),
}

impl Who {
    fn of(end: &End) -> Self {
        match (end.kind, &end.container) {
            (EndKind::Container, Some(container)) => Self::Container(container.id.clone()),
            (EndKind::Host, _) => Self::Host,
            (EndKind::External, _) => Self::Outside,
            _ => Self::Address(end.address),
        }
    }
}

/// What makes two sightings one finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Key {
    kind: Kind,
    rule: RuleName,
    source: Who,
    destination: Who,
    protocol: Cow<'static, str>,
}

impl Key {
    pub(in crate::policy) fn new(
        kind: Kind,
        rule: &RuleName,
        source: &End,
        destination: &End,
        protocol: Cow<'static, str>,
    ) -> Self {
        Self {
            kind,
            rule: rule.clone(),
            source: Who::of(source),
            destination: Who::of(destination),
            protocol,
        }
    }

    /// That of a replica that answers nobody, wherever it is.
    pub(in crate::policy) fn of_replica(rule: &RuleName, source: &End, replica: &End) -> Self {
        let task = replica.swarm.as_ref().and_then(|swarm| swarm.member.name.clone());
        let destination = task.map_or_else(|| Who::of(replica), Who::Task);
        let source = Who::of(source);
        Self { kind: Kind::Broken, rule: rule.clone(), source, destination, protocol: Protocol::TCP.name() }
    }

    /// That of one that sends what does not fit, although this address tells it this MTU.
    pub(in crate::policy) fn of_mtu(
        rule: &RuleName,
        source: &End,
        (told_by, mtu): (IpAddr, u32),
        protocol: Cow<'static, str>,
    ) -> Self {
        let destination = Who::BehindMtu(told_by, mtu);
        Self { kind: Kind::Broken, rule: rule.clone(), source: Who::of(source), destination, protocol }
    }
}
