//! What a row is about: the same row in the next picture, and what Enter opens.

use super::screens::pairs::Between;
use crate::model::{ContainerId, FlowId, InterfaceNumber, NetworkId, Protocol, SafeText};
use crate::snapshot::{End, Identity, NameRow, PairRow};

/// What rows of a list are gathered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// Each container by itself.
    #[default]
    Container,
    /// Containers of one Compose service together.
    Service,
    /// Containers of one Compose project together.
    Project,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A container.
    Container(ContainerId),
    /// A watched interface without a container.
    Interface(InterfaceNumber),
    /// Several containers together: project, and service where they are gathered by it.
    Together(Option<SafeText>, Option<SafeText>),
    /// A flow.
    Flow(FlowId),
    /// A Docker network.
    Network(NetworkId),
    /// Two ends and what they talk about.
    Pair(Box<PairKey>),
    /// Several pairs together.
    PairsTogether(Box<Between>),
    /// What fails between two ends, or between those that are gathered.
    Failure(Box<Between>),
    /// A name that a container asks for.
    Name(Box<NameKey>),
    /// A finding, by its id.
    Finding(u64),
    /// A standing finding, by its id.
    Standing(u64),
    /// A line of losses and health, by its name.
    Health(SafeText),
    /// Who talks to whom, as a matrix of what is gathered.
    Matrix(Group),
}

/// What stays the same of an end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum EndKey {
    /// A container, whatever its address.
    Container(ContainerId),
    /// Any other end.
    Other(Identity),
}

impl EndKey {
    /// Of an end.
    pub(super) fn of(end: &End) -> Self {
        match &end.container {
            Some(container) => Self::Container(container.id.clone()),
            None => Self::Other(end.identity()),
        }
    }
}

/// What stays the same of a name that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameKey {
    container: ContainerId,
    name: SafeText,
    record_type: SafeText,
    forwarded: bool,
}

impl NameKey {
    /// Of a name.
    pub(super) fn of(row: &NameRow) -> Self {
        Self {
            container: row.container.id.clone(),
            name: row.name.clone(),
            record_type: row.record_type.clone(),
            forwarded: row.forwarded,
        }
    }
}

/// What stays the same of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PairKey {
    /// Who asks.
    pub(super) client: EndKey,
    /// Who is asked.
    pub(super) server: EndKey,
    /// The service's port.
    pub(super) port: Option<u16>,
    /// Protocol.
    pub(super) protocol: Protocol,
    /// The network.
    pub(super) network: Option<NetworkId>,
}

impl PairKey {
    /// Of a pair.
    pub(super) fn of(pair: &PairRow) -> Self {
        Self {
            client: EndKey::of(&pair.client),
            server: EndKey::of(&pair.server),
            port: pair.server.port,
            protocol: pair.protocol,
            network: pair.network.as_ref().map(|network| network.id.clone()),
        }
    }
}
