//! Follows an agent: reads all that it says at once, so that it never has to wait for us.

use super::lines::{Lines, Over};
use crate::model::KernelTime;
use crate::run::protocol::Message;
use crate::snapshot::{Record, Snapshot};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Who reads what an agent says. All channels close when nothing more comes.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) docker_told: watch::Sender<Option<KernelTime>>,
    pub(super) records: Queue,
    /// Why nothing more comes.
    pub(super) why: Arc<OnceLock<String>>,
    /// An agent that says nothing for so long is taken for stuck.
    pub(super) silence: Duration,
}

impl Follower {
    /// Reads until nothing more comes.
    pub(super) async fn follow(mut self, mut lines: Lines) {
        let over = loop {
            match tokio::time::timeout(self.silence, lines.next()).await {
                Ok(Ok(message)) => self.take(message),
                Ok(Err(over)) => break over.to_string(),
                Err(_) => break "it says nothing any more".to_owned(),
            }
        };
        self.why.get_or_init(|| over);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Snapshot { docker_told, snapshot } => {
                self.docker_told.send_replace(docker_told);
                self.snapshots.send_replace(snapshot);
            }
            Message::Record(record) => self.records.put(record),
            // It was said at the start.
            Message::Hello(_) => {}
        }
    }
}

/// What a command reads, or does not.
#[derive(Debug)]
pub(super) struct Queue {
    /// Absent where it reads none.
    to: Option<mpsc::Sender<Record>>,
    /// What the agent had no room for, and what this queue had none for.
    lost: [u64; 2],
    told: u64,
}

impl Queue {
    pub(super) const fn new(to: Option<mpsc::Sender<Record>>) -> Self {
        Self { to, lost: [0; 2], told: 0 }
    }

    /// Puts a record in, or counts it as lost.
    fn put(&mut self, record: Record) {
        let Some(to) = &self.to else { return };
        if let Record::Lost(lost) = record {
            self.lost[0] = lost;
        }
        let lost = self.lost.iter().sum();
        // A command that no longer reads ends soon, and takes this with it.
        if lost != self.told && to.try_send(Record::Lost(lost)).is_ok() {
            self.told = lost;
        }
        if !matches!(record, Record::Lost(_)) && to.try_send(record).is_err() {
            self.lost[1] += 1;
        }
    }
}

/// The first message.
///
/// # Errors
/// When another one is said, or none.
pub(super) async fn first<T>(lines: &mut Lines, wanted: fn(Message) -> Option<T>) -> Result<T, String> {
    let message = lines.next().await.map_err(|over: Over| over.to_string())?;
    wanted(message).ok_or_else(|| "what it says is not understood".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::snapshot::Record;
    use crate::wire::fixtures;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    #[test]
    fn what_is_lost_here_and_there_is_told_together() {
        let (to, mut read) = mpsc::channel(2);
        let mut queue = Queue::new(Some(to));
        let flow = || Record::Flow(Arc::new(fixtures::flow()));
        queue.put(Record::Lost(3));
        queue.put(flow());
        assert_eq!(read.try_recv(), Ok(Record::Lost(3)));
        queue.put(flow());
        queue.put(flow());
        queue.put(flow());
        assert_eq!([read.try_recv(), read.try_recv()], [Ok(flow()), Ok(flow())]);
        queue.put(flow());
        assert_eq!([read.try_recv(), read.try_recv()], [Ok(Record::Lost(5)), Ok(flow())]);
        assert!(read.try_recv().is_err());
    }
}
