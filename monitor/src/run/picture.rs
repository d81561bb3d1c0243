//! One picture that is worth showing: Docker has told what there is, and rates have a window.

use super::failure::Failure;
use super::output::Closed;
use super::watch::{Ended, Watch};
use crate::collector::clock;
use crate::model::{ContainerState, DockerState, KernelTime, NetworkDriver, Traffic};
use crate::settings::Settings;
use crate::snapshot::{ContainerRow, PairRow, Snapshot, reason};
use crate::view::{Frame, Line};
use crate::wire::{Body, StatusBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long Docker may take to tell everything, and the kernel to take the programs, before a watch of some length begins
/// without.
pub(super) const READY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a picture may take; what is missing then is shown as missing.
const LONGEST: Duration = Duration::from_millis(2_300);
/// How much longer than its window.
const BEYOND_WINDOW: Duration = Duration::from_millis(1_500);
/// After the programs were attached to one more interface, this much more than a window passes until totals and
/// flows were read once: on a busy kernel a hundred interfaces take seconds.
const READING: Duration = Duration::from_millis(300);
/// But it takes no longer than this in all; nor do Docker's first answer and a window's length, which are waited for too.
const LONGEST_ATTACHING: Duration = Duration::from_secs(10);

/// After a moment, so many ticks have to end until all that was before it is counted: the first may have read its totals
/// already.
const TICKS_UNTIL_NOW: u32 = 2;
/// But it takes no longer than this.
const LONGEST_UNTIL_NOW: Duration = Duration::from_secs(5);

/// What the pairs had done before the while that is watched, if one is, and since when what came on top is counted.
pub(super) type Before<'a> = (&'a [PairRow], KernelTime);

/// Watches, takes a picture as [`take`] does, has it shown, and stops.
///
/// # Errors
/// As [`Watch::start`], [`take`] and [`Watch::end`].
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    show: impl AsyncFnOnce(&mut Watch, &Snapshot, Before<'_>) -> Ended,
) -> Result<(), Failure> {
    let mut watch = Watch::start(settings, None).await?;
    let before = watch_for.map(|_| watch.session.snapshot());
    let shown = match take(&mut watch, watch_for).await {
        Ok(Ok(snapshot)) => {
            let all = (&[][..], snapshot.watching_since);
            let before = before.as_ref().map_or(all, |it| (&it.pairs, it.taken_at));
            Ok(show(&mut watch, &snapshot, before).await)
        }
        Ok(Err(ended)) => Ok(ended),
        Err(failure) => Err(failure),
    };
    watch.end(shown).await
}

/// Waits for a picture, after watching for a while if asked to; or for something that ends the command. A signal ends the
/// while: the picture is of what was seen until then, and another signal ends the command.
///
/// # Errors
/// When the engine has ended by a fault.
pub(super) async fn take(
    watch: &mut Watch,
    watch_for: Option<Duration>,
) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    if let Some(time) = watch_for {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = watch.signals.next() => return until(clock::kernel_now(), watch).await,
            () = watch.output.closed() => return Ok(Err(Ended::Closed)),
        }
    }
    wait(watch).await
}

/// Waits for the picture of all that was counted before `time`; with long ticks no longer than a user who has pressed Ctrl-C.
async fn until(time: KernelTime, watch: &mut Watch) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    let (mut counted, mut ticks) = (time, 0);
    let due = Instant::now() + LONGEST_UNTIL_NOW;
    loop {
        let snapshot = watch.session.snapshot();
        if snapshot.counted_at > counted {
            (counted, ticks) = (snapshot.counted_at, ticks + 1);
        }
        if ticks == TICKS_UNTIL_NOW {
            return Ok(Ok(snapshot));
        }
        tokio::select! {
            changed = watch.session.changed() => changed?,
            () = tokio::time::sleep_until(due) => return Ok(Ok(snapshot)),
            () = watch.signals.next() => return Ok(Err(Ended::Signal)),
            () = watch.output.closed() => return Ok(Err(Ended::Closed)),
        }
    }
}

/// Prints a picture: as text that `draw` makes, or as records, the status last.
pub(super) async fn show<B: Body>(
    watch: &mut Watch,
    snapshot: &Snapshot,
    draw: impl FnOnce(&Frame) -> Vec<Line>,
    bodies: impl Iterator<Item = B>,
) -> Ended {
    let printed = if watch.json {
        records(watch, snapshot, bodies).await
    } else {
        let frame = watch.frame(false);
        watch.print(&draw(&frame), &frame).await
    };
    printed.map_or_else(Ended::from, |()| Ended::Done)
}

async fn records<B: Body>(
    watch: &mut Watch,
    snapshot: &Snapshot,
    bodies: impl Iterator<Item = B>,
) -> Result<(), Closed> {
    for body in bodies {
        watch.record(body).await?;
    }
    let clock = watch.clock();
    watch.record(StatusBody::new(snapshot, &clock)).await
}

/// Waits for a picture, or for something to end the command.
///
/// # Errors
/// When the engine has ended by a fault.
async fn wait(watch: &mut Watch) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    let (start, window) = (watch.started, watch.session.window());
    // On a busy machine the kernel takes seconds to check the programs; a window is waited for all the same.
    let mut due = (start + LONGEST.max(window + BEYOND_WINDOW)).max(Instant::now() + window + READING);
    let (mut watched, mut was_told) = (0, watch.session.docker_told().is_some());
    loop {
        let snapshot = watch.session.snapshot();
        if is_worth_showing(&snapshot, watch, window) {
            return Ok(Ok(snapshot));
        }
        if snapshot.interfaces_watched > watched {
            watched = snapshot.interfaces_watched;
            due = due.max((Instant::now() + window + READING).min(start + LONGEST_ATTACHING));
        }
        let is_told = watch.session.docker_told().is_some();
        if is_told && !std::mem::replace(&mut was_told, true) {
            due = due.max((Instant::now() + window + READING).min(start + LONGEST_ATTACHING));
        }
        // Rates over a moment are none.
        let is_measured = snapshot.interfaces_watched == 0 || is_measured(&snapshot, window);
        let due = if is_told && is_measured { due } else { due.max(start + LONGEST_ATTACHING) };
        tokio::select! {
            changed = watch.session.changed() => changed?,
            () = watch.signals.next() => return Ok(Err(Ended::Signal)),
            () = watch.output.closed() => return Ok(Err(Ended::Closed)),
            () = tokio::time::sleep_until(due) => return Ok(Ok(watch.session.snapshot())),
        }
    }
}

fn is_worth_showing(snapshot: &Snapshot, watch: &Watch, window: Duration) -> bool {
    let rows = &snapshot.containers;
    let nobody = rows.is_empty() && matches!(snapshot.docker, DockerState::Up { .. });
    let measured = is_measured(snapshot, window) || nobody;
    measured && is_ready(snapshot, watch) && all_named(snapshot) && peers_are_known(rows)
}

fn is_measured(snapshot: &Snapshot, window: Duration) -> bool {
    // Nine tenths: ticks are not exact.
    snapshot.window * 10 >= window * 9
}

/// Whether Docker has told all that it has to tell, and all containers are watched that can be.
pub(super) fn is_ready(snapshot: &Snapshot, watch: &Watch) -> bool {
    let told = watch.session.docker_told().is_some_and(|told| told < snapshot.taken_at);
    told && snapshot.rights_unknown == 0 && snapshot.containers.iter().all(is_watched)
}

/// Whether a container that has an interface is watched at it.
pub(super) fn is_watched(row: &ContainerRow) -> bool {
    let has_bridge =
        row.memberships.iter().any(|membership| membership.network.driver == NetworkDriver::Bridge);
    row.watched || row.state != ContainerState::Running || !has_bridge
}

fn all_named(snapshot: &Snapshot) -> bool {
    snapshot.unattributed.iter().all(|row| row.reason != reason::NOT_ANNOUNCED_YET)
}

/// Flows are drained just after the totals were read: the first totals have no peers yet.
fn peers_are_known(rows: &[ContainerRow]) -> bool {
    let quiet = rows.iter().all(|row| row.window == Traffic::default());
    quiet || rows.iter().flat_map(|row| &row.peers).any(|peer| peer.window != Traffic::default())
}
