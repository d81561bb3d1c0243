//! `top`.

use super::failure::Failure;
use super::picture;
use super::screen::{Screen, redraw};
use super::session::Session;
use super::terminal;
use super::watch::{Ended, Watch};
use crate::settings::Settings;
use crate::view;
use crate::wire::ContainerBody;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// Shows one picture, or a screen until a signal comes.
pub(super) async fn run(settings: &Settings, once: bool, interval: Duration) -> Result<(), Failure> {
    let mut watch = Watch::start(settings, None).await?;
    let shown = if once || settings.json || !terminal::is_screen() {
        picture::show(&mut watch, settings.window, view::top, |row, window| {
            ContainerBody::with_window(row, window)
        })
        .await
    } else {
        draw_until_signal(&mut watch, interval).await
    };
    watch.finish(shown.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    shown.map(|_| ())
}

async fn draw_until_signal(watch: &mut Watch, interval: Duration) -> Result<Ended, Failure> {
    let _screen = Screen::take();
    let mut resized = signal(SignalKind::window_change())?;
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let snapshot = watch.session.snapshot();
        let frame = watch.frame(true);
        let text = redraw(&view::top(&snapshot, &frame), &frame);
        if watch.output.print(&text).await.is_err() || watch.output.flush().await.is_err() {
            return Ok(Ended::Closed);
        }
        tokio::select! {
            _ = timer.tick() => {}
            _ = resized.recv() => {}
            changed = anything_new(&mut watch.session, snapshot.window) => changed?,
            () = watch.signals.next() => return Ok(Ended::Signal),
        }
    }
}

/// Until rates have a window, whatever is new is shown at once; later only at its time.
async fn anything_new(session: &mut Session, window: Duration) -> Result<(), Failure> {
    if window.is_zero() { session.changed().await } else { std::future::pending().await }
}
