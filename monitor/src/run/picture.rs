//! One picture that is worth showing: Docker has told what there is, and rates have a window.

use super::failure::Failure;
use super::watch::{Ended, Watch};
use crate::snapshot::{Snapshot, reason};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a picture may take; what is missing then is shown as missing.
const LONGEST: Duration = Duration::from_millis(2_300);
/// How much longer than its window.
const BEYOND_WINDOW: Duration = Duration::from_millis(1_500);

/// Waits for a picture, or for something to end the command.
///
/// # Errors
/// When the engine has ended by a fault.
pub(super) async fn wait(
    watch: &mut Watch,
    window: Duration,
) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    let mut deadline = pin!(tokio::time::sleep(LONGEST.max(window + BEYOND_WINDOW)));
    loop {
        let snapshot = watch.session.snapshot();
        if is_worth_showing(&snapshot, watch, window) {
            return Ok(Ok(snapshot));
        }
        tokio::select! {
            changed = watch.session.changed() => changed?,
            () = watch.signals.next() => return Ok(Err(Ended::Signal)),
            () = watch.output.closed() => return Ok(Err(Ended::Closed)),
            () = &mut deadline => return Ok(Ok(watch.session.snapshot())),
        }
    }
}

fn is_worth_showing(snapshot: &Snapshot, watch: &Watch, window: Duration) -> bool {
    let told = watch.session.docker_told().is_some_and(|told| told < snapshot.taken_at);
    let awaited = |reason: &str| reason == reason::NOT_ANNOUNCED_YET;
    let named = !snapshot.unattributed.iter().any(|row| awaited(row.reason));
    // Nine tenths: ticks are not exact.
    let measured = snapshot.window * 10 >= window * 9;
    told && named && (measured || snapshot.containers.is_empty())
}
