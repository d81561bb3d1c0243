//! Messages on their way out, by a thread of its own: where nobody takes them, only that thread waits.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// How long who tells something waits until it is written: so messages keep their place among the lines of standard
/// output, and are out before the process ends.
const PATIENCE: Duration = Duration::from_millis(100);
/// Messages that may wait. Of more, the first are kept; the others are counted, and told as that many.
const MOST_WAITING: usize = 256;

/// A queue of messages, and who writes them. The thread stays as long as the process.
#[derive(Debug, Default)]
pub(super) struct Spool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<String>,
    /// Messages that were ever in the queue.
    told: u64,
    /// Those of them that were written.
    written: u64,
    /// Those that there was no room for, and that this was not told of yet.
    lost: u64,
    /// Somebody has waited for a message in vain, and none was written since: nobody else waits.
    stands_still: bool,
}

impl State {
    fn next(&mut self) -> Option<String> {
        if self.waiting.is_empty() && self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.add(format!("vethwatch: {lost} messages were lost: whatever takes them stood still\n"));
        }
        self.waiting.pop_front()
    }

    fn add(&mut self, message: String) {
        self.told += 1;
        self.waiting.push_back(message);
    }
}

impl Spool {
    /// Writes to this from now on.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let spool = Arc::new(Self::default());
        let writer = Arc::clone(&spool);
        Builder::new().name("vw-messages".into()).spawn(move || writer.write(to))?;
        Ok(spool)
    }

    /// Tells a message, with the end of its line; waits until it is written, but not long.
    pub(super) fn tell(&self, message: String) {
        let mut state = self.state();
        if state.waiting.len() >= MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.add(message);
        self.changed.notify_all();
        if !state.stands_still {
            self.wait(state);
        }
    }

    /// Waits until all is written, but not long.
    pub(super) fn finish(&self) {
        self.wait(self.state());
    }

    fn wait(&self, state: MutexGuard<'_, State>) {
        let last = state.told;
        let waits = |state: &mut State| state.written < last;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, waits);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.stands_still |= waited.timed_out();
    }

    /// Writes for ever.
    fn write(&self, mut to: impl Write) {
        let mut state = self.state();
        loop {
            let Some(message) = state.next() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // Where even that is closed, there is nobody to tell.
            drop(to.write_all(message.as_bytes()));
            state = self.state();
            state.written += 1;
            state.stands_still = false;
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_WAITING, PATIENCE, Spool};
    use std::io::{BufRead as _, BufReader, PipeReader, pipe};
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Time enough on a machine that has much to do.
    const ENOUGH: Duration = Duration::from_secs(20);

    /// Runs something that must not wait for a reader.
    fn without_waiting(spool: &Arc<Spool>, run: impl FnOnce(&Spool) + Send + 'static) {
        let (done, is_done) = mpsc::channel();
        let spool = Arc::clone(spool);
        std::thread::spawn(move || {
            run(&spool);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(ENOUGH).expect("it waits for the reader");
    }

    fn line(reader: &mut BufReader<PipeReader>) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn what_is_told_is_written_by_then_and_in_order() {
        let (reader, writer) = pipe().unwrap();
        let spool = Spool::start(writer).unwrap();
        for number in 0..10 {
            spool.tell(format!("{number}\n"));
        }
        spool.finish();
        let mut reader = BufReader::new(reader);
        for number in 0..10 {
            assert_eq!(line(&mut reader), format!("{number}\n"));
        }
    }

    #[test]
    fn a_reader_that_stands_still_holds_up_nobody_and_is_told_how_much_it_missed() {
        let (reader, writer) = pipe().unwrap();
        let spool = Spool::start(writer).unwrap();
        // More than a pipe has room for, in one message.
        let long = format!("{}\n", "x".repeat(1 << 20));
        let first = long.clone();
        without_waiting(&spool, move |spool| spool.tell(first));
        // If each of them waited, this would take longer than it may.
        assert!(PATIENCE * 1_000 > ENOUGH);
        without_waiting(&spool, |spool| {
            for number in 0..1_000 {
                spool.tell(format!("{number}\n"));
            }
            spool.finish();
        });
        let mut reader = BufReader::new(reader);
        assert_eq!(line(&mut reader), long);
        for number in 0..MOST_WAITING {
            assert_eq!(line(&mut reader), format!("{number}\n"));
        }
        let lost = 1_000 - MOST_WAITING;
        let told = line(&mut reader);
        assert_eq!(told, format!("vethwatch: {lost} messages were lost: whatever takes them stood still\n"));
        // It goes on.
        without_waiting(&spool, |spool| spool.tell("again\n".to_owned()));
        assert_eq!(line(&mut reader), "again\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_reason_to_wait() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let spool = Spool::start(writer).unwrap();
        without_waiting(&spool, |spool| {
            (0..1_000).for_each(|number| spool.tell(format!("{number}\n")));
        });
    }
}
