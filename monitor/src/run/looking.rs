//! Looks back at what the live view has opened, again and again, beside the view.

use super::remote;
use crate::engine::Feed;
use crate::model::{ContainerId, WallTime};
use crate::snapshot::{AskedPast, Point, look_back};
use crate::tui::Course;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// How often it looks again.
const AGAIN: Duration = Duration::from_secs(2);
/// What is looked at more finely.
const FINE: i64 = 5 * 60 * 1_000_000_000;

/// Who keeps what was.
#[derive(Clone, Debug)]
pub(super) enum Looker {
    /// An engine of this process.
    Own(Feed),
    /// An agent.
    Agent(PathBuf),
}

impl Looker {
    /// The course of a container, from a moment on or from the beginning; none if nothing is told of it.
    async fn course(&self, container: &ContainerId, since: Option<WallTime>) -> Option<Vec<Point>> {
        let name = Some(container.as_str().to_owned());
        let asked = AskedPast { since, name, ..AskedPast::default() };
        let past = match self {
            Self::Own(feed) => {
                let intervals = feed.history().await;
                let snapshot = Arc::clone(&feed.snapshots().borrow());
                look_back(&intervals, &asked, &snapshot).ok()?
            }
            // That an agent has ended the view finds out by itself.
            Self::Agent(path) => remote::past(path, &asked).await.ok()?.past.ok()?,
        };
        Some(past.points)
    }
}

/// A task that looks, as long as this is there.
#[derive(Debug)]
pub(super) struct Looking {
    wanted: watch::Sender<Option<ContainerId>>,
    told: mpsc::Receiver<Course>,
}

impl Looking {
    /// Begins; nothing is looked at yet.
    pub(super) fn by(looker: Looker) -> Self {
        let (wanted, asked) = watch::channel(None);
        let (to, told) = mpsc::channel(1);
        tokio::spawn(look(looker, asked, to));
        Self { wanted, told }
    }

    /// Looks at this container from now on, or at none.
    pub(super) fn want(&self, container: Option<&ContainerId>) {
        self.wanted.send_if_modified(|wanted| {
            let is_other = wanted.as_ref() != container;
            if is_other {
                *wanted = container.cloned();
            }
            is_other
        });
    }

    /// Waits for what was found.
    pub(super) async fn next(&mut self) -> Course {
        match self.told.recv().await {
            Some(course) => course,
            None => std::future::pending().await,
        }
    }
}

async fn look(looker: Looker, mut wanted: watch::Receiver<Option<ContainerId>>, to: mpsc::Sender<Course>) {
    loop {
        let container = wanted.borrow_and_update().clone();
        if let Some(container) = &container
            && let Some(hour) = looker.course(container, None).await
            && let Some(until) = hour.last().map(|point| point.end)
        {
            let fine = Some(WallTime(until.0.saturating_sub(FINE)));
            let minutes = looker.course(container, fine).await.unwrap_or_default();
            let course = Course { container: container.clone(), hour, minutes };
            if to.send(course).await.is_err() {
                return;
            }
        }
        let again = async {
            match container {
                Some(_) => sleep(AGAIN).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = again => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}
