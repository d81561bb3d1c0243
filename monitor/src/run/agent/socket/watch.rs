//! The stream that commands of the same version read.

use super::Shared;
use super::hub::{Ear, Heard};
use super::pictures::{About, NoPicture, Picture};
use super::seeds::Seeds;
use super::stream::LARGE;
use crate::engine::{Filter, Topic};
use crate::run::protocol::Message;
use crate::snapshot::{Record, Snapshot};
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// The shortest time between two snapshots: they are published more often than anything is counted.
const BETWEEN: Duration = Duration::from_millis(250);

/// Pieces that may wait to be sent: one may be a whole snapshot.
const PIECES: usize = 1;

/// Snapshots, the latest only, and the records that were asked for.
pub(super) fn watch(shared: &Arc<Shared>, filter: Option<Filter>) -> mpsc::Receiver<Bytes> {
    let (out, pieces) = mpsc::channel(PIECES);
    let is_about_findings = filter.as_ref().is_some_and(|filter| filter.topic == Topic::Findings);
    let ear = filter.map(|filter| shared.hub.listen(filter));
    let client = Client {
        shared: Arc::clone(shared),
        snapshots: shared.snapshots.clone(),
        shown: None,
        missed: 0,
        text: Vec::new(),
        out,
    };
    // It ends with its client or the engine.
    tokio::spawn(client.write(ear, is_about_findings));
    pieces
}

/// Nothing more is to be told: the client has gone, the engine has ended, or there is no text for what is to be said.
struct Over;

impl From<serde_json::Error> for Over {
    fn from(error: serde_json::Error) -> Self {
        log::warn!("a message for a client could not be written: {error}");
        Self
    }
}

/// One client.
struct Client {
    shared: Arc<Shared>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What was sent last. As long as it is kept, others need not write it again.
    shown: Option<Arc<Picture>>,
    missed: u64,
    text: Vec<u8>,
    out: mpsc::Sender<Bytes>,
}

impl Client {
    async fn write(mut self, ear: Option<Ear>, is_about_findings: bool) {
        // All ways to end are fine: see `Over`.
        drop(self.write_all(ear, is_about_findings).await);
    }

    async fn write_all(&mut self, mut ear: Option<Ear>, is_about_findings: bool) -> Result<(), Over> {
        self.message(&Message::Hello(self.shared.hello.clone()))?;
        self.send().await?;
        self.snapshot().await?;
        let mut seeds = Seeds::new(&self.shared.snapshots, is_about_findings);
        let mut beat = tokio::time::interval(BETWEEN);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.out.closed() => return Err(Over),
                _ = beat.tick() => if self.snapshots.has_changed().map_err(|_| Over)? {
                    self.snapshot().await?;
                },
                open = seeds.next() => self.records(open).await?,
                heard = hear(&mut ear) => self.heard(heard, &mut ear, &mut seeds)?,
            }
            self.send().await?;
        }
    }

    /// Sends the latest snapshot when what was to be said before is on its way. Where there is no room for it, it is tried
    /// again at the next beat.
    async fn snapshot(&mut self) -> Result<(), Over> {
        let room = self.out.reserve().await.map_err(|_| Over)?;
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        let docker_told = *self.shared.docker_told.borrow();
        // What nobody wants any more must not keep the next one from being written.
        self.shown = None;
        let picture = self.shared.pictures.of(About::Itself, &snapshot, docker_told, || {
            let mut text = Vec::new();
            write(&Message::Snapshot { docker_told, snapshot: Arc::clone(&snapshot) }, &mut text)?;
            Ok(text)
        });
        match picture {
            Ok(picture) => {
                room.send(picture.bytes());
                self.shown = Some(picture);
            }
            Err(NoPicture::NoRoom) => self.snapshots.mark_changed(),
            Err(NoPicture::Unwritten(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes in what was heard, and what is there beside it.
    fn heard(&mut self, first: Heard, ear: &mut Option<Ear>, seeds: &mut Seeds) -> Result<(), Over> {
        let mut heard = Some(first);
        while let Some(now) = heard {
            match now {
                Heard::Record(record) if !seeds.is_news(&record) => {}
                Heard::Record(record) => self.message(&Message::Record(record))?,
                Heard::Missed(records) => {
                    self.missed += records;
                    self.shared.tally.missed(records);
                    self.message(&Message::Record(Record::Lost(self.missed)))?;
                }
                Heard::End => return Err(Over),
            }
            let has_room = self.text.len() < LARGE;
            heard = ear.as_mut().filter(|_| has_room).and_then(Ear::another);
        }
        Ok(())
    }

    /// Tells many at once, in pieces.
    async fn records(&mut self, records: Vec<Record>) -> Result<(), Over> {
        for record in records {
            self.message(&Message::Record(record))?;
            if self.text.len() >= LARGE {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), Over> {
        Ok(write(message, &mut self.text)?)
    }

    async fn send(&mut self) -> Result<(), Over> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.out.send(std::mem::take(&mut self.text).into()).await.map_err(|_| Over)
    }
}

/// Writes a line.
fn write(message: &Message, into: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *into, message)?;
    into.push(b'\n');
    Ok(())
}

/// Waits for ever where no records were asked for.
async fn hear(ear: &mut Option<Ear>) -> Heard {
    match ear {
        Some(ear) => ear.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::model::KernelTime;
    use crate::run::protocol::Message;
    use crate::wire::fixtures;
    use std::sync::Arc;

    #[test]
    fn a_snapshot_is_a_line_and_reads_as_it_was() {
        for snapshot in [fixtures::snapshot(), fixtures::troubled_snapshot()].map(Arc::new) {
            let docker_told = Some(KernelTime(7));
            let mut text = Vec::new();
            write(&Message::Snapshot { docker_told, snapshot: Arc::clone(&snapshot) }, &mut text).unwrap();
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
            let Message::Snapshot { docker_told: told, snapshot: read } =
                serde_json::from_slice(&text).unwrap()
            else {
                panic!("{text:?}");
            };
            assert_eq!((told, read), (docker_told, snapshot));
        }
    }
}
