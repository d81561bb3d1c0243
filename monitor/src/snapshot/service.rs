//! Services: what several containers are together.

use super::{Alias, ContainerRef, End, EndKind};
use crate::attribution::Known;
use crate::model::SafeText;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A service of Compose or Swarm, a name that several containers share, or whoever is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Service {
    /// A service of a Compose project or a Swarm, whichever of its containers.
    Compose {
        /// The project, or the stack.
        project: Option<SafeText>,
        /// The service.
        service: SafeText,
    },
    /// A container without a service, by its name.
    Container(SafeText),
    /// All containers that a name on a network leads to.
    Alias(Alias),
    /// The host itself.
    Host,
    /// Whoever is outside of the host; of those who are asked each address is one.
    Outside(Option<IpAddr>),
    /// Cannot be told.
    Unknown,
}

impl Service {
    /// What a container is part of.
    #[must_use]
    pub fn of_container(container: &ContainerRef) -> Self {
        match &container.service {
            Some(service) => Self::Compose { project: container.project.clone(), service: service.clone() },
            None => Self::Container(container.name.clone()),
        }
    }

    pub(super) fn of_known(known: &Known) -> Self {
        Self::of_container(known.reference())
    }

    /// Whether it is made of containers.
    #[must_use]
    pub const fn is_of_containers(&self) -> bool {
        matches!(self, Self::Compose { .. } | Self::Container(_) | Self::Alias(_))
    }

    /// Who asks: all that is outside is one.
    #[must_use]
    pub fn of_client(end: &End) -> Self {
        Self::of(end, None)
    }

    /// Who is asked.
    #[must_use]
    pub fn of_server(end: &End) -> Self {
        Self::of(end, Some(end.address))
    }

    fn of(end: &End, outside: Option<IpAddr>) -> Self {
        match (end.kind, &end.container) {
            (_, Some(container)) => Self::of_container(container),
            (EndKind::Host, None) => Self::Host,
            (EndKind::External, None) => Self::Outside(outside),
            (EndKind::Container | EndKind::Multicast | EndKind::Unknown, None) => Self::Unknown,
        }
    }

    /// Whether it is meant by a name: `service`, `project/service`, `alias`, `alias.network`, a container's name, or an address.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let own = match self {
            Self::Compose { service, .. } => Some(service),
            Self::Container(own) | Self::Alias(Alias { name: own, .. }) => Some(own),
            Self::Host | Self::Outside(_) | Self::Unknown => None,
        };
        own.is_some_and(|own| own.as_str() == name) || self.to_string() == name
    }
}

impl fmt::Display for Service {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compose { project: Some(project), service } => write!(to, "{project}/{service}"),
            Self::Compose { project: None, service } => service.fmt(to),
            Self::Container(name) => name.fmt(to),
            Self::Alias(alias) => alias.fmt(to),
            Self::Host => to.write_str("host"),
            Self::Outside(Some(address)) => address.fmt(to),
            Self::Outside(None) => to.write_str("outside"),
            Self::Unknown => to.write_str("unknown"),
        }
    }
}
