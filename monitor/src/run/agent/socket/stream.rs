//! Streams of public lines.

use super::Shared;
use super::hub::{Ear, Heard};
use super::seeds::Seeds;
use crate::engine::{Filter, Topic};
use crate::settings::Kinds;
use crate::snapshot::{Finding, FlowRecord, Record, Standing};
use crate::wire::{self, Body, Clock, FindingBody, FlowBody, LostBody, NameBody, StandingBody, StatusBody};
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Pieces that may wait to be sent.
const PIECES: usize = 2;
/// A piece of this size is sent at once.
pub(super) const LARGE: usize = 64 << 10;
/// How often the status is told.
const STATUS: Duration = Duration::from_secs(10);

/// Flows, or names that are asked for, from now on.
pub(super) fn records(shared: &Arc<Shared>, filter: Filter) -> mpsc::Receiver<Bytes> {
    start(shared, filter, None)
}

/// Findings of some kinds, those that are open first.
pub(super) fn violations(shared: &Arc<Shared>, kinds: Kinds) -> mpsc::Receiver<Bytes> {
    start(shared, Filter { topic: Topic::Findings, ..Filter::default() }, Some(kinds))
}

fn start(shared: &Arc<Shared>, filter: Filter, kinds: Option<Kinds>) -> mpsc::Receiver<Bytes> {
    let (out, pieces) = mpsc::channel(PIECES);
    let ear = shared.hub.listen(filter);
    let lines = Lines {
        stream: wire::Stream::new(shared.host().clone()),
        shared: Arc::clone(shared),
        kinds,
        missed: 0,
        text: String::new(),
        out,
    };
    // It ends with its client or the engine.
    tokio::spawn(lines.write(ear));
    pieces
}

/// The client has gone.
struct Gone;

/// One client's lines.
struct Lines {
    shared: Arc<Shared>,
    stream: wire::Stream,
    /// Of findings, the kinds that are wanted.
    kinds: Option<Kinds>,
    missed: u64,
    text: String,
    out: mpsc::Sender<Bytes>,
}

impl Lines {
    /// Writes until the client has gone or the engine ends: both are the end of it.
    async fn write(mut self, mut ear: Ear) {
        drop(self.write_all(&mut ear).await);
    }

    async fn write_all(&mut self, ear: &mut Ear) -> Result<(), Gone> {
        let mut status = tokio::time::interval(STATUS);
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seeds = Seeds::new(&self.shared.snapshots, self.kinds.is_some());
        loop {
            tokio::select! {
                biased;
                _ = status.tick() => self.status(),
                () = self.out.closed() => return Err(Gone),
                open = seeds.next() => self.records(&open).await?,
                heard = ear.next() => {
                    let mut heard = Some(heard);
                    while let Some(now) = heard {
                        match now {
                            Heard::Record(record) => if seeds.is_news(&record) { self.record(&record) },
                            Heard::Missed(records) => self.missed(records),
                            Heard::End => return self.send().await,
                        }
                        heard = if self.text.len() < LARGE { ear.another() } else { None };
                    }
                }
            }
            self.send().await?;
        }
    }

    async fn send(&mut self) -> Result<(), Gone> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.out.send(Bytes::from(std::mem::take(&mut self.text))).await.map_err(|_| Gone)
    }

    fn line(&mut self, body: impl Body) {
        self.text += &self.stream.line(body);
        self.text.push('\n');
    }

    fn record(&mut self, record: &Record) {
        let clock = self.shared.clock();
        match record {
            Record::Flow(flow) => self.flow(flow, &clock),
            Record::Finding(finding) => self.finding(finding, &clock),
            Record::Standing(standing) => self.standing(standing, &clock),
            Record::Name(name) => self.line(NameBody::new(name, &clock)),
            // Nobody asks for samples, and what is lost is told by whoever hands records out.
            Record::Sample(_) | Record::Lost(_) => {}
        }
    }

    /// Tells many at once, in pieces.
    async fn records(&mut self, records: &[Record]) -> Result<(), Gone> {
        for record in records {
            self.record(record);
            if self.text.len() >= LARGE {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn flow(&mut self, flow: &FlowRecord, clock: &Clock) {
        self.line(FlowBody::new(flow, clock));
    }

    fn finding(&mut self, finding: &Finding, clock: &Clock) {
        if self.kinds.as_ref().is_some_and(|kinds| kinds.of_traffic.contains(&finding.kind)) {
            self.line(FindingBody::new(finding, clock));
        }
    }

    fn standing(&mut self, standing: &Standing, clock: &Clock) {
        if self.kinds.as_ref().is_some_and(|kinds| kinds.posture) {
            self.line(StandingBody::new(standing, clock));
        }
    }

    fn missed(&mut self, records: u64) {
        self.missed += records;
        self.shared.tally.missed(records);
        self.line(LostBody { records: self.missed });
    }

    fn status(&mut self) {
        let (snapshot, clock) = (Arc::clone(&self.shared.snapshots.borrow()), self.shared.clock());
        self.line(StatusBody::new(&snapshot, &clock));
    }
}
