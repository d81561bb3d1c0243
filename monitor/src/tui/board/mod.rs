//! What the view keeps of the data that it was given: the latest snapshot, the last minute of every row, and the
//! flows that stream past.

mod beat;
mod counters;
mod flows;
mod services;
mod then;
mod toward;

pub(super) use flows::{FlowRow, Flows};
pub(super) use services::service;
pub(super) use then::Then;
pub(super) use toward::Toward;

use super::context::{Context, Way};
use super::recent::{Both, Recent};
use super::subject::PairKey;
use crate::model::{ContainerId, InterfaceNumber, KernelTime, NetworkId};
use crate::snapshot::{Point, Record, Snapshot};
use beat::Beat;
use counters::Counters;
use std::sync::Arc;

/// What a container did in the last hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Who.
    pub container: ContainerId,
    /// All of it.
    pub hour: Vec<Point>,
    /// The last five minutes.
    pub minutes: Vec<Point>,
}

/// The data of the view.
#[derive(Clone, Debug)]
pub(super) struct Board {
    snapshot: Arc<Snapshot>,
    beat: Beat,
    containers: Counters<ContainerId>,
    interfaces: Counters<InterfaceNumber>,
    networks: Counters<(NetworkId, Toward)>,
    pairs: Counters<PairKey>,
    flows: Flows,
    records_lost: u64,
    course: Option<Course>,
    /// The time that it is about, if that is over.
    then: Option<Then>,
}

impl Board {
    /// A board with a first snapshot.
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        let mut board = Self {
            beat: Beat::new(&snapshot),
            snapshot,
            containers: Counters::default(),
            interfaces: Counters::default(),
            networks: Counters::default(),
            pairs: Counters::default(),
            flows: Flows::default(),
            records_lost: 0,
            course: None,
            then: None,
        };
        board.count();
        board
    }

    /// Takes in a newer snapshot; tells whether it has a new reading of the counters.
    pub(super) fn snapshot(&mut self, snapshot: Arc<Snapshot>) -> bool {
        let is_reading = self.beat.is_reading(&snapshot);
        self.snapshot = snapshot;
        if is_reading {
            self.count();
            self.flows.expire(self.snapshot.taken_at);
        }
        is_reading
    }

    /// Takes in a record.
    pub(super) fn record(&mut self, record: &Record) {
        match record {
            Record::Flow(flow) => self.flows.take(flow, self.beat.second(flow.tick_end)),
            Record::Lost(records) => self.records_lost = *records,
            // The snapshot has them all.
            Record::Finding(_) | Record::Standing(_) | Record::Sample(_) | Record::Name(_) => {}
        }
    }

    /// Takes in the last hour of what is opened.
    pub(super) fn take_course(&mut self, course: Course) {
        self.course = Some(course);
    }

    /// The last hour of a container, if it was told.
    pub(super) fn course(&self, container: &ContainerId) -> Option<&Course> {
        self.course.as_ref().filter(|course| course.container == *container)
    }

    /// The latest snapshot.
    pub(super) fn latest(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The flows.
    pub(super) fn flows(&self) -> &Flows {
        &self.flows
    }

    /// The time of the latest whole reading, as [`Recent`] counts it.
    pub(super) fn reading(&self) -> KernelTime {
        self.beat.second(self.beat.latest())
    }

    /// The time of the first reading, as [`Recent`] counts it.
    pub(super) fn since(&self) -> KernelTime {
        self.beat.second(self.beat.first())
    }

    /// Everything that is known not to be shown, by name: the agent's own losses, packets that are in no flow,
    /// records that never came because the view was slow, and flows that it had no room for.
    pub(super) fn losses(&self) -> Vec<(&str, u64)> {
        let not_recorded = self
            .snapshot
            .containers
            .iter()
            .fold(0, |sum: u64, row| sum.saturating_add(row.not_recorded.packets));
        let ours = [
            ("packets_in_no_flow", not_recorded),
            ("records_not_shown", self.records_lost),
            ("flows_not_shown", self.flows.forgotten()),
        ];
        self.snapshot.losses.iter().chain(ours).filter(|(_, count)| *count > 0).collect()
    }

    /// What all containers sent or received, and interfaces that have none: a second, or since the watch began.
    pub(super) fn everything(&self, context: &Context<'_>, way: Way) -> Option<u64> {
        if context.totals || context.past.is_some() {
            let containers = self.snapshot.containers.iter().map(|row| row.totals);
            let interfaces = self.snapshot.unattributed.iter().map(|row| row.totals);
            let totals = containers.chain(interfaces).map(|totals| Both::from(totals).bytes);
            let all = totals.fold(0, |sum: u64, bytes| sum.saturating_add(way.of(bytes)));
            return context.amount(&Recent::default(), Some(all), way);
        }
        let seconds = context.window.seconds();
        let (containers, interfaces) =
            (self.containers.sum(context.reading, seconds), self.interfaces.sum(context.reading, seconds));
        context.per_second(way.of(containers).saturating_add(way.of(interfaces)))
    }

    /// The last minute of a container.
    pub(super) fn container(&self, id: &ContainerId) -> Recent {
        self.containers.recent(id)
    }

    /// The last minute of an interface without a container.
    pub(super) fn interface(&self, number: InterfaceNumber) -> Recent {
        self.interfaces.recent(&number)
    }

    /// The last minute of what a network's containers said in one direction.
    pub(super) fn network(&self, id: &NetworkId, toward: Toward) -> Recent {
        self.networks.recent(&(id.clone(), toward))
    }

    /// The last minute of a pair.
    pub(super) fn pair(&self, key: &PairKey) -> Recent {
        self.pairs.recent(key)
    }

    /// Books what the counters say more than at the last reading.
    fn count(&mut self) {
        let at = self.beat.second(self.snapshot.taken_at);
        let snapshot = &self.snapshot;
        let watched = snapshot.containers.iter().filter(|row| row.watched);
        self.containers.take(at, watched.map(|row| (row.container.id.clone(), row.totals.into())));
        let unattributed = snapshot.unattributed.iter();
        self.interfaces.take(at, unattributed.map(|row| (row.observed_at.number, row.totals.into())));
        let networks = snapshot.networks.iter().flat_map(|row| {
            Toward::ALL.map(|toward| ((row.network.id.clone(), toward), toward.of(&row.totals)))
        });
        self.networks.take(at, networks);
        let pairs = snapshot.pairs.iter();
        self.pairs.take(at, pairs.map(|row| (PairKey::of(row), row.traffic.into())));
    }
}

#[cfg(test)]
mod tests;
