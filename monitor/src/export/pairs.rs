//! The series of pairs: those of the snapshot without addresses and ports, so several of its rows are one here.

use super::labels::{self, Labels};
use super::page::Page;
use super::shelf::{Budget, Shelf};
use super::{families as family, families::Family};
use crate::model::{ContainerId, Counts, KernelTime, Protocol, SafeText, Traffic};
use crate::snapshot::{Answers, End, EndKind, Identity, PairRow, Service, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;

/// Series of one pair.
const COST: usize = 16;

/// An end: a container, or what stands for all others of its kind or of a service on other nodes of a swarm, by its label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Container(ContainerId, SafeText),
    Other(SafeText),
}

impl Who {
    fn of(end: &End) -> Self {
        match (&end.container, end.kind) {
            (Some(container), _) => Self::Container(container.id.clone(), container.name.clone()),
            (None, EndKind::Multicast) => Self::Other(SafeText::new("multicast")),
            (None, _) => Self::Other(labels::of_service(&Service::of_client(end))),
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
            Self::Other(name) => [Some(name.clone()), None],
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
    client: Result<ContainerId, Identity>,
    server: Result<ContainerId, Identity>,
    port: Option<u16>,
    protocol: Protocol,
}

impl RowKey {
    fn of(row: &PairRow) -> Self {
        let who = |end: &End| match &end.container {
            Some(container) => Ok(container.id.clone()),
            None => Err(end.identity()),
        };
        let (client, server) = (who(&row.client), who(&row.server));
        Self { client, server, port: row.server.port, protocol: row.protocol }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    traffic: Traffic,
    conversations: u64,
    /// Of TCP alone.
    answers: Option<Answers>,
    /// Segments that each end sent again, where that can be seen.
    sent_again: [Option<u64>; 2],
    /// Segments of each end with a window of 0, of TCP alone.
    zero_windows: Option<[u64; 2]>,
    /// Errors of ICMP, and of them those of packets that were too big again.
    errors: [u64; 2],
}

impl Sum {
    fn of(row: &PairRow, sees_retransmits: bool) -> Self {
        let is_tcp = row.protocol == Protocol::TCP;
        Self {
            traffic: row.traffic,
            conversations: row.conversations,
            answers: is_tcp.then_some(row.answers),
            sent_again: row.sent_again().map(|segments| segments.filter(|_| sees_retransmits)),
            zero_windows: is_tcp.then_some([row.zero_windows.by_client, row.zero_windows.by_server]),
            errors: row.icmp.iter().fold([0, 0], |[all, again], it| [all + it.packets, again + it.again]),
        }
    }

    /// Adds what came on top of an earlier state of a row; all of it where the row was forgotten meanwhile and began anew.
    fn add(&mut self, last: &Self, now: &Self) {
        self.traffic.sent += more(last.traffic.sent, now.traffic.sent);
        self.traffic.received += more(last.traffic.received, now.traffic.received);
        self.conversations += on_top(last.conversations, now.conversations);
        if let Some(now) = now.answers {
            let last = last.answers.unwrap_or_default();
            let sum = self.answers.get_or_insert_default();
            sum.answered += on_top(last.answered, now.answered);
            sum.refused += on_top(last.refused, now.refused);
            sum.reset += on_top(last.reset, now.reset);
            sum.half_open += on_top(last.half_open, now.half_open);
            sum.silent_client += on_top(last.silent_client, now.silent_client);
            sum.silent_server += on_top(last.silent_server, now.silent_server);
        }
        for ((sum, last), now) in self.sent_again.iter_mut().zip(last.sent_again).zip(now.sent_again) {
            if let Some(now) = now {
                *sum = Some(sum.unwrap_or_default() + on_top(last.unwrap_or_default(), now));
            }
        }
        let add = |sum: &mut [u64; 2], last: [u64; 2], now: [u64; 2]| {
            for ((sum, last), now) in sum.iter_mut().zip(last).zip(now) {
                *sum += on_top(last, now);
            }
        };
        if let Some(now) = now.zero_windows {
            add(self.zero_windows.get_or_insert_default(), last.zero_windows.unwrap_or_default(), now);
        }
        add(&mut self.errors, last.errors, now.errors);
    }
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
    pub(super) fn take(&mut self, snapshot: &Snapshot, at: KernelTime, budget: &mut Budget) {
        let rows = &snapshot.pairs;
        if self.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, rows)) {
            return;
        }
        self.latest = Some(Arc::clone(rows));
        let mut before = std::mem::take(&mut self.rows);
        for row in &**rows {
            let key =
                Key { client: Who::of(&row.client), server: Who::of(&row.server), protocol: row.protocol };
            let now = Sum::of(row, snapshot.sees_retransmits());
            let row_key = RowKey::of(row);
            let last = before.remove(&row_key).unwrap_or_default();
            // What there is no room for is not kept either, so that it is whole when there is.
            let Some(sum) = self.sums.seen(&key, at, budget, Sum::default) else { continue };
            sum.add(&last, &now);
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
            let [by_client, by_server] = sum.sent_again;
            let [no_room_client, no_room_server] = sum.zero_windows.map_or([None; 2], |it| it.map(Some));
            let [errors, too_big_again] = sum.errors;
            let figures: [(&'static Family, Option<u64>); COST] = [
                (&family::PAIR_TRANSMIT_BYTES, Some(sent.bytes)),
                (&family::PAIR_TRANSMIT_PACKETS, Some(sent.packets)),
                (&family::PAIR_RECEIVE_BYTES, Some(received.bytes)),
                (&family::PAIR_RECEIVE_PACKETS, Some(received.packets)),
                (&family::PAIR_CONVERSATIONS, Some(sum.conversations)),
                (&family::PAIR_ANSWERED, sum.answers.map(|it| it.answered)),
                (&family::PAIR_REFUSED, sum.answers.map(|it| it.refused)),
                (&family::PAIR_RESET, sum.answers.map(|it| it.reset)),
                (&family::PAIR_CLIENT_RETRANSMITS, by_client),
                (&family::PAIR_SERVER_RETRANSMITS, by_server),
                (&family::PAIR_HALF_OPEN, sum.answers.map(|it| it.half_open)),
                (&family::PAIR_SILENT, sum.answers.map(|it| it.silent_client + it.silent_server)),
                (&family::PAIR_CLIENT_ZERO_WINDOWS, no_room_client),
                (&family::PAIR_SERVER_ZERO_WINDOWS, no_room_server),
                (&family::PAIR_ICMP_ERRORS, Some(errors)),
                (&family::PAIR_TOO_BIG_AGAIN, Some(too_big_again)),
            ];
            for (family, figure) in figures {
                if let Some(figure) = figure {
                    page.add(family, &labels, figure);
                }
            }
        }
    }
}

/// What came on top; all of it where the row was forgotten meanwhile and began anew.
fn more(before: Counts, now: Counts) -> Counts {
    now.since(&before).unwrap_or(now)
}

/// What came on top; all of it where the row began anew.
fn on_top(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}
