//! Records as JSON lines in a file or on standard output.
//!
//! ```text
//! engine ─Record─▶ its queue for us ─▶ task ─▶ thread: lines ─▶ Store
//! ```
//!
//! The thread waits for the disk, or for who reads standard output. While it hangs, the queue fills, and the engine counts
//! what finds no room in it.

mod account;
mod kept;
mod lines;
mod writer;

use super::part::{Run, Sight};
use crate::engine::{Feed, Filter, Subscription, Topic};
use crate::helper::Helper;
use crate::run::failure::Failure;
use crate::run::logger;
use crate::settings;
use crate::snapshot::Record;
use crate::store::{Rotation, Store};
use anyhow::Context as _;
use kept::Kept;
use lines::Lines;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use writer::Writing;

/// A place for records, and who writes to it.
#[derive(Debug)]
pub(super) struct Records {
    wanted: settings::Records,
    /// Until somebody writes to it.
    store: Option<Store>,
    /// A queue that goes on where that of the one before ended, until somebody reads it.
    queue: Option<(mpsc::Receiver<Record>, Subscription)>,
    work: Option<Work>,
}

/// What is done.
#[derive(Debug)]
struct Work {
    subscription: Subscription,
    writing: Writing,
    not_written: Arc<AtomicU64>,
    /// How many were not written before it.
    before: u64,
}

impl Run for Records {
    type Settings = settings::Records;
    const NAME: &'static str = "records";

    async fn open(
        wanted: &settings::Records,
        before: Option<&Self>,
        helper: &Helper,
    ) -> Result<Self, Failure> {
        let store = store(wanted, before.map(|before| &before.wanted), helper)?;
        Ok(Self { wanted: wanted.clone(), store: Some(store), queue: None, work: None })
    }

    async fn hand_over(&self, next: &mut Self, feed: &Feed) {
        if let Some(work) = &self.work {
            next.queue = Some(feed.go_on(&work.subscription, filter(&next.wanted)).await);
        }
    }

    fn start(&mut self, sight: Sight) {
        let Some(store) = self.store.take() else { return };
        let Sight { feed, hello, not_written, .. } = sight;
        let queue = self.queue.take();
        let (records, subscription) = queue.unwrap_or_else(|| feed.subscribe_for_now(filter(&self.wanted)));
        let lines = Lines::new(hello.host, hello.booted, &self.wanted);
        let before = not_written.load(Ordering::Relaxed);
        let writing = Writing::start(lines, store, records, Arc::clone(&not_written));
        self.work = Some(Work { subscription, writing, not_written, before });
    }

    /// Waits until what was told is written, but not long; says what is missing.
    async fn stop(self) {
        let Some(work) = self.work else { return };
        work.writing.end().await;
        let lost = work.not_written.load(Ordering::Relaxed) - work.before;
        if lost > 0 {
            logger::tell(&format!("{lost} records could not be written"));
        }
    }

    fn told(&self) -> String {
        format!("records are written to {}", target(&self.wanted))
    }
}

/// Which records are asked for.
fn filter(wanted: &settings::Records) -> Filter {
    let topic = match (wanted.flows, wanted.findings) {
        (true, true) => Topic::All,
        (true, false) => Topic::Flows,
        (false, true) => Topic::Findings,
        (false, false) => Topic::Names,
    };
    Filter { topic, names: wanted.names, open: true, ..Filter::default() }
}

/// Where to write. A file that was written to until now is open, and locked, until that ends.
fn store(
    wanted: &settings::Records,
    before: Option<&settings::Records>,
    helper: &Helper,
) -> Result<Store, Failure> {
    let Some(file) = &wanted.file else {
        return Ok(Store::in_pipe(File::from(std::io::stdout().as_fd().try_clone_to_owned()?)));
    };
    let rotation = Rotation { size: wanted.rotate_size, age: wanted.rotate_age, keep: wanted.keep as usize };
    let is_open = before.is_some_and(|before| before.file == wanted.file);
    let keeper = Box::new(Kept { path: file.clone(), helper: helper.clone() });
    if is_open {
        return Ok(Store::in_file(keeper, file, rotation));
    }
    let store = Store::in_free_file(keeper, file, rotation);
    store.with_context(|| format!("records cannot be written to {}", target(wanted))).map_err(Failure::wrong)
}

fn target(wanted: &settings::Records) -> String {
    wanted.file.as_ref().map_or_else(|| "standard output".to_owned(), |file| file.display().to_string())
}
