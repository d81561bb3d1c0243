//! Messages beside the output, on standard error: warnings, and the kernel programs' diagnostics when asked for.
//!
//! While a screen owns the terminal they are kept, and told when it is gone. A reader that takes none of them holds up
//! nobody.

mod spool;

use crate::model::SafeText;
use log::{Level, LevelFilter, Log, Metadata, Record};
use monitor_common::settings::feature;
use spool::Spool;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Messages that are kept while a screen owns the terminal; of more, the first are kept.
const MOST_KEPT: usize = 100;

/// The most characters of a line that are told: a file's name and what is wrong in it.
const LONGEST_LINE: usize = 5_120;

/// What was not told yet; absent while messages go straight to standard error.
static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);
static LOGGER: Logger = Logger;
/// By which messages go out, once there is a thread for that.
static SPOOL: OnceLock<Arc<Spool>> = OnceLock::new();

struct Logger;

/// Takes the messages of this program from now on. Whoever tells something writes it, until [`start_thread`].
pub(super) fn start(features: u32) {
    if log::set_logger(&LOGGER).is_ok() {
        let diagnostics = features & feature::DIAGNOSTICS != 0;
        log::set_max_level(if diagnostics { LevelFilter::Debug } else { LevelFilter::Warn });
    }
}

/// From now on a thread writes what is told.
pub(super) fn start_thread() {
    // Where there is none to be had, it stays as it was.
    if let Ok(spool) = Spool::start(std::io::stderr()) {
        SPOOL.get_or_init(|| spool);
    }
}

/// One message to standard error.
pub(super) fn tell(message: &str) {
    let message = format!("vethwatch: {}\n", safe(message));
    match SPOOL.get() {
        Some(spool) => spool.tell(message),
        // Nothing runs yet that could be held up. Where even that is closed, there is nobody to tell.
        None => drop(std::io::stderr().write_all(message.as_bytes())),
    }
}

/// Before the end: waits until what was told is written, unless whatever takes it stands still.
pub(super) fn finish() {
    if let Some(spool) = SPOOL.get() {
        spool.finish();
    }
}

/// Keeps messages back until [`release`].
pub(super) fn hold() {
    kept().get_or_insert_default();
}

/// Tells what was kept back, and from now on everything at once.
pub(super) fn release() {
    let messages = kept().take();
    messages.into_iter().flatten().for_each(|message| tell(&message));
}

fn kept() -> MutexGuard<'static, Option<Vec<String>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message may carry text from outside; each of its lines is made safe.
fn safe(message: &str) -> String {
    message
        .lines()
        .map(|line| SafeText::of_length(line, LONGEST_LINE).to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

impl Log for Logger {
    /// Only what this program says itself; libraries talk for their own developers.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = ["monitor", "vethwatch"].iter().any(|name| metadata.target().starts_with(name));
        ours && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = match record.level() {
            Level::Error | Level::Warn => record.args().to_string(),
            level => format!("{} {}", level.as_str().to_lowercase(), record.args()),
        };
        match kept().as_mut() {
            Some(kept) if kept.len() < MOST_KEPT => kept.push(message),
            Some(_) => {}
            None => tell(&message),
        }
    }

    fn flush(&self) {}
}
