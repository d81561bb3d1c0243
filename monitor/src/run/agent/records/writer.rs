//! The task that takes records, and the thread that writes them.

use super::account::Account;
use super::lines::Lines;
use crate::collector::clock;
use crate::model::KernelTime;
use crate::snapshot::Record;
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Records that are taken at once.
const BATCH: usize = 512;
/// Bytes of lines that are written without waiting for more.
const LARGE: usize = 256 << 10;
/// How long the next of the last lines may take to be written, and how often that is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST_WAITS: usize = 5;

/// Records that are being written.
#[derive(Debug)]
pub(super) struct Writing {
    taker: JoinHandle<()>,
    writer: JoinHandle<()>,
    account: Arc<Account>,
    /// Dropped to take no more.
    stop: oneshot::Sender<()>,
    /// Dropped to wait no longer for the writer.
    give_up: oneshot::Sender<()>,
}

impl Writing {
    /// Writes what this queue has, until it ends; `lost` counts what could not be written.
    pub(super) fn start(
        lines: Lines,
        store: Store,
        records: mpsc::Receiver<Record>,
        lost: Arc<AtomicU64>,
    ) -> Self {
        let account = Arc::new(Account::new(lost));
        let ((stop, stopped), (give_up, given_up)) = (oneshot::channel(), oneshot::channel());
        let (batches, to_write) = mpsc::channel(1);
        let taker = Taker { records, to: batches, account: Arc::clone(&account) };
        let writer = Writer { lines, store, account: Arc::clone(&account) };
        Self {
            taker: tokio::spawn(taker.take(stopped, given_up)),
            writer: tokio::task::spawn_blocking(|| writer.write(to_write)),
            account,
            stop,
            give_up,
        }
    }

    /// Takes no more, and waits until everything is written, but not long, unless it goes on. What is not is lost; of what the
    /// thread has in hand then, some may be written all the same.
    pub(super) async fn end(self) {
        let Self { taker, mut writer, account, stop, give_up } = self;
        drop(stop);
        for wait in 1..=MOST_WAITS {
            let settled = account.settled();
            match tokio::time::timeout(PATIENCE, &mut writer).await {
                Ok(Ok(())) => return,
                Ok(Err(panicked)) => {
                    log::error!("records were not written to the end: {panicked}");
                    break;
                }
                Err(_) if account.settled() == settled || wait == MOST_WAITS => {
                    log::warn!("whatever takes the records hangs");
                    break;
                }
                Err(_) => {}
            }
        }
        drop(give_up);
        if let Err(panicked) = taker.await {
            log::error!("records were not taken to the end: {panicked}");
        }
        account.close();
    }
}

/// The task.
struct Taker {
    records: mpsc::Receiver<Record>,
    to: mpsc::Sender<Vec<Record>>,
    account: Arc<Account>,
}

impl Taker {
    /// Hands records to the thread until their queue ends, which it does when `stop` is dropped; or until `give_up` is, or
    /// the thread is gone. What is still in the queue then waits for ever.
    async fn take(mut self, mut stop: oneshot::Receiver<()>, mut give_up: oneshot::Receiver<()>) {
        let (mut batch, mut stopped) = (Vec::new(), false);
        loop {
            tokio::select! {
                _ = &mut stop, if !stopped => {
                    stopped = true;
                    self.records.close();
                }
                _ = &mut give_up => break,
                room = self.to.reserve(), if !batch.is_empty() => match room {
                    Ok(room) => room.send(std::mem::take(&mut batch)),
                    Err(_) => break,
                },
                count = self.records.recv_many(&mut batch, BATCH), if batch.is_empty() => {
                    if count == 0 {
                        return;
                    }
                    self.account.add(&batch);
                }
            }
        }
        while let Ok(record) = self.records.try_recv() {
            self.account.add(&[record]);
        }
    }
}

/// The thread.
struct Writer {
    lines: Lines,
    store: Store,
    account: Arc<Account>,
}

impl Writer {
    /// Writes until no more batches come, or nobody waits for it any more.
    fn write(mut self, mut batches: mpsc::Receiver<Vec<Record>>) {
        while let Some(batch) = batches.blocking_recv() {
            let (now, before) = (clock::kernel_now(), self.store.lost());
            self.lines.set_clock(now, clock::wall_now());
            batch.iter().for_each(|record| self.take(record, now));
            self.hand_over();
            if !self.account.settle(&batch, self.store.lost() - before) {
                return;
            }
        }
    }

    fn take(&mut self, record: &Record, now: KernelTime) {
        if self.store.takes(now) {
            self.lines.add(record);
            if self.lines.text().len() >= LARGE {
                self.hand_over();
            }
        } else {
            self.store.lose(self.lines.leave_out(record));
        }
    }

    fn hand_over(&mut self) {
        self.store.write(self.lines.text(), clock::kernel_now(), clock::wall_now());
        self.lines.written();
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Store, Writing};
    use crate::run::agent::records::lines::tests::lines;
    use crate::snapshot::Record;
    use crate::wire::fixtures;
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use tokio::sync::mpsc;

    const RECORDS: usize = 4 * BATCH;

    /// So many flows and what the queue says of itself, and a reader who has not read anything yet.
    fn start(lost: &Arc<AtomicU64>) -> (Writing, mpsc::Sender<Record>, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (queue, records) = mpsc::channel(2 * RECORDS);
        let flow = Arc::new(fixtures::flow());
        for _ in 0..RECORDS {
            queue.try_send(Record::Flow(Arc::clone(&flow))).unwrap();
        }
        queue.try_send(Record::Lost(3)).unwrap();
        let lines = lines(true, true, false);
        let store = Store::in_pipe(File::from(OwnedFd::from(writer)));
        (Writing::start(lines, store, records, Arc::clone(lost)), queue, reader)
    }

    fn count_lines(mut reader: std::io::PipeReader) -> usize {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines().count()
    }

    #[tokio::test]
    async fn what_a_target_that_hangs_has_not_taken_is_lost_once() {
        let lost = Arc::new(AtomicU64::new(7));
        let (writing, queue, reader) = start(&lost);
        writing.end().await;
        let all = RECORDS as u64 + 7;
        assert_eq!(lost.load(Ordering::Relaxed), all);
        assert!(queue.is_closed(), "nobody reads, and the queue is kept");
        // When it takes some again, what is in hand is written and no more, and nothing is counted twice.
        let lines = tokio::task::spawn_blocking(|| count_lines(reader)).await.unwrap();
        assert_eq!(lines, BATCH);
        assert_eq!(lost.load(Ordering::Relaxed), all);
    }

    #[tokio::test]
    async fn what_a_reader_takes_in_time_is_written_to_the_end() {
        let lost = Arc::default();
        let (writing, _queue, reader) = start(&lost);
        let reading = tokio::task::spawn_blocking(|| count_lines(reader));
        writing.end().await;
        assert_eq!((reading.await.unwrap(), lost.load(Ordering::Relaxed)), (RECORDS, 0));
    }

    #[tokio::test]
    async fn a_reader_who_goes_while_it_hangs_is_not_counted_twice() {
        let lost = Arc::default();
        let (writing, _queue, reader) = start(&lost);
        let account = Arc::clone(&writing.account);
        writing.end().await;
        drop(reader);
        // The thread ends, and with it what it has of the account.
        let ended = async {
            while Arc::strong_count(&account) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
        assert_eq!(lost.load(Ordering::Relaxed), RECORDS as u64);
    }
}
