//! Ends of a conversation as they are typed: `web`, `172.18.0.2`, `host`, `db:5432/tcp`, `[fd00::2]:53/udp`.

use crate::model::Protocol;
use std::net::IpAddr;
use std::str::FromStr;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The container with this name or id.
    Container(String),
    /// Whoever has this address.
    Address(IpAddr),
    /// The host itself.
    Host,
    /// Somebody outside, whatever the address.
    Outside,
}

/// Who is asked, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who.
    pub who: Who,
    /// The port.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: Protocol,
}

/// Who is asked, and perhaps for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Who.
    pub who: Who,
    /// The port; every one, if none is typed.
    pub port: Option<u16>,
    /// The protocol; TCP for a port without one, else every one.
    pub protocol: Option<Protocol>,
}

/// Why a text is no end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEnd {
    /// No name.
    #[error("an end is a container's name or id, an address, host, or outside")]
    Nobody,
    /// The source has a port.
    #[error("the source is written without a port; rules ask for the destination's")]
    PortOfSource,
    /// No port and no protocol that does without.
    #[error(
        "say for what: a port and protocol such as db:5432/tcp, or a protocol without ports such as db/icmp"
    )]
    ForWhat,
    /// A port for a protocol that has none.
    #[error("that protocol has no ports")]
    NoPorts,
    /// No such protocol.
    #[error("a protocol is tcp, udp, icmp, icmpv6, sctp or a number from 0 to 255")]
    Protocol,
}

impl FromStr for Who {
    type Err = NotAnEnd;

    fn from_str(text: &str) -> Result<Self, NotAnEnd> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        match text {
            "" => Err(NotAnEnd::Nobody),
            "host" => Ok(Self::Host),
            "outside" | "external" => Ok(Self::Outside),
            _ if text.contains([':', '/']) => Err(NotAnEnd::PortOfSource),
            name => Ok(Self::Container(name.to_owned())),
        }
    }
}

impl FromStr for Target {
    type Err = NotAnEnd;

    fn from_str(text: &str) -> Result<Self, NotAnEnd> {
        let Wanted { who, port, protocol } = text.parse()?;
        let protocol = protocol.unwrap_or(Protocol::TCP);
        let for_what = port.is_some() || !has_ports(protocol);
        if for_what { Ok(Self { who, port, protocol }) } else { Err(NotAnEnd::ForWhat) }
    }
}

impl FromStr for Wanted {
    type Err = NotAnEnd;

    fn from_str(text: &str) -> Result<Self, NotAnEnd> {
        let (end, typed) = match text.rsplit_once('/') {
            Some((end, name)) => (end, Some(protocol(name)?)),
            None => (text, None),
        };
        let (who, port) = match end.rsplit_once(':') {
            // A bare IPv6 address ends in digits as well.
            Some((who, port)) if end.parse::<IpAddr>().is_err() => {
                (who, Some(port.parse::<u16>().map_err(|_| NotAnEnd::ForWhat)?))
            }
            _ => (end, None),
        };
        let who = who.parse().map_err(|_| NotAnEnd::Nobody)?;
        let protocol = typed.or_else(|| port.map(|_| Protocol::TCP));
        if port.is_some() && protocol.is_some_and(|protocol| !has_ports(protocol)) {
            return Err(NotAnEnd::NoPorts);
        }
        Ok(Self { who, port, protocol })
    }
}

fn protocol(name: &str) -> Result<Protocol, NotAnEnd> {
    match name {
        "tcp" => Ok(Protocol::TCP),
        "udp" => Ok(Protocol::UDP),
        "icmp" => Ok(Protocol::ICMP),
        "icmpv6" | "ipv6-icmp" => Ok(Protocol::ICMPV6),
        "sctp" => Ok(Protocol(132)),
        number => number.parse().map(Protocol).map_err(|_| NotAnEnd::Protocol),
    }
}

/// TCP, UDP, DCCP, SCTP and UDP-Lite.
fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol.0, 6 | 17 | 33 | 132 | 136)
}

#[cfg(test)]
mod tests {
    use super::{NotAnEnd, Target, Wanted, Who};
    use crate::model::Protocol;

    fn named(name: &str) -> Who {
        Who::Container(name.to_owned())
    }

    fn address(text: &str) -> Who {
        Who::Address(text.parse().unwrap())
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(Who, Option<u16>, u8), NotAnEnd>) {
        let expected =
            expected.map(|(who, port, protocol)| Target { who, port, protocol: Protocol(protocol) });
        assert_eq!(text.parse(), expected, "{text}");
    }

    #[test]
    fn a_destination_has_a_port_or_a_protocol_that_needs_none() {
        check("db:5432/tcp", Ok((named("db"), Some(5432), 6)));
        check("db:53", Ok((named("db"), Some(53), 6)));
        check("host:53/udp", Ok((Who::Host, Some(53), 17)));
        check("outside/icmp", Ok((Who::Outside, None, 1)));
        check("172.18.0.2:80", Ok((address("172.18.0.2"), Some(80), 6)));
        check("[fd00::2]:53/udp", Ok((address("fd00::2"), Some(53), 17)));
        check("fd00::2/icmpv6", Ok((address("fd00::2"), None, 58)));
        check("db/47", Ok((named("db"), None, 47)));
    }

    #[test]
    fn what_does_not_say_who_or_for_what_is_refused() {
        check("db", Err(NotAnEnd::ForWhat));
        check("db/tcp", Err(NotAnEnd::ForWhat));
        check("fd00::2", Err(NotAnEnd::ForWhat));
        check("db:http", Err(NotAnEnd::ForWhat));
        check("db:65536", Err(NotAnEnd::ForWhat));
        check("db:80/tpc", Err(NotAnEnd::Protocol));
        check(":80", Err(NotAnEnd::Nobody));
        check("a:b:80", Err(NotAnEnd::Nobody));
        check("", Err(NotAnEnd::Nobody));
    }

    #[test]
    fn of_a_destination_that_is_only_asked_about_all_ports_may_be_meant() {
        let check = |text: &str, expected: Result<(Who, Option<u16>, Option<u8>), NotAnEnd>| {
            let expected =
                expected.map(|(who, port, protocol)| Wanted { who, port, protocol: protocol.map(Protocol) });
            assert_eq!(text.parse(), expected, "{text}");
        };
        check("db", Ok((named("db"), None, None)));
        check("db/udp", Ok((named("db"), None, Some(17))));
        check("db:53", Ok((named("db"), Some(53), Some(6))));
        check("[fd00::2]:53/udp", Ok((address("fd00::2"), Some(53), Some(17))));
        check("fd00::2", Ok((address("fd00::2"), None, None)));
        check("host/icmp", Ok((Who::Host, None, Some(1))));
        check("db:53/icmp", Err(NotAnEnd::NoPorts));
        check("db:http", Err(NotAnEnd::ForWhat));
        check(":80", Err(NotAnEnd::Nobody));
    }

    #[test]
    fn a_source_has_neither() {
        let check =
            |text: &str, expected: Result<Who, NotAnEnd>| assert_eq!(text.parse(), expected, "{text}");
        check("web", Ok(named("web")));
        check("fd00::2", Ok(address("fd00::2")));
        check("outside", Ok(Who::Outside));
        check("web:80", Err(NotAnEnd::PortOfSource));
        check("web/tcp", Err(NotAnEnd::PortOfSource));
        check("", Err(NotAnEnd::Nobody));
    }
}
