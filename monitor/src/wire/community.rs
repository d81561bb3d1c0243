//! Community ID, version 1: a name for a conversation that other tools (Zeek, Suricata, …) give it too.
//!
//! `1:` and the base64 of the SHA-1 over: seed (2 bytes, 0), source and destination address, protocol, a zero byte,
//! and for protocols with ports both ports. The smaller end comes first, so both directions have one name. ICMP has
//! type and code in place of the ports, or the types of request and answer where a type has an answer.

use crate::model::{FlowPorts, Protocol};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// ICMP types that ask and the types that answer.
const ICMP_PAIRS: [(u8, u8); 5] = [(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
/// The same for ICMPv6.
const ICMPV6_PAIRS: [(u8, u8); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// The conversation's name. `source` sent the first packet as far as is known; it matters only for ICMP types that
/// have no answer. `None` where the scheme has no name: a later fragment of a protocol with ports.
pub(super) fn community_id(
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    ports: FlowPorts,
    source_is_local: bool,
) -> Option<String> {
    let (ports, one_way) = match ports {
        FlowPorts::Ports { local, remote } if source_is_local => (Some((local, remote)), false),
        FlowPorts::Ports { local, remote } => (Some((remote, local)), false),
        FlowPorts::Icmp { kind, code, .. } => {
            let (ports, one_way) = icmp_ports(protocol, kind, code);
            (Some(ports), one_way)
        }
        FlowPorts::LaterFragment | FlowPorts::None if has_ports(protocol) => return None,
        FlowPorts::LaterFragment | FlowPorts::None => (None, false),
    };
    let (mut first, mut second) =
        ((source, ports.map(|ports| ports.0)), (destination, ports.map(|ports| ports.1)));
    if !one_way && second < first {
        (first, second) = (second, first);
    }
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    for (address, _) in [first, second] {
        match address {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
    }
    hash.update([protocol.0, 0]);
    for port in [first.1, second.1].into_iter().flatten() {
        hash.update(port.to_be_bytes());
    }
    Some(format!("1:{}", STANDARD.encode(hash.finalize())))
}

/// Whether a packet of this protocol without ports is a packet whose ports were not seen.
fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol.0, 1 | 6 | 17 | 58 | 132)
}

/// What stands for the ports of an ICMP conversation, and whether the type has no answer.
fn icmp_ports(protocol: Protocol, kind: u8, code: u8) -> ((u16, u16), bool) {
    let pairs: &[(u8, u8)] = if protocol == Protocol::ICMPV6 { &ICMPV6_PAIRS } else { &ICMP_PAIRS };
    for (ask, answer) in pairs {
        if kind == *ask {
            return ((u16::from(*ask), u16::from(*answer)), false);
        }
        if kind == *answer {
            return ((u16::from(*answer), u16::from(*ask)), false);
        }
    }
    ((u16::from(kind), u16::from(code)), true)
}

#[cfg(test)]
mod tests {
    use super::community_id;
    use crate::model::{FlowPorts, Protocol};

    /// Checks a conversation and its reverse against the scheme's published example.
    fn check(protocol: u8, source: (&str, u16), destination: (&str, u16), expected: &str) {
        let (from, to) = (source.0.parse().unwrap(), destination.0.parse().unwrap());
        let ports = FlowPorts::Ports { local: source.1, remote: destination.1 };
        assert_eq!(community_id(from, to, Protocol(protocol), ports, true).as_deref(), Some(expected));
        assert_eq!(community_id(to, from, Protocol(protocol), ports, false).as_deref(), Some(expected));
    }

    fn check_icmp(protocol: u8, source: &str, destination: &str, kind: u8, code: u8, expected: &str) {
        let (from, to) = (source.parse().unwrap(), destination.parse().unwrap());
        let ports = FlowPorts::Icmp { id: 7, kind, code };
        assert_eq!(community_id(from, to, Protocol(protocol), ports, true).as_deref(), Some(expected));
    }

    #[test]
    fn published_examples_with_ports() {
        check(6, ("128.232.110.120", 34855), ("66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        check(6, ("1.2.3.4", 1122), ("5.6.7.8", 3344), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
        check(17, ("192.168.1.52", 54585), ("8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        check(132, ("192.168.170.8", 7), ("192.168.170.56", 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
    }

    #[test]
    fn published_examples_of_icmp() {
        check_icmp(1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        check_icmp(1, "192.168.0.1", "192.168.0.89", 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        check_icmp(
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            135,
            0,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        );
    }

    #[test]
    fn a_later_fragment_of_tcp_has_no_name_and_a_protocol_without_ports_has_one() {
        let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!(community_id(from, to, Protocol::TCP, FlowPorts::LaterFragment, true), None);
        assert!(community_id(from, to, Protocol(47), FlowPorts::None, true).is_some());
    }
}
