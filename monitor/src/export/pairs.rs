//! The series of pairs: those of the snapshot without addresses and ports, so several of its rows are one here.

use super::labels::Labels;
use super::page::Page;
use super::shelf::{Budget, Shelf};
use super::{families as family, families::Family};
use crate::model::{ContainerId, Counts, KernelTime, Protocol, SafeText, Traffic};
use crate::snapshot::{End, EndKind, PairRow};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Series of one pair.
const COST: usize = 5;

/// An end: a container, or what stands for all others of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Container(ContainerId, SafeText),
    Other(&'static str),
}

impl Who {
    fn of(end: &End) -> Self {
        match &end.container {
            Some(container) => Self::Container(container.id.clone(), container.name.clone()),
            None => Self::Other(match end.kind {
                EndKind::Host => "host",
                EndKind::External => "outside",
                EndKind::Multicast => "multicast",
                EndKind::Container | EndKind::Unknown => "unknown",
            }),
        }
    }

    fn is_known(&self, known: impl Fn(&ContainerId) -> bool) -> bool {
        match self {
            Self::Container(id, _) => known(id),
            Self::Other(_) => true,
        }
    }

    /// Name and, for a container, id.
    fn labels(&self) -> [Option<SafeText>; 2] {
        match self {
            Self::Container(id, name) => [Some(name.clone()), Some(SafeText::new(id.short()))],
            Self::Other(what) => [Some(SafeText::new(what)), None],
        }
    }
}

/// What has series of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Who,
    server: Who,
    protocol: Protocol,
}

/// What tells a row of the snapshot from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RowKey {
    client: (Option<ContainerId>, Option<IpAddr>),
    server: (Option<ContainerId>, Option<IpAddr>),
    port: Option<u16>,
    protocol: Protocol,
}

impl RowKey {
    fn of(row: &PairRow) -> Self {
        let who = |end: &End| match &end.container {
            Some(container) => (Some(container.id.clone()), None),
            None => (None, Some(end.address)),
        };
        let (client, server) = (who(&row.client), who(&row.server));
        Self { client, server, port: row.server.port, protocol: row.protocol }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    traffic: Traffic,
    conversations: u64,
}

/// All pairs.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Each row as it was last: what comes on top is added up.
    rows: HashMap<RowKey, Sum>,
    sums: Shelf<Key, Sum>,
    /// The rows that were taken in last: snapshots share them until the next tick.
    latest: Option<Arc<[PairRow]>>,
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self { rows: HashMap::new(), sums: Shelf::new(COST), latest: None }
    }

    /// Takes in all rows.
    pub(super) fn take(&mut self, rows: &Arc<[PairRow]>, at: KernelTime, budget: &mut Budget) {
        if self.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, rows)) {
            return;
        }
        self.latest = Some(Arc::clone(rows));
        let mut before = std::mem::take(&mut self.rows);
        for row in &**rows {
            let key =
                Key { client: Who::of(&row.client), server: Who::of(&row.server), protocol: row.protocol };
            let now = Sum { traffic: row.traffic, conversations: row.conversations };
            let row_key = RowKey::of(row);
            let last = before.remove(&row_key).unwrap_or_default();
            // What there is no room for is not kept either, so that it is whole when there is.
            let Some(sum) = self.sums.seen(&key, at, budget, Sum::default) else { continue };
            sum.traffic.sent += more(last.traffic.sent, now.traffic.sent);
            sum.traffic.received += more(last.traffic.received, now.traffic.received);
            sum.conversations +=
                now.conversations.checked_sub(last.conversations).unwrap_or(now.conversations);
            self.rows.insert(row_key, now);
        }
    }

    /// Lets go pairs of containers that are not known.
    pub(super) fn tidy(
        &mut self,
        now: KernelTime,
        budget: &mut Budget,
        known: impl Fn(&ContainerId) -> bool,
    ) {
        self.sums.tidy(now, budget, |key| key.client.is_known(&known) && key.server.is_known(&known));
    }

    /// Writes the series.
    pub(super) fn write(&self, page: &mut Page) {
        for (key, sum) in self.sums.iter() {
            let [client, client_id] = key.client.labels();
            let [server, server_id] = key.server.labels();
            let labels = Labels::new([
                ("client", client),
                ("client_id", client_id),
                ("server", server),
                ("server_id", server_id),
                ("protocol", Some(SafeText::new(&key.protocol.name()))),
            ]);
            let Traffic { sent, received } = sum.traffic;
            let figures: [(&'static Family, u64); COST] = [
                (&family::PAIR_TRANSMIT_BYTES, sent.bytes),
                (&family::PAIR_TRANSMIT_PACKETS, sent.packets),
                (&family::PAIR_RECEIVE_BYTES, received.bytes),
                (&family::PAIR_RECEIVE_PACKETS, received.packets),
                (&family::PAIR_CONVERSATIONS, sum.conversations),
            ];
            for (family, figure) in figures {
                page.add(family, &labels, figure);
            }
        }
    }
}

/// What came on top; all of it where the row was forgotten meanwhile and began anew.
fn more(before: Counts, now: Counts) -> Counts {
    now.since(&before).unwrap_or(now)
}
