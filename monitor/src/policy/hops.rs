//! What ends and hooks are called in a sentence about the course of a conversation, be it of now or of a time that is over.

use super::outcome::Evidence;
use crate::attribution::{End, EndKind};
use crate::model::SafeText;

/// What an end is called.
#[must_use]
pub fn called(end: &End) -> String {
    match (&end.swarm, &end.container, end.kind) {
        (Some(swarm), ..) => swarm.to_string(),
        (None, Some(container), _) => container.name.as_str().to_owned(),
        (None, None, EndKind::Host) => "the host".to_owned(),
        (None, None, _) => end.address.to_string(),
    }
}

/// Where it left an end; `at_sockets`: it was seen at a container's sockets, not at an interface.
#[must_use]
pub fn left(from: &End, device: &SafeText, at_sockets: bool) -> String {
    let from = called(from);
    if at_sockets {
        format!("It left {from}'s sockets")
    } else {
        format!("It left {from}'s interface {device}")
    }
}

/// Where it reached an end; likewise.
#[must_use]
pub fn reached(to: &End, device: &SafeText, at_sockets: bool) -> String {
    if at_sockets {
        format!("reached {}'s sockets", called(to))
    } else {
        format!("reached interface {device}")
    }
}

/// By what it was stopped on its way to an end.
#[must_use]
pub fn stopped(evidence: &[Evidence], drop_reason: Option<&SafeText>, to: &End) -> String {
    let place = evidence.last().map_or("host", |last| last.at.as_str());
    match drop_reason.map(SafeText::as_str) {
        Some(reason @ "NETFILTER_DROP") => {
            format!("was dropped in the host at {place} by its firewall ({reason})")
        }
        Some(reason) => format!("was dropped in the host at {place} by the kernel ({reason})"),
        None => format!("was refused by the host with a reset in the name of {}", called(to)),
    }
}
