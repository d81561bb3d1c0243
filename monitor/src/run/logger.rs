//! Messages beside the output, on standard error: warnings, and the kernel programs' diagnostics when asked for.
//!
//! While a screen owns the terminal they are kept, and told when it is gone.

use crate::model::SafeText;
use log::{Level, LevelFilter, Log, Metadata, Record};
use monitor_common::settings::feature;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages that are kept while a screen owns the terminal; of more, the first are kept.
const MOST_KEPT: usize = 100;

/// What was not told yet; absent while messages go straight to standard error.
static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);
static LOGGER: Logger = Logger;

struct Logger;

/// Takes the messages of this program from now on.
pub(super) fn start(features: u32) {
    if log::set_logger(&LOGGER).is_ok() {
        let diagnostics = features & feature::DIAGNOSTICS != 0;
        log::set_max_level(if diagnostics { LevelFilter::Debug } else { LevelFilter::Warn });
    }
}

/// One message to standard error. Where even that is closed, there is nobody to tell.
pub(super) fn tell(message: &str) {
    writeln!(std::io::stderr(), "vethwatch: {}", safe(message)).ok();
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
    message.lines().map(|line| SafeText::new(line).to_string()).collect::<Vec<_>>().join("\n")
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
