//! `networks`.

use super::failure::Failure;
use super::picture;
use crate::settings::Settings;
use crate::view;
use crate::wire::NetworkBody;
use std::time::Duration;

/// Prints one table, after watching for a while if asked to.
pub(super) async fn run(settings: &Settings, watch_for: Option<Duration>) -> Result<(), Failure> {
    picture::run(settings, watch_for, async |watch, snapshot, _| {
        let bodies = snapshot.networks.iter().map(|row| NetworkBody::new(row, snapshot));
        picture::show(watch, snapshot, |frame| view::networks(snapshot, frame), bodies).await
    })
    .await
}
