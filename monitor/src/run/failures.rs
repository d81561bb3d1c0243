//! `failures`.

use super::failure::Failure;
use super::{logger, picture};
use crate::settings::Settings;
use crate::snapshot::{Meant, failures};
use crate::view;
use crate::wire::FailureBody;
use std::time::Duration;

/// Prints one table: of all that was seen, or, asked to watch for a while, of what came on top in that time.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    name: Option<String>,
) -> Result<(), Failure> {
    let name = name.as_deref();
    picture::run(settings, watch_for, async |watch, snapshot, (pairs, since)| {
        let meant = Meant::by(name, snapshot.containers.iter().map(|row| &row.container));
        let rows = failures(&snapshot.pairs, pairs, snapshot.sees_retransmits(), &meant);
        if let Some(name) = name.filter(|_| rows.is_empty()) {
            logger::tell(&format!("nothing with {name} was seen to fail"));
        }
        let clock = watch.clock();
        let bodies = rows.iter().map(|row| FailureBody::new(row, since, &clock));
        picture::show(watch, snapshot, |frame| view::failures(snapshot, &rows, frame), bodies).await
    })
    .await
}
