//! `networks`.

use super::failure::Failure;
use super::picture;
use super::watch::{Ended, Watch};
use crate::settings::Settings;
use crate::view;
use crate::wire::NetworkBody;
use std::time::Duration;

/// Prints one table, after watching for a while if asked to.
pub(super) async fn run(settings: &Settings, watch_for: Option<Duration>) -> Result<(), Failure> {
    let mut watch = Watch::start(settings, None).await?;
    let shown = show(&mut watch, watch_for).await;
    watch.finish(shown.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    shown.map(|_| ())
}

async fn show(watch: &mut Watch, watch_for: Option<Duration>) -> Result<Ended, Failure> {
    let snapshot = match picture::take(watch, watch_for).await? {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let bodies = snapshot.networks.iter().map(|row| NetworkBody::new(row, &snapshot));
    Ok(picture::show(watch, &snapshot, |frame| view::networks(&snapshot, frame), bodies).await)
}
