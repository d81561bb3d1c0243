//! A time that is over, as a board: its rows count what was in that time, and nothing else.

use super::Board;
use crate::model::{ContainerId, ContainerState, Counts, KernelTime, Traffic};
use crate::snapshot::{
    AskerRow, ContainerRow, ContainerSpan, Conversations, End, EndKind, LookedUp, NameRow, NameSpan, PairRow,
    Past, Peer, Snapshot,
};
use crate::view::left_out;
use crate::wire::Clock;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Peers of a container that are listed.
const PEERS: usize = 16;

/// What is to be known of a time that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Then {
    /// Both clocks as they were at its end.
    pub(in crate::tui) clock: Clock,
    /// How long it is.
    pub(in crate::tui) length: Duration,
    /// The longest of its intervals.
    pub(in crate::tui) resolution: Duration,
    /// What is in no row, if anything is.
    pub(in crate::tui) left_out: Option<String>,
}

impl Board {
    /// What was in a time.
    pub(in crate::tui) fn of_then(past: Past) -> Self {
        let Past { told, containers, names, others, snapshot: latest, .. } = past;
        // Those that did something, whether they are there yet or not; then the rest of those that are.
        let mut now: HashMap<&ContainerId, &ContainerRow> =
            latest.containers.iter().map(|row| (&row.container.id, row)).collect();
        let did = containers.iter().map(|span| (span.clone(), now.remove(&span.container.id)));
        let mut rows: Vec<(ContainerSpan, Option<&ContainerRow>)> = did.collect();
        let idle =
            now.into_values().map(|row| (ContainerSpan::nothing(Arc::clone(&row.container)), Some(row)));
        rows.extend(idle);
        let rows = rows.iter().map(|(span, now)| container(span, *now, &latest.pairs)).collect();
        let asked = LookedUp {
            names: names.iter().map(|span| name(span, told.end.kernel)).collect(),
            containers: containers.iter().filter(|span| span.names.sum() > 0).map(asker).collect(),
        };
        let snapshot = Snapshot {
            containers: rows,
            asked: Arc::new(asked),
            unattributed: Vec::new(),
            rights_unknown: 0,
            ..latest.clone()
        };
        let then = Then {
            clock: Clock::new(told.end.kernel, told.end.wall),
            length: told.end.kernel.since(told.start.kernel),
            resolution: told.resolution,
            left_out: left_out(&others),
        };
        Self { then: Some(then), ..Self::new(Arc::new(snapshot)) }
    }

    /// The time that it is about, if that is over.
    pub(in crate::tui) const fn then(&self) -> Option<&Then> {
        self.then.as_ref()
    }
}

/// What a container did; how it is, is known of now alone.
fn container(span: &ContainerSpan, now: Option<&ContainerRow>, pairs: &[PairRow]) -> ContainerRow {
    let conversations = Conversations { alive: 0, opened: span.asked.opened, accepted: span.served.opened };
    ContainerRow {
        container: Arc::clone(&span.container),
        state: now.map_or(ContainerState::Unknown, |row| row.state),
        started_at: now.and_then(|row| row.started_at),
        memberships: now.map_or_else(Vec::new, |row| row.memberships.clone()),
        totals: span.traffic,
        window: span.traffic,
        before_watch: Traffic::default(),
        not_recorded: Counts::default(),
        unaccounted_bytes: None,
        watched: now.is_none_or(|row| row.watched),
        unwatched_reason: now.and_then(|row| row.unwatched_reason.clone()),
        handshake: None,
        handshake_steps: None,
        peers: peers(&span.container.id, pairs),
        conversations,
        dropped: span.dropped,
        details: now.and_then(|row| row.details.clone()),
    }
}

/// With whom it talked, the busiest first; pairs come in that order.
fn peers(id: &ContainerId, pairs: &[PairRow]) -> Vec<Peer> {
    let is_it = |end: &End| end.container.as_ref().is_some_and(|container| container.id == *id);
    let mut peers: Vec<Peer> = Vec::new();
    for pair in pairs {
        let Traffic { sent, received } = pair.traffic;
        let (end, traffic) = if is_it(&pair.client) {
            (&pair.server, pair.traffic)
        } else if is_it(&pair.server) {
            (&pair.client, Traffic { sent: received, received: sent })
        } else {
            continue;
        };
        if let Some(peer) = peers.iter_mut().find(|peer| peer.end == *end) {
            peer.traffic += traffic;
            peer.window += traffic;
        } else if peers.len() < PEERS {
            peers.push(Peer { end: end.clone(), traffic, window: traffic });
        }
    }
    peers
}

/// What came of a name; who answered, and what, is not kept.
fn name(span: &NameSpan, end: KernelTime) -> NameRow {
    let longest = span.took.percentiles().map_or(Duration::ZERO, |took| took.max);
    NameRow {
        container: Arc::clone(&span.container),
        name: span.name.clone(),
        record_type: span.record_type.clone(),
        forwarded: span.forwarded,
        outcomes: span.outcomes,
        took: (span.took.steps().sum(), longest),
        last: end,
        last_took: None,
        code: None,
        answers: Vec::new(),
        resolver: End::plain(EndKind::Unknown, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

fn asker(span: &ContainerSpan) -> AskerRow {
    AskerRow { container: Arc::clone(&span.container), outcomes: span.names, steps: span.names_took.steps() }
}
