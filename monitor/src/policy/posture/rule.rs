//! The rules of posture.

use serde::{Deserialize, Serialize};

/// A rule of posture. In the order in which findings of one severity are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PostureRule {
    /// The Docker socket is mounted in a container.
    DockerSocket,
    /// A container may do what reaches beyond it.
    StrongRights,
    /// A container is in the host's network namespace.
    HostMode,
    /// IPv6 networks that the engine may not isolate from each other.
    Ipv6NotIsolated,
    /// A container is on a macvlan or ipvlan network.
    NoHostEnd,
    /// Ports are published on every address of the host.
    PublishedEverywhere,
    /// A container is in another one's network namespace.
    SharedNamespace,
}

impl PostureRule {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DockerSocket,
        Self::StrongRights,
        Self::HostMode,
        Self::Ipv6NotIsolated,
        Self::NoHostEnd,
        Self::PublishedEverywhere,
        Self::SharedNamespace,
    ];

    /// Its name in JSON, on screen and in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DockerSocket => "docker-socket",
            Self::StrongRights => "strong-rights",
            Self::HostMode => "host-mode",
            Self::Ipv6NotIsolated => "ipv6-not-isolated",
            Self::NoHostEnd => "no-host-end",
            Self::PublishedEverywhere => "published-everywhere",
            Self::SharedNamespace => "shared-namespace",
        }
    }

    /// What follows from it, for a person.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::DockerSocket => {
                "who controls Docker's socket, also mounted read-only, controls the host and every container"
            }
            Self::StrongRights => "such rights reach beyond the container that has them",
            Self::HostMode => {
                "no network of Docker isolates it, and it reaches every service of the host and of all containers"
            }
            Self::Ipv6NotIsolated => {
                "before 27, Docker keeps IPv6 networks apart only with ip6tables, which is off unless switched on"
            }
            Self::NoHostEnd => {
                "Docker installs no firewall there, and the host has no end at which its traffic could be watched"
            }
            Self::PublishedEverywhere => {
                "Docker lets them past ufw and firewalld, to whoever reaches the host"
            }
            Self::SharedNamespace => "they share every address and port, also those on localhost",
        }
    }

    /// What to do about it, for a person.
    #[must_use]
    pub const fn todo(self) -> &'static str {
        match self {
            Self::DockerSocket => {
                "take the mount away, or put a proxy between that allows only what is needed"
            }
            Self::StrongRights => "take the rights away, or give it a network of its own",
            Self::HostMode => "give it a network of its own, and publish the ports it needs",
            Self::Ipv6NotIsolated => {
                "switch on ip6tables and experimental in daemon.json, or update Docker to 27 or newer"
            }
            Self::NoHostEnd => "use a bridge network for what is to be kept apart",
            Self::PublishedEverywhere => {
                "publish them at 127.0.0.1 or one other address, or filter in the chain DOCKER-USER"
            }
            Self::SharedNamespace => "give it a network of its own, unless both are one service",
        }
    }
}
