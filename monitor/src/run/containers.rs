//! `containers`.

use super::failure::Failure;
use super::picture;
use super::watch::{Ended, Watch};
use crate::settings::Settings;
use crate::view;
use crate::wire::ContainerBody;
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
    picture::show(watch, window, view::containers, |row, _| ContainerBody::new(row)).await
}
