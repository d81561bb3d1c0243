//! What the views see: an immutable picture of everything, and the records that stream past it.
//!
//! These types name both ends; nothing above them asks the inventory. A [`Snapshot`] is shared as
//! `Arc<Snapshot>`; a [`Record`] goes to each subscriber's own bounded queue.

use crate::model::{
    AttachMode, ContainerId, ContainerState, Counts, Direction, DockerState, FlowId, FlowPorts, HostId,
    Initiator, InterfaceKind, InterfaceNumber, KernelTime, Losses, Mac, NetworkDriver, NetworkId, NotWatched,
    Protocol, Resources, SafeText, TcpFlags, Traffic, WallTime,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A Docker network, as far as an endpoint needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRef {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: SafeText,
    /// Its driver.
    pub driver: NetworkDriver,
}

/// A container, as far as an endpoint needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// Its full id.
    pub id: ContainerId,
    /// Its name.
    pub name: SafeText,
    /// Its image.
    pub image: Option<SafeText>,
    /// Compose project.
    pub project: Option<SafeText>,
    /// Compose service.
    pub service: Option<SafeText>,
    /// The networks it is on.
    pub networks: Vec<NetworkRef>,
    /// Names of the containers in the same network namespace.
    pub shares_namespace_with: Vec<SafeText>,
}

/// What kind of peer an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndKind {
    /// A container of this host.
    Container,
    /// The host itself: its addresses, its processes, docker-proxy, a host-mode container.
    Host,
    /// Outside this host.
    External,
    /// A multicast or broadcast address.
    Multicast,
    /// Cannot be told.
    Unknown,
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What it is.
    pub kind: EndKind,
    /// Its address in the flow.
    pub address: IpAddr,
    /// Its port, for protocols with ports.
    pub port: Option<u16>,
    /// The container, when `kind` says so.
    pub container: Option<Arc<ContainerRef>>,
    /// Why it cannot be told, when `kind` is unknown.
    pub reason: Option<&'static str>,
}

/// Where a flow was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedAt {
    /// Kind of device.
    pub kind: InterfaceKind,
    /// The agent's number of it.
    pub number: InterfaceNumber,
    /// Its name.
    pub interface: SafeText,
    /// Its ifindex.
    pub ifindex: u32,
}

/// What the origin interface of received packets is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OriginKind {
    /// A container's veth: the sender's, or a routing container's.
    Veth,
    /// A bridge: routed from another network.
    Bridge,
    /// The host itself, docker-proxy, or a host-mode container.
    Host,
    /// Any other device that has an address of the host: outside.
    Uplink,
    /// Another device.
    Other,
}

/// Where received packets entered the host's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginEnd {
    /// What it is.
    pub kind: OriginKind,
    /// The device's name; absent for the host itself.
    pub interface: Option<SafeText>,
    /// Name of the container behind a veth.
    pub container: Option<SafeText>,
    /// Whether other packets of the flow had another origin.
    pub several: bool,
}

/// State of a TCP connection, as far as its flags tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// A SYN was seen, no answer yet.
    SynSent,
    /// SYN and SYN-ACK were seen, no ACK yet.
    SynReceived,
    /// Established: the handshake was seen to end, or traffic flows on a connection older than the watch.
    Established,
    /// One end has sent FIN.
    Closing,
    /// Both ends have sent FIN.
    Closed,
    /// Reset.
    Reset,
    /// A SYN was answered by a reset: nobody listens there, or something refuses in its name.
    Refused,
}

/// What is known of a flow's TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Flags of all sent packets of this tick, ORed.
    pub sent_flags: TcpFlags,
    /// Flags of all received packets of this tick, ORed.
    pub received_flags: TcpFlags,
    /// State after this tick.
    pub state: TcpState,
    /// From the first SYN to the first SYN-ACK at this interface; told once, in the tick that completed it.
    pub handshake: Option<Duration>,
}

/// One tick of one flow, both ends named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Number of the flow.
    pub flow_id: FlowId,
    /// Number of the generation it was drained with.
    pub epoch: u64,
    /// The tick's start.
    pub tick_start: KernelTime,
    /// The tick's end.
    pub tick_end: KernelTime,
    /// The flow's first packet.
    pub first_seen: KernelTime,
    /// The tick's last packet.
    pub last_seen: KernelTime,
    /// Whether the flow is over (closed, reset, or idle too long): no record of it follows.
    pub last: bool,
    /// Where it was seen.
    pub observed_at: ObservedAt,
    /// The Docker network of that interface; absent while it is not known.
    pub network: Option<NetworkRef>,
    /// Who opened it.
    pub initiator: Initiator,
    /// Protocol.
    pub protocol: Protocol,
    /// Ports, or what stands for them.
    pub ports: FlowPorts,
    /// VLAN id of the outermost tag.
    pub vlan: Option<u16>,
    /// The container's end.
    pub local: End,
    /// The other end.
    pub remote: End,
    /// What the container's end sent in this tick.
    pub sent: Counts,
    /// What it received in this tick.
    pub received: Counts,
    /// Where received packets came from.
    pub origin: Option<OriginEnd>,
    /// TCP only.
    pub tcp: Option<Tcp>,
    /// Whether sent frames carried several source MACs.
    pub several_source_macs: bool,
}

/// A sampled packet, tied to its flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRecord {
    /// When.
    pub at: KernelTime,
    /// Its flow.
    pub flow_id: Option<FlowId>,
    /// Where it was seen.
    pub observed_at: ObservedAt,
    /// Which way.
    pub direction: Direction,
    /// The container behind the interface, once known.
    pub container: Option<SafeText>,
    /// Length in bytes, Ethernet header included.
    pub length: u32,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// What streams past the views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// One tick of one flow.
    Flow(Arc<FlowRecord>),
    /// A sampled packet.
    Sample(Arc<SampleRecord>),
    /// Records that this subscriber lost because it was slow, since it subscribed.
    Lost(u64),
}

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
    /// What crossed its interfaces before they were watched.
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
    /// What crossed before it was watched.
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

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The host.
    pub host: HostId,
    /// When, on the kernel's clock.
    pub taken_at: KernelTime,
    /// The window that `window` fields are about; zero until two readings exist.
    pub window: Duration,
    /// Since when the agent watches.
    pub watching_since: KernelTime,
    /// Docker's state.
    pub docker: DockerState,
    /// Running containers, and stopped ones that still have traffic in the window; busiest first.
    pub containers: Vec<ContainerRow>,
    /// Watched interfaces without a container.
    pub unattributed: Vec<UnattributedRow>,
    /// Watched bridges.
    pub bridges: Vec<BridgeRow>,
    /// Devices that should be watched and are not.
    pub not_watched: Vec<NotWatched>,
    /// How the programs are attached; absent until one is.
    pub attach_mode: Option<AttachMode>,
    /// Interfaces watched now.
    pub interfaces_watched: usize,
    /// Flows the engine keeps now.
    pub flows_kept: usize,
    /// Losses since the start.
    pub losses: Losses,
    /// How full the maps are.
    pub resources: Resources,
}
