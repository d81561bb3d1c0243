//! Drops of what never reached an interface that is watched: sent by the host or from outside, and stopped on the way.

use super::super::case::Around;
use super::super::drops::{Dropped, Path};
use super::super::testimony::{Testimony, device_of};
use super::{Asked, AskedEnd, Stopped};
use crate::attribution::Attribution;
use crate::model::KernelTime;
use std::net::IpAddr;

/// The paths that are kept.
const MOST: usize = 64;

/// Takes in the drops of the latest ticks that are about the two ends, from the asked opener to the other.
pub(super) fn note(
    kept: &mut Vec<Stopped>,
    testimony: &Testimony,
    around: &Around<'_>,
    asked: &Asked,
    since: KernelTime,
) {
    if asked.from.container().is_some() {
        // What a container sends is met at its interface, with what became of it.
        return;
    }
    let facts = around.attribution;
    let ours = testimony.drops.paths().filter(|(path, dropped)| {
        dropped.last_seen >= since
            && asked.protocol.is_none_or(|protocol| protocol == path.protocol)
            && asked.port.is_none_or(|port| path.port == Some(port))
            && is_from(facts, &asked.from, path.source, around.now)
            && is_to(facts, &asked.to, path.destination)
    });
    for (path, dropped) in ours {
        let new = stopped(around, path, dropped);
        let known = kept.iter().position(|known| {
            (known.source, known.destination, known.protocol, known.port)
                == (new.source, new.destination, new.protocol, new.port)
        });
        match known {
            Some(known) => kept[known] = new,
            None if kept.len() < MOST => kept.push(new),
            None => {}
        }
    }
}

fn stopped(around: &Around<'_>, path: &Path, dropped: &Dropped) -> Stopped {
    Stopped {
        source: path.source,
        destination: path.destination,
        protocol: path.protocol,
        port: path.port,
        reason: dropped.reason.clone(),
        at: crate::model::SafeText::new(&device_of(around, dropped.device)),
        packets: dropped.packets,
        last_seen: dropped.last_seen,
    }
}

fn is_from(facts: &Attribution, subject: &AskedEnd, source: IpAddr, now: KernelTime) -> bool {
    let is_of_host = facts.is_of_host(source, now);
    match subject {
        AskedEnd::Host { .. } => is_of_host,
        AskedEnd::Outside { address: Some(address) } | AskedEnd::Address(address) => *address == source,
        AskedEnd::Outside { address: None } => !is_of_host && facts.network_of_address(source, now).is_none(),
        AskedEnd::Container { .. } => false,
    }
}

fn is_to(facts: &Attribution, subject: &AskedEnd, destination: IpAddr) -> bool {
    let known = subject.container().and_then(|id| facts.container(id));
    known.is_some_and(|known| facts.is_given(known, destination))
}
