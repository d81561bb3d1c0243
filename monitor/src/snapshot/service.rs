//! Services: what several containers are together.

use super::{Alias, ContainerRef, End, EndKind};
use crate::attribution::{Known, SwarmRef};
use crate::model::{SafeText, SwarmKind};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A service of Compose or Swarm, a name that several containers share, or whoever is none. One of a Swarm is the same on all of
/// its nodes, by its name alone: what else its own node knows of it, another one does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Service {
    /// A service of a Compose project, whichever of its containers.
    Compose {
        /// The project.
        project: Option<SafeText>,
        /// The service.
        service: SafeText,
    },
    /// A service of a Swarm, whichever of its tasks on whichever node, and its virtual address.
    Swarm(SafeText),
    /// A container without a service, by its name.
    Container(SafeText),
    /// A container without a service on another node of a swarm, whose name another one here may have. Its address is absent where
    /// all of that name are one.
    Elsewhere(SafeText, Option<IpAddr>),
    /// All containers that a name on a network leads to.
    Alias(Alias),
    /// The host itself.
    Host,
    /// A load balancer of a swarm.
    LoadBalancer,
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
            Some(service) if container.of_swarm => Self::Swarm(service.clone()),
            Some(service) => Self::Compose { project: container.project.clone(), service: service.clone() },
            None => Self::Container(container.name.clone()),
        }
    }

    pub(super) fn of_known(known: &Known) -> Self {
        Self::of_container(known.reference())
    }

    /// Who it is on another node of a swarm, if that was told.
    fn of_swarm(swarm: &SwarmRef) -> Option<Self> {
        let member = &swarm.member;
        match (member.kind, &member.service, &member.name) {
            (SwarmKind::LoadBalancer, ..) => Some(Self::LoadBalancer),
            (SwarmKind::Task | SwarmKind::VirtualIp, Some(service), _) => Some(Self::Swarm(service.clone())),
            (_, _, Some(name)) => Some(Self::Elsewhere(name.clone(), Some(member.address))),
            (_, _, None) => None,
        }
    }

    /// Whether it is made of containers of this host alone, so that it is gone with them.
    #[must_use]
    pub const fn is_of_this_host(&self) -> bool {
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
        if let Some(in_swarm) = end.swarm.as_deref().and_then(Self::of_swarm) {
            return in_swarm;
        }
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
            Self::Alias(alias) => return alias.is_meant(name),
            Self::Compose { service, .. } | Self::Swarm(service) => Some(service),
            Self::Container(own) | Self::Elsewhere(own, _) => Some(own),
            Self::Host | Self::LoadBalancer | Self::Outside(_) | Self::Unknown => None,
        };
        own.is_some_and(|own| own.as_str() == name) || self.to_string() == name
    }

    /// The same without an address: what was told apart by it alone is one.
    #[must_use]
    pub fn without_address(&self) -> Self {
        match self {
            Self::Outside(_) => Self::Outside(None),
            Self::Elsewhere(name, _) => Self::Elsewhere(name.clone(), None),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compose { project: Some(project), service } => write!(to, "{project}/{service}"),
            Self::Compose { project: None, service } | Self::Swarm(service) => service.fmt(to),
            Self::Container(name) => name.fmt(to),
            // No container's name has brackets.
            Self::Elsewhere(name, Some(address)) => write!(to, "{name}({address})"),
            Self::Elsewhere(name, None) => write!(to, "{name}(swarm)"),
            Self::Alias(alias) => alias.fmt(to),
            Self::Host => to.write_str("host"),
            Self::LoadBalancer => to.write_str("load-balancer"),
            Self::Outside(Some(address)) => address.fmt(to),
            Self::Outside(None) => to.write_str("outside"),
            Self::Unknown => to.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Service;
    use crate::model::SwarmKind;
    use crate::snapshot::ContainerRef;
    use crate::wire::fixtures;

    #[test]
    fn a_service_of_a_swarm_is_the_same_on_all_nodes() {
        let here = ContainerRef { of_swarm: true, ..(*fixtures::container("x", Some("shop_web"))).clone() };
        let (task, port) = (fixtures::task_end("10.0.1.8", Some(80)), Some(80));
        let virtual_ip =
            fixtures::swarm_end(SwarmKind::VirtualIp, Some("shop_web"), None, None, "10.0.1.6", port);
        let of_all =
            [Service::of_container(&here), Service::of_server(&task), Service::of_client(&virtual_ip)];
        assert!(of_all.iter().all(|service| *service == of_all[0]), "{of_all:?}");
        assert!(of_all[0].is_called("shop_web") && of_all[0].to_string() == "shop_web");
        let of_compose = Service::of_container(&fixtures::container("x", Some("shop_web")));
        assert_ne!(of_compose, of_all[0], "another project's may be called so");
    }

    #[test]
    fn who_is_elsewhere_is_never_taken_for_a_container_of_that_name_here() {
        let one = |kind, name, address| fixtures::swarm_end(kind, None, name, None, address, Some(80));
        let told = [
            one(SwarmKind::Container, Some("web"), "10.0.1.8"),
            one(SwarmKind::Container, Some("web"), "10.0.1.9"),
            one(SwarmKind::LoadBalancer, None, "10.0.1.3"),
            one(SwarmKind::Task, None, "10.0.1.4"),
        ]
        .map(|end| Service::of_server(&end));
        let names = told.each_ref().map(ToString::to_string);
        assert_eq!(names, ["web(10.0.1.8)", "web(10.0.1.9)", "load-balancer", "10.0.1.4"]);
        assert!(told[0].is_called("web") && told[0] != told[1]);
        assert_eq!(told[0].without_address(), told[1].without_address());
        assert_eq!(told[0].without_address().to_string(), "web(swarm)");
    }
}
