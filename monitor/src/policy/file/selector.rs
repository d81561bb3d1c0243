//! Which ends a rule is about.

use super::glob::Glob;
use crate::attribution::{EndKind, in_subnet};
use crate::model::{Container, ContainerState, SafeText, SwarmMember};
use crate::policy::{InSwarm, Party};
use std::net::IpAddr;

/// One or several descriptions of an end; it has to fit one of them.
#[derive(Clone, Debug)]
pub(super) struct Selector(pub(super) Box<[Clause]>);

/// A description of an end: all criteria have to be met, and `not` must not.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) criteria: Box<[Criterion]>,
    pub(super) not: Option<Selector>,
}

/// One thing asked of an end; of several values one has to fit.
#[derive(Clone, Debug)]
pub(super) enum Criterion {
    /// A container of that name.
    Container(Box<[Glob]>),
    /// A container of that Compose service.
    Service(Box<[Glob]>),
    /// A container of that Compose project.
    Project(Box<[Glob]>),
    /// A container of that image, with or without its tag.
    Image(Box<[Glob]>),
    /// A container with that label: its name, and its value if one is asked for.
    Label(Box<[(Glob, Option<Glob>)]>),
    /// An end on that network.
    Network(Box<[Glob]>),
    /// An address in one of these subnets.
    Cidr(Box<[(IpAddr, u8)]>),
    /// Whether it is of that kind.
    Kind(EndKind, bool),
}

impl Selector {
    /// Whether an end fits; none if that cannot be told.
    pub(super) fn fits(&self, party: &Party<'_>) -> Option<bool> {
        let mut fits = Some(false);
        for clause in &self.0 {
            match clause.fits(party) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => fits = None,
            }
        }
        fits
    }
}

impl Clause {
    fn fits(&self, party: &Party<'_>) -> Option<bool> {
        let mut fits = Some(true);
        let criteria = self.criteria.iter().map(|criterion| criterion.fits(party));
        let not = self.not.as_ref().map(|not| not.fits(party).map(|fits| !fits));
        for one in criteria.chain(not) {
            match one {
                Some(true) => {}
                Some(false) => return Some(false),
                None => fits = None,
            }
        }
        fits
    }
}

impl Criterion {
    fn fits(&self, party: &Party<'_>) -> Option<bool> {
        match self {
            Self::Container(globs) => match party.swarm {
                InSwarm::Member(SwarmMember { name: Some(name), .. }) => Some(any(globs, name)),
                _ => of_container(party, |it| Some(any(globs, &it.name))),
            },
            Self::Service(globs) => match party.swarm {
                InSwarm::Member(SwarmMember { service: Some(service), .. }) => Some(any(globs, service)),
                _ => of_container(party, |it| optional(globs, it, it.service.as_ref())),
            },
            Self::Project(globs) => of_container(party, |it| optional(globs, it, it.project.as_ref())),
            Self::Image(globs) => {
                of_container(party, |it| match &it.image {
                    Some(image) => Some(globs.iter().any(|glob| {
                        glob.matches(image.as_str()) || glob.matches(without_tag(image.as_str()))
                    })),
                    None => not_told(it),
                })
            }
            Self::Label(labels) => of_container(party, |it| {
                let found = labels.iter().any(|(name, value)| {
                    it.labels.iter().any(|(its_name, its_value)| {
                        name.matches(its_name.as_str())
                            && value.as_ref().is_none_or(|value| value.matches(its_value.as_str()))
                    })
                });
                if it.labels.is_empty() { not_told(it) } else { Some(found) }
            }),
            Self::Network(_) if party.networks.is_empty() && party.kind == EndKind::Unknown => None,
            Self::Network(globs) => {
                let is_on = party.networks.iter().any(|network| any(globs, &network.name));
                // Which others somebody on another node is on, nobody tells here.
                (is_on || party.swarm == InSwarm::No).then_some(is_on)
            }
            Self::Cidr(subnets) => Some(subnets.iter().any(|subnet| in_subnet(party.address, *subnet))),
            Self::Kind(_, _) if party.kind == EndKind::Unknown => None,
            Self::Kind(kind, expected) => Some((party.kind == *kind) == *expected),
        }
    }
}

fn any(globs: &[Glob], text: &SafeText) -> bool {
    globs.iter().any(|glob| glob.matches(text.as_str()))
}

/// Asks something of a container; an end that is known to be none does not fit, of an unknown one nobody can tell. Neither can
/// it be told of one on another node of a swarm: here is only known what the swarm tells.
fn of_container(party: &Party<'_>, ask: impl Fn(&Container) -> Option<bool>) -> Option<bool> {
    match party.container {
        Some(container) => ask(container),
        None if matches!(party.kind, EndKind::Unknown | EndKind::Container) => None,
        None if party.swarm != InSwarm::No => None,
        None => Some(false),
    }
}

/// Asks something that not every container has.
fn optional(globs: &[Glob], container: &Container, text: Option<&SafeText>) -> Option<bool> {
    match text {
        Some(text) => Some(any(globs, text)),
        None => not_told(container),
    }
}

/// What a container does not have; or nobody can tell, where only a network's list told of it so far.
fn not_told(container: &Container) -> Option<bool> {
    if container.state == ContainerState::Unknown { None } else { Some(false) }
}

/// An image's name without tag and digest: `registry:5000/shop/web:1.2` is `registry:5000/shop/web`.
fn without_tag(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}
