//! The series of latencies: those of the snapshot without addresses and ports, so several of its rows are one here.

use super::labels::{self, Labels};
use super::page::Page;
use super::shelf::{Budget, Shelf};
use super::{families as family, families::Family};
use crate::model::{KernelTime, SafeText};
use crate::snapshot::{LatencyRow, Service, Steps};
use std::collections::HashMap;
use std::sync::Arc;

/// Series of a histogram: its steps, sum and count.
const COST: usize = 19;

/// What has series of its own: client and server by their labels, what was measured and where.
type Key = (SafeText, SafeText, (What, &'static str));

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Handshake,
    FirstByte,
}

impl What {
    const fn family(self) -> &'static Family {
        match self {
            Self::Handshake => &family::SERVICE_HANDSHAKE,
            Self::FirstByte => &family::SERVICE_FIRST_BYTE,
        }
    }
}

/// All latencies.
#[derive(Debug)]
pub(super) struct Latencies {
    /// Each row's histograms as they were last: what comes on top is added up.
    rows: HashMap<(Key, [Service; 2], Option<u16>), Steps>,
    sums: Shelf<Key, Steps>,
    /// The rows that were taken in last.
    latest: Option<Arc<[LatencyRow]>>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { rows: HashMap::new(), sums: Shelf::new(COST), latest: None }
    }

    /// Takes in all rows.
    pub(super) fn take(&mut self, rows: &Arc<[LatencyRow]>, at: KernelTime, budget: &mut Budget) {
        if self.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, rows)) {
            for (key, ..) in self.rows.keys() {
                self.sums.seen(key, at, budget, Steps::default);
            }
            return;
        }
        self.latest = Some(Arc::clone(rows));
        let mut before = std::mem::take(&mut self.rows);
        // The containers behind a shared name have rows of their own.
        let of_services = rows.iter().filter(|row| !matches!(row.server, Service::Alias(_)));
        for row in of_services {
            let [client, server] = [&row.client, &row.server].map(labels::of_service);
            let ends = [
                ((What::Handshake, "client"), row.at_client),
                ((What::Handshake, "server"), row.at_server),
                ((What::Handshake, "between"), row.between),
                ((What::FirstByte, "server"), row.first_byte_at_server),
                ((What::FirstByte, "client"), row.first_byte_at_client),
            ];
            for (seen_at, measured) in ends {
                let Some(measured) = measured else { continue };
                let key = (client.clone(), server.clone(), seen_at);
                // What there is no room for is not kept either, so that it is whole when there is.
                let Some(sum) = self.sums.seen(&key, at, budget, Steps::default) else { continue };
                let row_key = (key, [&row.client, &row.server].map(Clone::clone), row.port);
                let last = before.remove(&row_key).unwrap_or_default();
                *sum += measured.steps.since(&last).unwrap_or(measured.steps);
                self.rows.insert(row_key, measured.steps);
            }
        }
    }

    /// Lets go those that are in no snapshot any more, and those of services without a container that is known.
    pub(super) fn tidy(&mut self, now: KernelTime, budget: &mut Budget, known: impl Fn(&Service) -> bool) {
        let is_known = |service: &Service| !service.is_of_this_host() || known(service);
        let mut live: HashMap<&Key, bool> = HashMap::new();
        for (key, services, _) in self.rows.keys() {
            *live.entry(key).or_default() |= services.iter().all(is_known);
        }
        self.sums.tidy(now, budget, |key| live.get(key).is_none_or(|is_live| *is_live));
    }

    /// Writes the series.
    pub(super) fn write(&self, page: &mut Page) {
        for ((client, server, (what, seen_at)), steps) in self.sums.iter() {
            let labels = Labels::new([
                ("client", Some(client.clone())),
                ("server", Some(server.clone())),
                ("seen_at", Some(SafeText::new(seen_at))),
            ]);
            page.add(what.family(), &labels, *steps);
        }
    }
}
