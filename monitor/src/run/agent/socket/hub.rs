//! What of the engine's records each client hears: those that it asked for, and how many it missed.

use super::ring::{Listener, Ring, Told};
use crate::engine::{Feed, Filter, Topic};
use crate::snapshot::Record;

/// Flows that a client may be behind: all of a busy tick come at once.
const FLOWS: usize = 65_536;
/// Findings that it may be behind.
const FINDINGS: usize = 4_096;

/// Names that it may be behind.
const NAMES: usize = 8_192;

/// All kinds of records.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    flows: Ring,
    findings: Ring,
    names: Ring,
}

/// What a client hears next.
#[derive(Debug)]
pub(super) enum Heard {
    /// A record.
    Record(Record),
    /// So many records more that it missed, of all that there were.
    Missed(u64),
    /// The engine has ended.
    End,
}

/// A client's ear.
#[derive(Debug)]
pub(super) struct Ear {
    filter: Filter,
    flows: Option<Listener>,
    findings: Option<Listener>,
    names: Option<Listener>,
    /// What is to be told after what was missed before it.
    held: Option<Record>,
}

impl Hub {
    pub(super) fn new(feed: &Feed) -> Self {
        let ring = |topic, room| Ring::new(feed.clone(), topic, room);
        Self {
            flows: ring(Topic::Flows, FLOWS),
            findings: ring(Topic::Findings, FINDINGS),
            names: ring(Topic::Names, NAMES),
        }
    }

    /// Records from now on.
    pub(super) fn listen(&self, filter: Filter) -> Ear {
        let (topic, all) = (filter.topic, filter.topic == Topic::All);
        let flows = (all || topic == Topic::Flows).then(|| self.flows.listen());
        let findings = (all || topic == Topic::Findings).then(|| self.findings.listen());
        let names = (topic == Topic::Names).then(|| self.names.listen());
        Ear { filter, flows, findings, names, held: None }
    }
}

impl Ear {
    /// Waits for what comes next and is wanted.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if let Some(record) = self.held.take() {
                return Heard::Record(record);
            }
            let told = tokio::select! {
                told = hear(&mut self.findings) => told,
                told = hear(&mut self.flows) => told,
                told = hear(&mut self.names) => told,
            };
            let Some(told) = told else { return Heard::End };
            if let Some(heard) = self.sort(told) {
                return heard;
            }
        }
    }

    /// What is there already and is wanted.
    pub(super) fn another(&mut self) -> Option<Heard> {
        loop {
            if let Some(record) = self.held.take() {
                return Some(Heard::Record(record));
            }
            let told = [&mut self.findings, &mut self.flows, &mut self.names]
                .into_iter()
                .flatten()
                .find_map(Listener::another)?;
            if let Some(heard) = self.sort(told) {
                return Some(heard);
            }
        }
    }

    /// What is to be told now, if anything.
    fn sort(&mut self, (missed, record): Told) -> Option<Heard> {
        let record = record.filter(|record| self.filter.passes(record));
        if missed > 0 {
            self.held = record;
            return Some(Heard::Missed(missed));
        }
        record.map(Heard::Record)
    }
}

/// Waits for ever where nothing was asked for.
async fn hear(listener: &mut Option<Listener>) -> Option<Told> {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Running;
    use super::{Ear, Heard};
    use crate::engine::{Filter, Topic};
    use crate::model::InterfaceKind;
    use crate::snapshot::{FlowRecord, ObservedAt, Record, Severity};
    use crate::wire::fixtures;
    use std::sync::Arc;

    fn flow(number: u64, kind: InterfaceKind) -> Record {
        let flow = fixtures::flow();
        let observed_at = ObservedAt { kind, ..flow.observed_at.clone() };
        Record::Flow(Arc::new(FlowRecord { epoch: number, observed_at, ..flow }))
    }

    fn told(heard: Option<Heard>) -> String {
        match heard {
            Some(Heard::Record(Record::Flow(flow))) => format!("flow {}", flow.epoch),
            Some(Heard::Record(_)) => "finding".to_owned(),
            Some(Heard::Missed(records)) => format!("missed {records}"),
            Some(Heard::End) => "end".to_owned(),
            None => "nothing".to_owned(),
        }
    }

    fn ear(ring: &Running) -> Ear {
        Ear { filter: Filter::default(), flows: Some(ring.listen()), findings: None, names: None, held: None }
    }

    #[tokio::test]
    async fn a_slow_client_misses_the_oldest_and_a_quick_one_nothing() {
        let mut ring = Running::with_room(2);
        let (mut slow, mut quick) = (ear(&ring), ear(&ring));
        for number in 1..=5 {
            ring.take(flow(number, InterfaceKind::Veth));
            assert_eq!(told(Some(quick.next().await)), format!("flow {number}"));
        }
        assert_eq!(told(Some(slow.next().await)), "missed 3");
        assert_eq!([told(slow.another()), told(slow.another())], ["flow 4", "flow 5"]);
        assert_eq!(told(slow.another()), "nothing");
        // What there was no room for before it came here is missed by all.
        ring.take(Record::Lost(7));
        assert_eq!([told(Some(slow.next().await)), told(quick.another())], ["missed 7", "missed 7"]);
        drop(ring);
        assert_eq!(told(Some(slow.next().await)), "end");
    }

    #[tokio::test]
    async fn a_client_that_is_slow_over_a_loss_misses_all_of_it() {
        let mut ring = Running::with_room(2);
        let mut early = ear(&ring);
        ring.take(flow(1, InterfaceKind::Veth));
        ring.take(Record::Lost(5_000));
        let mut late = ear(&ring);
        for number in 2..=4 {
            ring.take(flow(number, InterfaceKind::Veth));
        }
        ring.take(Record::Lost(5_010));
        // Only the last record and the loss after it are there yet.
        let missed = 1 + 5_000 + 2;
        assert_eq!(
            [told(early.another()), told(early.another())],
            [format!("missed {missed}"), "flow 4".into()]
        );
        assert_eq!([told(early.another()), told(early.another())], ["missed 10", "nothing"]);
        // Who came after the first loss has no part in it.
        assert_eq!([told(Some(late.next().await)), told(Some(late.next().await))], ["missed 2", "flow 4"]);
        assert_eq!(told(Some(late.next().await)), "missed 10");
    }

    #[tokio::test]
    async fn a_client_hears_only_what_it_asked_for() {
        let (mut flows, mut findings) = (Running::with_room(8), Running::with_room(8));
        let filter = Filter { topic: Topic::All, ..Filter::default() };
        let mut ear = Ear { filter, findings: Some(findings.listen()), ..ear(&flows) };
        flows.take(flow(1, InterfaceKind::Bridge));
        flows.take(flow(2, InterfaceKind::Veth));
        findings.take(Record::Standing(Arc::new(fixtures::standing("a", Severity::Info))));
        let mut heard = [told(ear.another()), told(ear.another())];
        heard.sort();
        assert_eq!(heard, ["finding", "flow 2"]);
        assert_eq!(told(ear.another()), "nothing");
        // What it did not ask for is nothing that it missed.
        flows.take(flow(3, InterfaceKind::Bridge));
        flows.take(flow(4, InterfaceKind::Veth));
        assert_eq!([told(ear.another()), told(ear.another())], ["flow 4", "nothing"]);
    }
}
