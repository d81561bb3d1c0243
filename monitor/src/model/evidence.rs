//! What the collector sees beside flows: drops, translations, and who claims which address.

use super::{FlowKey, FlowPorts, InterfaceNumber, KernelTime, Mac, Protocol, SafeText};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Packets of one conversation that the kernel dropped in one tick, for one reason, at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// The source in the packet when it was dropped, which may be after a translation.
    pub source: IpAddr,
    /// Its destination then.
    pub destination: IpAddr,
    /// Its protocol.
    pub protocol: Protocol,
    /// The smaller of its two ports, which is the service's as a rule: the initiator's own would make an entry of
    /// every connection. `None` for protocols without ports and for later fragments.
    pub port: Option<u16>,
    /// The kernel's name of the reason, without `SKB_DROP_REASON_`; `REASON_n` for one it has no name for.
    pub reason: SafeText,
    /// ifindex of the device the packet was at; 0 if there was none.
    pub device: u32,
    /// ifindex at which it entered the host's stack; 0 for the host's own.
    pub ingress: u32,
    /// How many.
    pub packets: u64,
    /// Their bytes from the network header on.
    pub bytes: u64,
    /// The first.
    pub first_seen: KernelTime,
    /// The last.
    pub last_seen: KernelTime,
}

/// One tick's drops. Told before the last flows of the same generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropBatch {
    /// The generation, as in [`super::FlowBatch`].
    pub epoch: u64,
    /// The drops.
    pub drops: Vec<Drop>,
}

/// Whether drops are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropWatch {
    /// They are.
    Watched,
    /// They are not, and why: that no drop is told proves nothing then.
    Off(SafeText),
}

/// Segments of one TCP connection that one of its ends sent again in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmit {
    /// Number of the network namespace of the socket that sent them; absent for the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<u32>,
    /// The end that sent them.
    pub local: SocketAddr,
    /// The other end, as the socket has it.
    pub remote: SocketAddr,
    /// How many, as the kernel counts them in `TcpRetransSegs`.
    pub segments: u64,
    /// The last.
    pub last_seen: KernelTime,
}

/// Whether programs and maps are pinned, so that they go on counting without the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinWatch {
    /// They are.
    Pinned,
    /// They are not, and why: what crosses while there is no agent is not counted.
    Off(SafeText),
}

/// Both ends of a packet of one direction, as conntrack has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Source and destination port; for ICMP the echo identifier twice; (0, 0) for protocols without ports.
    pub ports: (u16, u16),
}

impl FlowKey {
    /// What conntrack calls the direction that the flow's container sends.
    #[must_use]
    pub fn tuple(&self) -> Tuple {
        let ports = match self.ports {
            FlowPorts::Ports { local, remote } => (local, remote),
            FlowPorts::Icmp { id, .. } => (id, id),
            FlowPorts::LaterFragment | FlowPorts::None => (0, 0),
        };
        Tuple { source: self.local, destination: self.remote, protocol: self.protocol, ports }
    }
}

/// A conversation whose addresses or ports the host changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Translation {
    /// What the initiator sends.
    pub original: Tuple,
    /// What the other end answers: its source is the real destination, its destination what that end takes for the
    /// initiator.
    pub reply: Tuple,
}

/// What became of a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranslationChange {
    /// It is there.
    Known(Translation),
    /// It is gone.
    Gone(Translation),
}

/// How translations are learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conntrack {
    /// By events, after a dump.
    Watched,
    /// Events were lost; it was dumped anew.
    Overrun,
    /// Not to be had, and why.
    Off(SafeText),
}

/// How an address is claimed on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Sender of an ARP packet.
    Arp,
    /// Target of a neighbour advertisement.
    NeighbourAdvertisement,
    /// Source of a router advertisement.
    RouterAdvertisement,
}

/// What one interface's end claimed in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Where it was sent.
    pub interface: InterfaceNumber,
    /// How.
    pub kind: ClaimKind,
    /// The address that was claimed.
    pub address: IpAddr,
    /// The Ethernet address it is said to be at; all zero if the packet does not say.
    pub mac: Mac,
    /// How often.
    pub packets: u64,
    /// The first.
    pub first_seen: KernelTime,
    /// The last.
    pub last_seen: KernelTime,
}
