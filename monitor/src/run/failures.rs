//! `failures`.

use super::failure::Failure;
use super::watch::{Ended, Watch};
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
    let mut watch = Watch::start(settings, None).await?;
    let shown = show(&mut watch, watch_for, name.as_deref()).await;
    watch.finish(shown.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    shown.map(|_| ())
}

async fn show(watch: &mut Watch, watch_for: Option<Duration>, name: Option<&str>) -> Result<Ended, Failure> {
    let before = watch_for.map(|_| watch.session.snapshot());
    let snapshot = match picture::take(watch, watch_for).await? {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let (pairs, since) =
        before.as_ref().map_or((&[][..], snapshot.watching_since), |it| (&it.pairs, it.taken_at));
    let meant = Meant::by(name, snapshot.containers.iter().map(|row| &row.container));
    let rows = failures(&snapshot.pairs, pairs, snapshot.sees_retransmits(), &meant);
    if let Some(name) = name.filter(|_| rows.is_empty()) {
        logger::tell(&format!("nothing with {name} was seen to fail"));
    }
    let clock = watch.clock();
    let bodies = rows.iter().map(|row| FailureBody::new(row, since, &clock));
    Ok(picture::show(watch, &snapshot, |frame| view::failures(&snapshot, &rows, frame), bodies).await)
}
