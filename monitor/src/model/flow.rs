//! Flows as the kernel hands them over.

use super::{Counts, FlowId, InterfaceNumber, KernelTime, Mac};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which way, as the container sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the container.
    Sent,
    /// To the container.
    Received,
}

/// An IP protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMPv6.
    pub const ICMPV6: Self = Self(58);

    /// Its keyword in IANA's list of protocol numbers, lower case; `ip-<number>` for the rest.
    #[must_use]
    pub fn name(self) -> std::borrow::Cow<'static, str> {
        match self.0 {
            1 => "icmp".into(),
            2 => "igmp".into(),
            4 => "ipip".into(),
            6 => "tcp".into(),
            17 => "udp".into(),
            33 => "dccp".into(),
            41 => "ipv6".into(),
            47 => "gre".into(),
            50 => "esp".into(),
            51 => "ah".into(),
            58 => "ipv6-icmp".into(),
            89 => "ospf".into(),
            112 => "vrrp".into(),
            132 => "sctp".into(),
            136 => "udplite".into(),
            number => format!("ip-{number}").into(),
        }
    }
}

/// What tells flows between the same two addresses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowPorts {
    /// Ports of the local and the remote end.
    Ports {
        /// The container's.
        local: u16,
        /// The other end's.
        remote: u16,
    },
    /// ICMP: the echo identifier (0 if none), type and code; an echo reply counts with its request.
    Icmp {
        /// Echo identifier.
        id: u16,
        /// Type of the request.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// A fragment after the first, which has no ports.
    LaterFragment,
    /// A protocol without ports, or a packet whose transport header was cut off.
    None,
}

/// One conversation at one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// Where it was seen.
    pub interface: InterfaceNumber,
    /// The container's end.
    pub local: IpAddr,
    /// The other end.
    pub remote: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Ports, or what stands for them.
    pub ports: FlowPorts,
    /// VLAN id of the outermost tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// TCP flags, as in the header's low eight bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// ACK.
    pub const ACK: u8 = 0x10;

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }
}

impl std::fmt::Display for TcpFlags {
    /// One letter for each flag, in the order `SAPFRUEC`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [
            (0x02, 'S'),
            (0x10, 'A'),
            (0x08, 'P'),
            (0x01, 'F'),
            (0x04, 'R'),
            (0x20, 'U'),
            (0x40, 'E'),
            (0x80, 'C'),
        ] {
            if self.0 & bit != 0 {
                std::fmt::Write::write_char(formatter, letter)?;
            }
        }
        Ok(())
    }
}

/// What one tick saw of a flow's TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpObserved {
    /// Flags of all sent packets, ORed.
    pub sent_flags: TcpFlags,
    /// Flags of all received packets, ORed.
    pub received_flags: TcpFlags,
    /// First SYN without ACK of this tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syn_at: Option<KernelTime>,
    /// First SYN with ACK of this tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syn_ack_at: Option<KernelTime>,
    /// First data of this tick that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_data_at: Option<KernelTime>,
    /// First data of this tick that was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_data_at: Option<KernelTime>,
}

/// Where received packets came from: the ifindex at which they entered the host's network stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `ingress_ifindex`; 0 is the host itself.
    pub ifindex: u32,
    /// Another one, when they came from several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<u32>,
}

/// Who opened a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initiator {
    /// The container's end.
    Local,
    /// The other end.
    Remote,
    /// Cannot be told: the conversation is older than the watch.
    Unknown,
}

/// What one tick saw of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowDelta {
    /// Which flow.
    pub key: FlowKey,
    /// Its number.
    pub flow_id: FlowId,
    /// First packet of this tick.
    pub first_seen: KernelTime,
    /// Last packet of this tick.
    pub last_seen: KernelTime,
    /// Whether this tick has the flow's very first packet.
    pub is_new: bool,
    /// Which way the tick's first packet went.
    pub first_direction: Direction,
    /// What the container's end sent.
    pub sent: Counts,
    /// What it received.
    pub received: Counts,
    /// TCP only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpObserved>,
    /// Where received packets came from; absent if none were received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Source MAC of what was sent; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_mac: Option<Mac>,
    /// Whether sent frames carried several source MACs.
    pub several_source_macs: bool,
    /// cgroup id of the sending socket; absent if the kernel knew none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<u64>,
}
