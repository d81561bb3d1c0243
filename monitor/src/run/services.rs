//! `services`.

use super::failure::Failure;
use super::{logger, picture};
use crate::settings::Settings;
use crate::snapshot::services;
use crate::view;
use crate::wire::ServiceBody;
use std::time::Duration;

/// Prints one table: of all that was seen, or, asked to watch for a while, of what came on top in that time.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    name: Option<String>,
) -> Result<(), Failure> {
    let name = name.as_deref();
    picture::run(settings, watch_for, async |watch, snapshot, (pairs, since)| {
        let mut rows = services(&snapshot.pairs, pairs, &snapshot.containers);
        rows.retain(|row| name.is_none_or(|name| row.service.is_called(name)));
        if let Some(name) = name.filter(|_| rows.is_empty()) {
            logger::tell(&format!("no service or shared name {name} was asked over TCP"));
        }
        let clock = watch.clock();
        let bodies = rows.iter().map(|row| ServiceBody::new(row, since, &clock));
        picture::show(watch, snapshot, |frame| view::services(snapshot, &rows, frame), bodies).await
    })
    .await
}
