//! `capture`.

mod expression;
mod paper;
mod target;

use super::failure::Failure;
use super::logger;
use super::source::Source;
use super::watch::{Ended, Watch, over};
use crate::capture::Desk;
use crate::collector::probe;
use crate::collector::{Captured, StartError, clock};
use crate::engine::Filter;
use crate::model::CaptureCounts;
use crate::settings::{Capture, Settings};
use crate::snapshot::Record;
use crate::view::capture_ended;
use anyhow::anyhow;
use paper::Paper;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long what is written may lie here.
const FLUSH: Duration = Duration::from_millis(50);
/// Records that are taken in at once.
const BATCH: usize = 256;
/// How long the last packets and records may take to come, and a reader that stands still to take them.
const LAST: Duration = Duration::from_secs(10);
/// What is a long time for a disk.
const LAST_BYTES: Duration = Duration::from_secs(60);

/// Captures until as many packets came as are wanted, the time is over, or a signal comes.
pub(super) async fn run(settings: &Settings, capture: &Capture) -> Result<(), Failure> {
    let probe::Capabilities { missing, .. } = probe::capabilities();
    if !missing.is_empty() {
        return Err(StartError::NotPermitted { missing }.into());
    }
    let program = capture.expression.as_deref().map(expression::compile).transpose()?;
    // Before signals are caught: opening a named pipe waits for its reader.
    let output = capture.write.as_ref().map(target::open).transpose()?;
    let mut watch = Watch::start_own(settings, Some(Filter::default())).await?;
    if let Some(output) = output {
        watch.output = output;
    }
    let paper = Paper::new(&mut watch, capture);
    let captured = watch.session.take_captured().ok_or_else(|| anyhow!("nothing is captured"))?;
    let records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let desk = Desk::new(capture.filter.clone(), program, capture.count);
    let mut course = Course { watch, desk, paper, captured, records, counts: Vec::new(), counted: false };
    let ended = course.until_end(capture.watch_for).await;
    let ended = match ended {
        Ok(Ended::Done | Ended::Signal) => course.take_rest().await,
        other => other.map(|_| ()),
    };
    course.finish(ended).await
}

/// A capture that goes on.
struct Course {
    watch: Watch,
    desk: Desk,
    paper: Paper,
    captured: Receiver<Captured>,
    records: Receiver<Record>,
    /// What was captured at each interface until now.
    counts: Vec<CaptureCounts>,
    /// Whether that was not put down yet.
    counted: bool,
}

impl Course {
    async fn until_end(&mut self, watch_for: Option<Duration>) -> Result<Ended, Failure> {
        let mut over = pin!(over(watch_for));
        let mut flush = interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut records = Vec::new();
        loop {
            let Self { watch, desk, captured, .. } = self;
            tokio::select! {
                () = watch.signals.next() => return Ok(Ended::Signal),
                () = watch.output.closed() => return Ok(Ended::Closed),
                () = &mut over => return Ok(Ended::Done),
                changed = watch.session.changed() => {
                    changed?;
                    let choices = desk.learn(watch.session.snapshot());
                    choices.into_iter().for_each(|choice| watch.session.capture(choice));
                }
                count = self.records.recv_many(&mut records, BATCH) => {
                    if count == 0 {
                        return Err(watch.session.ended());
                    }
                    learn(desk, &watch.session, &mut records);
                }
                came = captured.recv() => match came {
                    Some(came) => self.take_in(came),
                    None => return Err(anyhow!("the capture ended unexpectedly").into()),
                },
                _ = flush.tick() => {}
            }
            if self.put_down(false).await.is_err() {
                return Ok(Ended::Closed);
            }
            if self.desk.is_done() {
                return Ok(Ended::Done);
            }
        }
    }

    fn take_in(&mut self, came: Captured) {
        match came {
            Captured::Packets(packets) => self.desk.take_in(packets),
            Captured::Counts(counts) => (self.counts, self.counted) = (counts, true),
        }
    }

    /// Puts down what can be told now, and has it written.
    async fn put_down(&mut self, last: bool) -> Result<(), super::output::Closed> {
        let Self { watch, desk, paper, counts, counted, .. } = self;
        paper.set_clock(watch.clock());
        while let Some(taken) = desk.next(clock::kernel_now(), last) {
            paper.packet(watch, &taken).await?;
        }
        if std::mem::take(counted) || last {
            paper.counts(desk, counts, last);
        }
        paper.flush(watch).await
    }

    /// Takes the programs off, and puts down all that was captured until then.
    async fn take_rest(&mut self) -> Result<(), Failure> {
        let Self { watch, desk, captured, records, counts, .. } = self;
        let snapshot = watch.session.snapshot();
        desk.learn(snapshot);
        // Both at once: the collector ends only when all that it captured was taken.
        let packets = async {
            while let Some(came) = captured.recv().await {
                match came {
                    Captured::Packets(packets) => desk.take_in(packets),
                    Captured::Counts(came) => *counts = came,
                }
            }
        };
        let (stopped, ()) = tokio::join!(watch.session.stop_collecting(), packets);
        stopped?;
        let mut batch = Vec::new();
        let rest = async {
            while records.recv_many(&mut batch, BATCH).await > 0 {
                learn(desk, &watch.session, &mut batch);
            }
        };
        // What is not known then is not known.
        let _ = timeout(LAST, rest).await;
        match timeout(LAST, self.put_down(true)).await {
            Ok(Ok(()) | Err(_)) => Ok(()),
            Err(_) => Err(anyhow!("nobody takes what is written: the end of the capture is missing").into()),
        }
    }

    /// Stops everything and says how it went.
    async fn finish(self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let Self { mut watch, desk, paper, captured, counts, .. } = self;
        // Whoever waits for them to be taken waits no more.
        drop(captured);
        let frame = watch.frame(false);
        let Watch { session, output, .. } = watch;
        let stopped = session.stop().await;
        let written = timeout(LAST_BYTES, output.finish(LAST_BYTES * 2)).await;
        let sum = desk.sum();
        let lost = counts.iter().filter(|counts| paper.tells_of(counts)).map(|counts| counts.dropped).sum();
        logger::tell(&capture_ended(sum.taken, paper.interfaces(), lost, sum.undecided).draw(&frame));
        ended?;
        written.map_err(|_| anyhow!("nobody takes what is written: the end of the capture is missing"))??;
        stopped.map(|_| ())
    }
}

/// Takes in records of flows.
fn learn(desk: &mut Desk, session: &Source, records: &mut Vec<Record>) {
    for record in records.drain(..) {
        if let Record::Flow(flow) = record
            && let Some(choice) = desk.learn_flow(flow)
        {
            session.capture(choice);
        }
    }
}
