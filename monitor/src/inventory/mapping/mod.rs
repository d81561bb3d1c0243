//! From what the client library read to the model: pure functions.
//!
//! Ids are checked, text is made safe, addresses are parsed. A part that makes no sense is dropped and counted; an
//! answer without a usable id is dropped as a whole. Nothing here trusts a length: every list is cut.

mod aliases;
mod container;
mod details;
mod event;
mod network;
mod rights;
mod swarm;

pub(super) use container::{container, from_summary};
pub(super) use event::{ContainerEvent, Event, EventKind, NetworkEvent, WATCHED, event};
pub(super) use network::{ListedEndpoint, from_list, listed_endpoints, network};
pub(super) use swarm::members;

use super::refusals::Refusals;
use crate::model::Mac;
use std::net::IpAddr;

/// The most endpoints of a container, or subnets of a network, that are kept.
pub(super) const MOST_ENDPOINTS: usize = 64;
/// The most published ports of a container that are kept.
pub(super) const MOST_PORTS: usize = 1_000;

/// The most labels of a container that are kept.
pub(super) const MOST_LABELS: usize = 64;
/// The most links of a container that are kept.
pub(super) const MOST_LINKS: usize = 64;
/// The most names that a container was given on networks that are kept.
pub(super) const MOST_ALIASES: usize = 64;

/// An address, with or without a prefix length (`172.18.0.2/16`); an empty text is none.
fn address(text: Option<&str>, refusals: &mut Refusals) -> Option<IpAddr> {
    let text = text.filter(|text| !text.is_empty())?;
    let bare = text.split_once('/').map_or(text, |(bare, _)| bare);
    parsed(bare.parse(), "an address", text, refusals)
}

/// An Ethernet address; an empty text is none.
fn mac(text: Option<&str>, refusals: &mut Refusals) -> Option<Mac> {
    let text = text.filter(|text| !text.is_empty())?;
    parsed(text.parse(), "an Ethernet address", text, refusals)
}

/// What was parsed, or none and a refusal.
fn parsed<T, E>(result: Result<T, E>, what: &str, text: &str, refusals: &mut Refusals) -> Option<T> {
    if result.is_err() {
        refusals.refuse(format_args!("not {what}: {text}"));
    }
    result.ok()
}
