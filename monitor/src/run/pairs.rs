//! `pairs`.

use super::failure::Failure;
use super::{logger, picture};
use crate::settings::Settings;
use crate::snapshot::{PairRow, Snapshot};
use crate::view;
use crate::wire::PairBody;
use std::time::Duration;

/// Prints one table, after watching for a while if asked to.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    container: Option<String>,
) -> Result<(), Failure> {
    let container = container.as_deref();
    picture::run(settings, watch_for, async |watch, snapshot, _| {
        if let Some(name) = container.filter(|name| !is_known(snapshot, name)) {
            logger::tell(&format!("there is no container {name}"));
        }
        let clock = watch.clock();
        let wanted = || snapshot.pairs.iter().filter(|row| is_wanted(row, container));
        let bodies = wanted().map(|row| PairBody::new(row, snapshot, &clock));
        picture::show(watch, snapshot, |frame| view::pairs(snapshot, wanted(), frame), bodies).await
    })
    .await
}

/// Whether a row is one of a container's, if one is asked for.
pub(super) fn is_wanted(row: &PairRow, container: Option<&str>) -> bool {
    let Some(wanted) = container else { return true };
    let ends = [&row.client, &row.server];
    ends.into_iter().filter_map(|end| end.container.as_ref()).any(|it| it.is_called(wanted))
}

/// Whether there is a container of that name or id.
pub(super) fn is_known(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.containers.iter().any(|row| row.container.is_called(name))
}
