//! The rows of a snapshot.

use super::{ContainerRef, End, NetworkRef, ObservedAt, Percentiles};
use crate::model::{ContainerState, Counts, Mac, SafeText, Traffic, WallTime};
use std::net::IpAddr;
use std::sync::Arc;

/// A container's membership in a network, with the interface it is watched at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The network.
    pub network: NetworkRef,
    /// The container's addresses there.
    pub addresses: Vec<IpAddr>,
    /// Its Ethernet address there.
    pub mac: Option<Mac>,
    /// Host end: name and ifindex; absent while it is not watched.
    pub interface: Option<(SafeText, u32)>,
}

/// Traffic with one peer, for a container's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer; `port` is the service port when the container is the client.
    pub end: End,
    /// Since the watch began.
    pub traffic: Traffic,
    /// In the window.
    pub window: Traffic,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Its peers, busiest in the window first; at most 16.
    pub peers: Vec<Peer>,
}

/// A watched interface whose container is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnattributedRow {
    /// The interface.
    pub observed_at: ObservedAt,
    /// The Docker network of its bridge, if that is known.
    pub network: Option<NetworkRef>,
    /// Why it has no container, by a fixed name (`docker_down`, `not_announced_yet`, `not_a_container`).
    pub reason: &'static str,
    /// Totals since it was watched.
    pub totals: Traffic,
    /// Of the totals, what fell into the window.
    pub window: Traffic,
    /// What crossed before it was watched; only `skbs` and `skb_bytes` are measured.
    pub before_watch: Traffic,
}

/// One bridge that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeRow {
    /// The bridge.
    pub observed_at: ObservedAt,
    /// Its network.
    pub network: Option<NetworkRef>,
    /// What went into the host (`sent`: from containers) and out of it (`received`: to containers).
    pub totals: Traffic,
}
