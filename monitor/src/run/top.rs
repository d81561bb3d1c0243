//! `top`.

use super::failure::Failure;
use super::watch::{Ended, Watch};
use super::{live, logger, picture, terminal};
use crate::engine::{Filter, Topic};
use crate::settings::{Live, Settings};
use crate::view;
use crate::wire::ContainerBody;

/// Shows one picture, or the live view until it is ended.
pub(super) async fn run(settings: &Settings, once: bool, wanted: Live) -> Result<(), Failure> {
    let asked = once || settings.json;
    let is_live = !asked && terminal::is_live();
    let filter = is_live.then(|| Filter { topic: Topic::All, ..Filter::default() });
    let mut watch = Watch::start(settings, filter).await?;
    let shown = if is_live {
        live::run(&mut watch, wanted).await
    } else {
        if !asked {
            logger::tell("this is no terminal for a live view: one picture is printed, as with --once");
        }
        print(&mut watch).await
    };
    watch.end(shown).await
}

async fn print(watch: &mut Watch) -> Result<Ended, Failure> {
    let snapshot = match picture::take(watch, None).await? {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let bodies = snapshot.containers.iter().map(|row| ContainerBody::with_window(row, &snapshot));
    Ok(picture::show(watch, &snapshot, |frame| view::top(&snapshot, frame), bodies).await)
}
