//! `container`.

use super::Body;
use super::details::DetailsPart;
use super::parts::{BeforeWatchPart, EndpointPart, HandshakePart, NetworkPart};
use super::time::wall_rfc3339;
use crate::model::{ContainerId, ContainerState, Counts, Mac, SafeText, Traffic};
use crate::snapshot::{ContainerRow, Conversations, Membership, Peer, Snapshot};
use serde::Serialize;
use std::net::IpAddr;

/// A container's identity, and its totals since its interfaces were watched.
#[derive(Serialize)]
pub struct ContainerBody<'a> {
    id: &'a ContainerId,
    name: &'a SafeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a SafeText>,
    state: ContainerState,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    networks: Vec<MembershipPart<'a>>,
    #[serde(flatten)]
    measured: Option<Measured>,
    #[serde(skip_serializing_if = "<[SafeText]>::is_empty")]
    shares_namespace_with: &'a [SafeText],
    watched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_watched_reason: Option<SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<DetailsPart<'a>>,
}

/// What only a watched container has.
#[derive(Serialize)]
struct Measured {
    sent: Counts,
    received: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_watch: Option<BeforeWatchPart>,
    not_recorded: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    unaccounted_bytes: Option<u64>,
    conversations: ConversationsPart,
    /// Packets from or to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

/// Alive now, of every protocol; TCP connections opened by it and to it since the watch began.
#[derive(Serialize)]
struct ConversationsPart {
    alive: u64,
    opened: u64,
    accepted: u64,
}

#[derive(Serialize)]
struct MembershipPart<'a> {
    #[serde(flatten)]
    network: NetworkPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    addresses: &'a [IpAddr],
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ifindex: Option<u32>,
}

/// What fell into the window of a snapshot, for `top`.
#[derive(Serialize)]
struct WindowPart<'a> {
    seconds: f64,
    sent: Counts,
    received: Counts,
    peers: Vec<PeerPart<'a>>,
}

#[derive(Serialize)]
struct PeerPart<'a> {
    peer: EndpointPart<'a>,
    sent: Counts,
    received: Counts,
}

impl Body for ContainerBody<'_> {
    const TYPE: &'static str = "container";
}

impl<'a> ContainerBody<'a> {
    /// Identity and totals of a row of a snapshot.
    #[must_use]
    pub fn new(row: &'a ContainerRow, snapshot: &Snapshot) -> Self {
        let container = &row.container;
        Self {
            id: &container.id,
            name: &container.name,
            image: container.image.as_ref(),
            project: container.project.as_ref(),
            service: container.service.as_ref(),
            state: row.state,
            since: row.started_at.map(wall_rfc3339),
            networks: row.memberships.iter().map(Into::into).collect(),
            measured: was_watched(row).then(|| Measured::of(row, snapshot)),
            shares_namespace_with: &container.shares_namespace_with,
            watched: row.watched,
            not_watched_reason: row.unwatched_reason.as_deref().map(SafeText::new),
            handshake: row.handshake.map(Into::into),
            window: None,
            details: row.details.as_deref().map(Into::into),
        }
    }

    /// The same, and what fell into the snapshot's window; nothing more while there is no window yet.
    #[must_use]
    pub fn with_window(row: &'a ContainerRow, snapshot: &Snapshot) -> Self {
        let window = snapshot.window;
        let part = WindowPart {
            seconds: window.as_secs_f64(),
            sent: row.window.sent,
            received: row.window.received,
            peers: row.peers.iter().map(Into::into).collect(),
        };
        let measured = was_watched(row) && !window.is_zero();
        Self { window: measured.then_some(part), ..Self::new(row, snapshot) }
    }
}

/// Whether the totals mean anything: an interface of it is watched, or was before it stopped.
fn was_watched(row: &ContainerRow) -> bool {
    row.watched || row.totals != Traffic::default()
}

impl Measured {
    fn of(row: &ContainerRow, snapshot: &Snapshot) -> Self {
        let Conversations { alive, opened, accepted } = row.conversations;
        Self {
            sent: row.totals.sent,
            received: row.totals.received,
            before_watch: (!row.is_at_group()).then(|| row.before_watch.into()),
            not_recorded: row.not_recorded,
            unaccounted_bytes: row.unaccounted_bytes,
            conversations: ConversationsPart { alive, opened, accepted },
            dropped: (!snapshot.missing.contains_key("drops")).then_some(row.dropped),
        }
    }
}

impl<'a> From<&'a Membership> for MembershipPart<'a> {
    fn from(membership: &'a Membership) -> Self {
        let first = membership.addresses.iter().find(|address| address.is_ipv4());
        Self {
            network: (&membership.network).into(),
            address: first.or(membership.addresses.first()).copied(),
            addresses: &membership.addresses,
            mac: membership.mac,
            interface: membership.interface.as_ref().map(|(name, _)| name),
            ifindex: membership
                .interface
                .as_ref()
                .map(|(_, ifindex)| *ifindex)
                .filter(|ifindex| *ifindex != 0),
        }
    }
}

impl<'a> From<&'a Peer> for PeerPart<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self { peer: (&peer.end).into(), sent: peer.window.sent, received: peer.window.received }
    }
}
