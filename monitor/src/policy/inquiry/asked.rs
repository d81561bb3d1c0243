//! What is asked: two ends, and for what.

use crate::attribution::{End, EndKind};
use crate::model::{ContainerId, Protocol};
use std::net::IpAddr;

/// One end that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedEnd {
    /// A container, by whichever of its addresses.
    Container {
        /// Which.
        id: ContainerId,
        /// The one of its addresses that expectations are about; all of them, if none is said.
        address: Option<IpAddr>,
    },
    /// The host itself.
    Host {
        /// The one of its addresses that expectations are about.
        address: Option<IpAddr>,
    },
    /// Somebody outside.
    Outside {
        /// Who; anybody, if it is not said.
        address: Option<IpAddr>,
    },
    /// An address that no rule knows the owner of: of many, or of a network in which nobody has it.
    Address(IpAddr),
}

impl AskedEnd {
    /// Whether an end of a conversation is this one.
    pub(super) fn is(&self, end: &End) -> bool {
        match self {
            Self::Container { id, .. } => end.container.as_ref().is_some_and(|container| container.id == *id),
            Self::Host { .. } => end.kind == EndKind::Host,
            Self::Outside { address: None } => end.kind == EndKind::External,
            // Before the swarm has told of a task on another node, nobody knows what its address is.
            Self::Outside { address: Some(address) } => {
                matches!(end.kind, EndKind::External | EndKind::Unknown) && *address == end.address
            }
            Self::Address(address) => end.address == *address,
        }
    }

    /// The address that was said.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Container { address, .. } | Self::Host { address } | Self::Outside { address } => *address,
            Self::Address(address) => Some(*address),
        }
    }

    /// The container, if it is one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerId> {
        match self {
            Self::Container { id, .. } => Some(id),
            Self::Host { .. } | Self::Outside { .. } | Self::Address(_) => None,
        }
    }
}

/// What is asked about two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who would open a conversation.
    pub from: AskedEnd,
    /// Who would be asked.
    pub to: AskedEnd,
    /// The protocol; every one, if none is said.
    pub protocol: Option<Protocol>,
    /// The port of `to`; every one, if none is said.
    pub port: Option<u16>,
}

impl Asked {
    /// The protocol that expectations are about.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or(Protocol::TCP)
    }
}
