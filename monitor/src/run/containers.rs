//! `containers`.

use super::failure::Failure;
use super::picture;
use super::watch::{Ended, Watch};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::view;
use crate::wire::{ContainerBody, StatusBody};
use std::time::Duration;

/// Prints one table, after watching for a while if asked to.
pub(super) async fn run(settings: &Settings, watch_for: Option<Duration>) -> Result<(), Failure> {
    let mut watch = Watch::start(settings, None).await?;
    let shown = show(&mut watch, settings.window, watch_for).await;
    watch.finish(shown.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    shown.map(|_| ())
}

async fn show(watch: &mut Watch, window: Duration, watch_for: Option<Duration>) -> Result<Ended, Failure> {
    if let Some(time) = watch_for {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = watch.signals.next() => return Ok(Ended::Signal),
            () = watch.output.closed() => return Ok(Ended::Closed),
        }
    }
    let snapshot = match picture::wait(watch, window).await? {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let printed = if watch.json {
        records(watch, &snapshot).await
    } else {
        let frame = watch.frame(false);
        watch.print(&view::containers(&snapshot, &frame), &frame).await.map_err(Ended::from)
    };
    Ok(printed.map_or_else(|ended| ended, |()| Ended::Done))
}

async fn records(watch: &mut Watch, snapshot: &Snapshot) -> Result<(), Ended> {
    for row in &snapshot.containers {
        watch.record(ContainerBody::new(row)).await?;
    }
    let clock = watch.clock();
    watch.record(StatusBody::new(snapshot, &clock)).await?;
    Ok(())
}
