//! What was between two ends.

use crate::cli::{Wanted, Who};
use crate::snapshot::{End, EndKind, Finding, PairRow, Past, Service};

/// Pairs of two ends, whoever of them asked; with a port or a protocol those alone.
pub(super) fn pairs<'a>(past: &'a Past, from: &Who, to: &Wanted) -> Vec<&'a PairRow> {
    let is_theirs = |row: &&PairRow| {
        are([&row.client, &row.server], from, to)
            && to.port.is_none_or(|port| row.server.port == Some(port))
            && to.protocol.is_none_or(|protocol| row.protocol == protocol)
    };
    past.snapshot.pairs.iter().filter(is_theirs).collect()
}

/// Findings about two ends.
pub(super) fn findings<'a>(past: &'a Past, from: &Who, to: &Wanted) -> Vec<&'a Finding> {
    let is_theirs = |finding: &&Finding| {
        are([&finding.source, &finding.destination], from, to)
            && to.port.is_none_or(|port| finding.ports.is_empty() || finding.ports.contains(&port))
    };
    past.snapshot.findings.iter().filter(is_theirs).collect()
}

fn are([one, other]: [&End; 2], from: &Who, to: &Wanted) -> bool {
    (is(one, from) && is(other, &to.who)) || (is(one, &to.who) && is(other, from))
}

fn is(end: &End, who: &Who) -> bool {
    match who {
        Who::Container(name) => match (&end.container, &end.swarm) {
            (Some(container), _) => {
                container.is_called(name) || Service::of_container(container).is_called(name)
            }
            (None, Some(swarm)) => swarm.is_named(name) || swarm.is_of(name),
            (None, None) => false,
        },
        Who::Address(address) => end.address == *address,
        Who::Host => end.kind == EndKind::Host && end.container.is_none(),
        Who::Outside => end.kind == EndKind::External,
    }
}
