//! The rows of a snapshot.

use super::icmp::IcmpRow;
use super::{ContainerRef, End, EndKind, NetworkRef, ObservedAt, Percentiles, Share, Steps, Verdict};
use crate::model::{
    ContainerState, Counts, Details, KernelTime, Mac, Network, NetworkDriver, Overlay, Protocol, SafeText,
    Traffic, WallTime, Word, word,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::AddAssign;
use std::sync::Arc;

/// A container's membership in a network, with the interface it is watched at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The network.
    pub network: NetworkRef,
    /// The container's addresses there.
    pub addresses: Vec<IpAddr>,
    /// Its Ethernet address there.
    pub mac: Option<Mac>,
    /// Host end: name and ifindex; absent while it is not watched. What has no end on the host (a
    /// control group, a device in a namespace) has the ifindex 0.
    pub interface: Option<(SafeText, u32)>,
}

/// Traffic with one peer, for a container's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The peer; `port` is the service port when the container is the client.
    pub end: End,
    /// Since the watch began.
    pub traffic: Traffic,
    /// In the window.
    pub window: Traffic,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRow {
    /// Who.
    pub container: Arc<ContainerRef>,
    /// Its state.
    pub state: ContainerState,
    /// When it was started.
    pub started_at: Option<WallTime>,
    /// Its networks and interfaces.
    pub memberships: Vec<Membership>,
    /// Totals since its interfaces were watched (the sum over them, gone ones included).
    pub totals: Traffic,
    /// Of the totals, what fell into the window.
    pub window: Traffic,
    /// What crossed its interfaces before they were watched. The device counts skbs only: `packets` and `bytes` are
    /// not measured and stay 0; do not show them.
    pub before_watch: Traffic,
    /// What is in the totals but in no flow, because the flow map was full.
    pub not_recorded: Counts,
    /// Bytes by which our totals and the device's counters differ outside the bracket of the two readings; 0 is
    /// exact. Absent when the device could not be read.
    pub unaccounted_bytes: Option<u64>,
    /// Whether any of its interfaces is watched.
    pub watched: bool,
    /// Why nothing of it is watched (host mode, no network, another driver, …).
    pub unwatched_reason: Option<String>,
    /// How long the TCP connections it opened took to be answered; absent when none were seen.
    pub handshake: Option<Percentiles>,
    /// The same, counted by fixed steps; absent when none were seen.
    pub handshake_steps: Option<Steps>,
    /// Its peers, busiest in the window first; at most 16.
    pub peers: Vec<Peer>,
    /// Its conversations.
    pub conversations: Conversations,
    /// Packets that the kernel dropped on their way from or to this container; not measured where drops are not
    /// watched (`drops` in [`Snapshot::missing`](super::Snapshot::missing)).
    pub dropped: u64,
    /// What else Docker tells of it; absent until it was inspected.
    pub details: Option<Arc<Details>>,
}

impl ContainerRow {
    /// Whether it is watched at its control group, where nobody knows what passed before, and frames have no header.
    #[must_use]
    pub fn is_at_group(&self) -> bool {
        let on_host = |at: &Membership| at.network.driver == NetworkDriver::Host;
        self.memberships.iter().any(|at| on_host(at) && at.interface.is_some())
    }
}

/// How many conversations a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversations {
    /// Alive now, of every protocol.
    pub alive: u64,
    /// TCP connections it opened since the watch began.
    pub opened: u64,
    /// TCP connections that were opened to it since the watch began.
    pub accepted: u64,
}

/// Where traffic of a network's containers goes. Sent is what the containers sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Between containers of the network, counted once, at the sender.
    pub inside: Counts,
    /// With the host itself.
    pub host: Traffic,
    /// With what is outside of the host.
    pub outside: Traffic,
    /// With containers of other networks.
    pub networks: Traffic,
    /// With what cannot be told, and multicast.
    pub other: Traffic,
}

impl Reach {
    /// What came on top of an earlier state of the same.
    #[must_use]
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            inside: self.inside.since(&before.inside).unwrap_or_default(),
            host: self.host.since(&before.host).unwrap_or_default(),
            outside: self.outside.since(&before.outside).unwrap_or_default(),
            networks: self.networks.since(&before.networks).unwrap_or_default(),
            other: self.other.since(&before.other).unwrap_or_default(),
        }
    }

    /// Bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let Self { inside, host, outside, networks, other } = self;
        let both = [host, outside, networks, other].map(|it| it.sent.bytes.saturating_add(it.received.bytes));
        both.into_iter().fold(inside.bytes, u64::saturating_add)
    }
}

impl AddAssign for Reach {
    fn add_assign(&mut self, other: Self) {
        self.inside += other.inside;
        self.host += other.host;
        self.outside += other.outside;
        self.networks += other.networks;
        self.other += other.other;
    }
}

/// How a Docker network was made, as far as its row says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkTraits {
    /// Its subnets.
    pub subnets: Vec<(IpAddr, u8)>,
    /// Whether it is `--internal`.
    pub internal: bool,
    /// What else there is to an overlay network.
    pub overlay: Option<Overlay>,
}

impl NetworkTraits {
    /// What Docker told of a network.
    pub(super) fn of(network: &Network) -> Self {
        let Network { subnets, internal, overlay, .. } = network;
        Self { subnets: subnets.clone(), internal: *internal, overlay: overlay.clone() }
    }

    /// What of this is kept of a time that is over: all but the nodes of an overlay network, which come and go, and of which
    /// there may be many.
    pub(super) fn lasting(network: &Network) -> Self {
        let Network { subnets, internal, overlay, .. } = network;
        let overlay = overlay.as_ref().map(|overlay| Overlay {
            vxlan_ids: overlay.vxlan_ids.clone(),
            encrypted: overlay.encrypted,
            ingress: overlay.ingress,
            nodes: Vec::new(),
        });
        Self { subnets: subnets.clone(), internal: *internal, overlay }
    }

    /// Memory they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_overlay = |overlay: &Overlay| {
            overlay.vxlan_ids.capacity() * size_of::<u32>() + overlay.nodes.capacity() * size_of::<IpAddr>()
        };
        size_of::<Self>()
            + self.subnets.capacity() * size_of::<(IpAddr, u8)>()
            + self.overlay.as_ref().map_or(0, of_overlay)
    }
}

/// One Docker network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRow {
    /// The network.
    pub network: NetworkRef,
    /// How it was made, as it was known last; absent in a look back where that was not known while it was there.
    pub traits: Option<Arc<NetworkTraits>>,
    /// Its running containers, by name.
    pub members: Vec<Arc<ContainerRef>>,
    /// How many interfaces of it are watched.
    pub interfaces_watched: usize,
    /// By the flows that were seen at its interfaces, since the watch began.
    pub totals: Reach,
    /// Of the totals, what fell into the window.
    pub window: Reach,
    /// Open findings of kind crossing or violation with an end on it.
    pub crossings: usize,
}

impl NetworkRow {
    /// Whether its traffic was measured: an interface of it is watched, or was and had some.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.interfaces_watched > 0 || self.totals != Reach::default()
    }

    /// Its subnets; none where they are not known.
    #[must_use]
    pub fn subnets(&self) -> &[(IpAddr, u8)] {
        self.traits.as_ref().map_or(&[], |traits| &traits.subnets)
    }

    /// Whether it is known to be `--internal`.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.traits.as_ref().is_some_and(|traits| traits.internal)
    }

    /// What else there is to an overlay network.
    #[must_use]
    pub fn overlay(&self) -> Option<&Overlay> {
        self.traits.as_ref()?.overlay.as_ref()
    }
}

/// Who talks to whom: all conversations between two ends about one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRow {
    /// Who opens them; without a port.
    pub client: End,
    /// Who is asked; its port is the service's. Without a port where nobody can tell who opened them, or where the
    /// protocol has none.
    pub server: End,
    /// Protocol.
    pub protocol: Protocol,
    /// The Docker network they were seen on.
    pub network: Option<NetworkRef>,
    /// What the client sent and received since the watch began, each counted at its sender where that is watched.
    pub traffic: Traffic,
    /// Of it, what fell into the window.
    pub window: Traffic,
    /// Conversations that were opened since the watch began.
    pub conversations: u64,
    /// How its TCP connections went.
    pub answers: Answers,
    /// Of all this, what the client came to by which name: empty unless the server shares names with others.
    pub shares: Vec<Share>,
    /// What its TCP connections sent again.
    pub retransmits: Retransmits,
    /// Segments of its TCP connections that said that there is no room for more.
    pub zero_windows: ZeroWindows,
    /// Errors of ICMP about its packets; at most eight different ones.
    pub icmp: Vec<IcmpRow>,
    /// How long its TCP connections took to be answered.
    pub handshake: Option<Percentiles>,
    /// What is expected of the latest of them, and what became of it.
    pub verdict: Option<Verdict>,
    /// The last packet.
    pub last_seen: KernelTime,
    /// Where it was seen, and what arrived there: of a time that is over, since nobody asks that of now.
    #[serde(default, skip_serializing_if = "Hooks::is_nothing")]
    pub hooks: Hooks,
}

/// At which interfaces a pair was seen. What left them is its traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// The client's and the server's interface, as far as they are watched.
    pub devices: [Option<SafeText>; 2],
    /// Packets that arrived at the server's.
    pub delivered: u64,
    /// Packets that arrived at the client's.
    pub came_back: u64,
}

impl Hooks {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl PairRow {
    /// Segments that the client's and the server's end sent again. Absent for an end whose sockets are not on this host, and for
    /// one in the host's namespace that does not speak to a container elsewhere.
    #[must_use]
    pub fn sent_again(&self) -> [Option<u64>; 2] {
        let Retransmits { by_client, by_server } = self.retransmits;
        let has_own_namespace = |end: &End| {
            let container = end.container.as_ref().filter(|_| end.kind == EndKind::Container);
            container.is_some_and(|it| !it.is_on_host_network())
        };
        let ends = [(&self.client, &self.server, by_client), (&self.server, &self.client, by_server)];
        ends.map(|(end, other, segments)| {
            let is_local = matches!(end.kind, EndKind::Container | EndKind::Host);
            let is_seen = has_own_namespace(end) || (is_local && has_own_namespace(other));
            (is_seen && self.protocol == Protocol::TCP).then_some(segments)
        })
    }
}

/// How TCP connections went, since the watch began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// A SYN-ACK came.
    pub answered: u64,
    /// A reset came in its place.
    pub refused: u64,
    /// A reset of either end came later.
    pub reset: u64,
    /// Of those, reset by the end that had opened it. Where both sent one in a tick, it is in neither.
    pub reset_by_client: u64,
    /// Of those, reset by the end that was asked.
    pub reset_by_server: u64,
    /// Of those that were answered, those whose opener acknowledged nothing for three seconds, or until it was over.
    pub half_open: u64,
    /// Nothing came any more from the end that had opened it, while the other sent for five seconds.
    pub silent_client: u64,
    /// Nothing came any more from the end that was asked.
    pub silent_server: u64,
}

/// Segments of TCP with a window of 0, since the watch began: their sender has no room for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZeroWindows {
    /// The end that had opened the connection sent them.
    pub by_client: u64,
    /// The end that was asked sent them.
    pub by_server: u64,
}

impl ZeroWindows {
    /// Of both ends.
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.by_client.saturating_add(self.by_server)
    }

    /// What came on top of an earlier state of the same.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            by_client: self.by_client.saturating_sub(before.by_client),
            by_server: self.by_server.saturating_sub(before.by_server),
        }
    }
}

impl AddAssign for ZeroWindows {
    fn add_assign(&mut self, other: Self) {
        self.by_client += other.by_client;
        self.by_server += other.by_server;
    }
}

/// Segments that TCP connections sent again since the watch began, as the kernel counts them in `TcpRetransSegs`: those of
/// sockets on this host alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmits {
    /// The end that had opened the connection sent them.
    pub by_client: u64,
    /// The end that was asked sent them.
    pub by_server: u64,
}

impl Retransmits {
    /// What came on top of an earlier state of the same.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            by_client: self.by_client.saturating_sub(before.by_client),
            by_server: self.by_server.saturating_sub(before.by_server),
        }
    }
}

impl AddAssign for Retransmits {
    fn add_assign(&mut self, other: Self) {
        self.by_client += other.by_client;
        self.by_server += other.by_server;
    }
}

impl Answers {
    /// What came on top of an earlier state of the same.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            answered: self.answered.saturating_sub(before.answered),
            refused: self.refused.saturating_sub(before.refused),
            reset: self.reset.saturating_sub(before.reset),
            reset_by_client: self.reset_by_client.saturating_sub(before.reset_by_client),
            reset_by_server: self.reset_by_server.saturating_sub(before.reset_by_server),
            half_open: self.half_open.saturating_sub(before.half_open),
            silent_client: self.silent_client.saturating_sub(before.silent_client),
            silent_server: self.silent_server.saturating_sub(before.silent_server),
        }
    }
}

impl AddAssign for Answers {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.reset += other.reset;
        self.reset_by_client += other.reset_by_client;
        self.reset_by_server += other.reset_by_server;
        self.half_open += other.half_open;
        self.silent_client += other.silent_client;
        self.silent_server += other.silent_server;
    }
}

/// A watched interface whose container is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnattributedRow {
    /// The interface.
    pub observed_at: ObservedAt,
    /// The Docker network of its bridge, if that is known.
    pub network: Option<NetworkRef>,
    /// Why it has no container, by a fixed name (`docker_down`, `not_announced_yet`, `not_a_container`).
    #[serde(deserialize_with = "word::read")]
    pub reason: Word,
    /// Totals since it was watched.
    pub totals: Traffic,
    /// Of the totals, what fell into the window.
    pub window: Traffic,
    /// What crossed before it was watched; only `skbs` and `skb_bytes` are measured.
    pub before_watch: Traffic,
}

/// One bridge that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeRow {
    /// The bridge.
    pub observed_at: ObservedAt,
    /// Its network.
    pub network: Option<NetworkRef>,
    /// What went into the host (`sent`: from containers) and out of it (`received`: to containers).
    pub totals: Traffic,
}
