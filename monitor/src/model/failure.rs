//! Packets that tell of a failure.

use super::{Direction, FlowKey, KernelTime, Origin};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A packet that tells of a failure of a conversation, as it crossed an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureSign {
    /// The conversation that it is about, as a flow of that interface; without a VLAN.
    pub key: FlowKey,
    /// Which way the packet itself went.
    pub direction: Direction,
    /// Where a received one came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When.
    pub at: KernelTime,
    /// What it tells.
    pub told: Told,
}

/// What such a packet tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Somebody says that a packet of the conversation did not arrive: of the end that this is sent to.
    Icmp(IcmpError),
    /// Who sent it has no room to receive: a segment of TCP with a window of 0.
    ZeroWindow,
}

/// An error of ICMP or ICMPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpError {
    /// Who says so, by the source address of the error, which whoever sends it can choose.
    pub sender: IpAddr,
    /// What it says.
    pub kind: IcmpKind,
    /// The MTU beyond which packets do not fit, in bytes, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// How long the packet is said to have been, from its IP header on, in bytes.
    pub length: u32,
}

/// Type and code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IcmpKind {
    /// Whether it is of ICMPv6.
    pub v6: bool,
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
}

impl IcmpKind {
    /// Whether it says that a packet was larger than what the way further on takes.
    #[must_use]
    pub const fn is_too_big(self) -> bool {
        matches!((self.v6, self.kind, self.code), (false, 3, 4) | (true, 2, _))
    }

    /// What it says, by the name that iptables and ip6tables have for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match (self.v6, self.kind, self.code) {
            (false, 3, 0) => "network-unreachable",
            (false, 3, 1) => "host-unreachable",
            (false, 3, 2) => "protocol-unreachable",
            (false, 3, 3) | (true, 1, 4) => "port-unreachable",
            (false, 3, 4) => "fragmentation-needed",
            (false, 3, 5) => "source-route-failed",
            (false, 3, 6) => "network-unknown",
            (false, 3, 7) => "host-unknown",
            (false, 3, 9) => "network-prohibited",
            (false, 3, 10) => "host-prohibited",
            (false, 3, 11) => "TOS-network-unreachable",
            (false, 3, 12) => "TOS-host-unreachable",
            (false, 3, 13) | (true, 1, 1) => "communication-prohibited",
            (false, 3, 14) => "host-precedence-violation",
            (false, 3, 15) => "precedence-cutoff",
            (true, 1, 0) => "no-route",
            (true, 1, 2) => "beyond-scope",
            (true, 1, 3) => "address-unreachable",
            (true, 1, 5) => "failed-policy",
            (true, 1, 6) => "reject-route",
            (false, 3, _) | (true, 1, _) => "destination-unreachable",
            (true, 2, _) => "packet-too-big",
            (false, 11, 0) | (true, 3, 0) => "ttl-zero-during-transit",
            (false, 11, 1) | (true, 3, 1) => "ttl-zero-during-reassembly",
            (false, 11, _) | (true, 3, _) => "time-exceeded",
            (false, 12, _) | (true, 4, _) => "parameter-problem",
            _ => "other",
        }
    }
}
