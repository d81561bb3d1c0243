//! What ends of conversations are called on a screen.

use crate::snapshot::{ContainerRow, End, EndKind, Peer, Replica, UnattributedRow};
use std::net::IpAddr;

/// An end without its port: a container's name, or what it is and its address.
pub(crate) fn end(end: &End) -> String {
    if let Some(swarm) = &end.swarm {
        return swarm.to_string();
    }
    match (&end.container, end.kind) {
        (Some(container), _) => container.name.to_string(),
        (None, EndKind::Host) => format!("host({})", end.address),
        (None, EndKind::Multicast) => format!("multicast({})", end.address),
        (None, EndKind::Unknown) => format!("unknown({})", end.address),
        (None, EndKind::External) => format!("external({})", end.address),
        (None, EndKind::Container) => end.address.to_string(),
    }
}

/// One of those that are a service together.
pub(super) fn replica(replica: &Replica) -> String {
    match replica {
        Replica::Here(container) => container.name.to_string(),
        Replica::Elsewhere(swarm) => swarm.to_string(),
    }
}

/// An end with its port, where it has one.
pub(crate) fn end_and_port(which: &End) -> String {
    match (which.port, which.address, which.container.is_some(), which.kind) {
        (None, ..) => end(which),
        (Some(port), IpAddr::V6(address), false, EndKind::Container) => format!("[{address}]:{port}"),
        (Some(port), ..) => format!("{}:{port}", end(which)),
    }
}

/// A container's peer: `→ name:port` where the container asks, `← name` where it is asked.
pub(crate) fn peer(peer: &Peer) -> String {
    match peer.end.port {
        Some(_) => format!("→ {}", end_and_port(&peer.end)),
        None => format!("← {}", end(&peer.end)),
    }
}

/// A container's networks.
pub(super) fn networks(row: &ContainerRow) -> Vec<&str> {
    row.memberships.iter().map(|membership| membership.network.name.as_str()).collect()
}

/// What stands for a container whose name is not known: its interface, in brackets, which no container name has.
pub(crate) fn interface(row: &UnattributedRow) -> String {
    format!("[{}]", row.observed_at.interface)
}

/// A name that may be absent.
pub(crate) fn or_dash(name: Option<&crate::model::SafeText>) -> String {
    name.map_or_else(|| "-".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::{end_and_port, peer};
    use crate::model::SwarmKind;
    use crate::snapshot::EndKind;
    use crate::wire::fixtures;

    #[test]
    fn an_end_is_called_by_its_best_name() {
        let in_swarm = |kind, service, name| fixtures::swarm_end(kind, service, name, None, "10.0.1.9", None);
        for (end, expected) in [
            (fixtures::container_end("web", "172.18.0.2", Some(80)), "web:80"),
            (fixtures::end(EndKind::Host, "172.18.0.1", None), "host(172.18.0.1)"),
            (fixtures::end(EndKind::Host, "172.18.0.1", Some(22)), "host(172.18.0.1):22"),
            (fixtures::end(EndKind::External, "2001:db8::1", Some(443)), "external(2001:db8::1):443"),
            (fixtures::end(EndKind::External, "203.0.113.9", None), "external(203.0.113.9)"),
            (fixtures::end(EndKind::Multicast, "ff02::fb", Some(5353)), "multicast(ff02::fb):5353"),
            (fixtures::end(EndKind::Unknown, "10.0.0.9", None), "unknown(10.0.0.9)"),
            (fixtures::task_end("10.0.1.8", Some(80)), "shop_web.3(10.0.1.8):80"),
            (in_swarm(SwarmKind::Container, None, Some("one.two")), "one.two(10.0.1.9)"),
            (in_swarm(SwarmKind::VirtualIp, Some("web"), None), "web(virtual 10.0.1.9)"),
            (in_swarm(SwarmKind::LoadBalancer, None, None), "load-balancer(10.0.1.9)"),
            (in_swarm(SwarmKind::Task, Some("web"), None), "swarm(10.0.1.9)"),
        ] {
            assert_eq!(end_and_port(&end), expected);
        }
    }

    #[test]
    fn a_peer_that_is_asked_is_told_from_one_that_asks() {
        let asked = fixtures::peer(fixtures::container_end("db", "172.18.0.3", Some(5432)));
        let asks = fixtures::peer(fixtures::end(EndKind::External, "203.0.113.9", None));
        assert_eq!(
            (peer(&asked), peer(&asks)),
            ("→ db:5432".to_owned(), "← external(203.0.113.9)".to_owned())
        );
    }
}
