//! What is said of a packet: `web:40112 → db:5432 tcp; sent by web; allow by same_network: answered`.

use super::known::Known;
use super::places::Place;
use crate::model::{Direction, FlowKey, FlowPorts};
use crate::snapshot::{ContainerRef, Expected};
use crate::view::names;
use std::fmt::Write as _;
use std::net::IpAddr;

/// What is said of a packet that crossed at a place.
pub(super) fn comment(
    place: &Place,
    direction: Direction,
    key: Option<&FlowKey>,
    remote: Option<&ContainerRef>,
    flow: Option<&Known>,
) -> String {
    let own = place.name();
    let who = place.container.as_ref().map_or(own.as_str(), |container| container.name.as_str());
    let verb = match direction {
        Direction::Sent => "sent by",
        Direction::Received => "received by",
    };
    let Some(key) = key else { return format!("{verb} {who}") };
    let (local, other) = match flow {
        Some(Known { record, .. }) => {
            (names::end_and_port(&record.local), names::end_and_port(&record.remote))
        }
        None => {
            let (own_port, other_port) = match key.ports {
                FlowPorts::Ports { local, remote } => (Some(local), Some(remote)),
                _ => (None, None),
            };
            (
                end(Some(who), key.local, own_port),
                end(remote.map(|it| it.name.as_str()), key.remote, other_port),
            )
        }
    };
    let (from, to) = match direction {
        Direction::Sent => (local, other),
        Direction::Received => (other, local),
    };
    let mut text = format!("{from} → {to} {}; {verb} {who}", key.protocol.name());
    match flow.map(|known| known.record.verdict.as_ref()) {
        Some(Some(verdict)) => {
            let expected = match verdict.expected {
                Expected::Allow => "allow",
                Expected::Deny => "deny",
            };
            write!(text, "; {expected} by {}: {}", verdict.rule.as_str(), verdict.outcome.name())
        }
        Some(None) => write!(text, "; no rule"),
        None => write!(text, "; not judged yet"),
    }
    .expect("writing to a String cannot fail");
    text
}

fn end(name: Option<&str>, address: IpAddr, port: Option<u16>) -> String {
    match (name, port, address) {
        (Some(name), Some(port), _) => format!("{name}:{port}"),
        (Some(name), None, _) => name.to_owned(),
        (None, Some(port), IpAddr::V6(address)) => format!("[{address}]:{port}"),
        (None, Some(port), _) => format!("{address}:{port}"),
        (None, None, _) => address.to_string(),
    }
}
