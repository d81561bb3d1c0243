//! One picture that is worth showing: Docker has told what there is, and rates have a window.

use super::failure::Failure;
use super::output::Closed;
use super::watch::{Ended, Watch};
use crate::model::{ContainerState, DockerState, NetworkDriver, Traffic};
use crate::snapshot::{ContainerRow, Snapshot, reason};
use crate::view::{Frame, Line};
use crate::wire::{ContainerBody, StatusBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a picture may take; what is missing then is shown as missing.
const LONGEST: Duration = Duration::from_millis(2_300);
/// How much longer than its window.
const BEYOND_WINDOW: Duration = Duration::from_millis(1_500);
/// After the programs were attached to one more interface, this much more than a window passes until totals and
/// flows were read once: on a busy kernel a hundred interfaces take seconds.
const READING: Duration = Duration::from_millis(300);
/// But it takes no longer than this in all.
const LONGEST_ATTACHING: Duration = Duration::from_secs(10);

/// Waits for a picture and prints it: as text that `draw` makes, or as records with a `body` for each container.
///
/// # Errors
/// When the engine has ended by a fault.
pub(super) async fn show(
    watch: &mut Watch,
    window: Duration,
    draw: fn(&Snapshot, &Frame) -> Vec<Line>,
    body: for<'a> fn(&'a ContainerRow, Duration) -> ContainerBody<'a>,
) -> Result<Ended, Failure> {
    let snapshot = match wait(watch, window).await? {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let printed = if watch.json {
        records(watch, &snapshot, body).await
    } else {
        let frame = watch.frame(false);
        watch.print(&draw(&snapshot, &frame), &frame).await
    };
    Ok(printed.map_or_else(Ended::from, |()| Ended::Done))
}

async fn records(
    watch: &mut Watch,
    snapshot: &Snapshot,
    body: for<'a> fn(&'a ContainerRow, Duration) -> ContainerBody<'a>,
) -> Result<(), Closed> {
    for row in &snapshot.containers {
        watch.record(body(row, snapshot.window)).await?;
    }
    let clock = watch.clock();
    watch.record(StatusBody::new(snapshot, &clock)).await
}

/// Waits for a picture, or for something to end the command.
///
/// # Errors
/// When the engine has ended by a fault.
async fn wait(watch: &mut Watch, window: Duration) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    let start = watch.started;
    let mut due = start + LONGEST.max(window + BEYOND_WINDOW);
    let mut watched = 0;
    loop {
        let snapshot = watch.session.snapshot();
        if is_worth_showing(&snapshot, watch, window) {
            return Ok(Ok(snapshot));
        }
        if snapshot.interfaces_watched > watched {
            watched = snapshot.interfaces_watched;
            due = due.max((Instant::now() + window + READING).min(start + LONGEST_ATTACHING));
        }
        tokio::select! {
            changed = watch.session.changed() => changed?,
            () = watch.signals.next() => return Ok(Err(Ended::Signal)),
            () = watch.output.closed() => return Ok(Err(Ended::Closed)),
            () = tokio::time::sleep_until(due) => return Ok(Ok(watch.session.snapshot())),
        }
    }
}

fn is_worth_showing(snapshot: &Snapshot, watch: &Watch, window: Duration) -> bool {
    let told = watch.session.docker_told().is_some_and(|told| told < snapshot.taken_at);
    let rows = &snapshot.containers;
    let nobody = rows.is_empty() && matches!(snapshot.docker, DockerState::Up { .. });
    // Nine tenths: ticks are not exact.
    let measured = snapshot.window * 10 >= window * 9 || nobody;
    let looked_at = snapshot.rights_unknown == 0;
    told && measured && looked_at && all_watched(snapshot) && all_named(snapshot) && peers_are_known(rows)
}

/// Whether every container that has an interface is watched at it.
fn all_watched(snapshot: &Snapshot) -> bool {
    let has_bridge = |row: &ContainerRow| {
        row.memberships.iter().any(|membership| membership.network.driver == NetworkDriver::Bridge)
    };
    let runs = |row: &ContainerRow| row.state == ContainerState::Running;
    snapshot.containers.iter().all(|row| row.watched || !runs(row) || !has_bridge(row))
}

fn all_named(snapshot: &Snapshot) -> bool {
    snapshot.unattributed.iter().all(|row| row.reason != reason::NOT_ANNOUNCED_YET)
}

/// Flows are drained just after the totals were read: the first totals have no peers yet.
fn peers_are_known(rows: &[ContainerRow]) -> bool {
    let quiet = rows.iter().all(|row| row.window == Traffic::default());
    quiet || rows.iter().flat_map(|row| &row.peers).any(|peer| peer.window != Traffic::default())
}
