//! Looks back for the live view, beside it: again and again at the container that it has opened, and once at each time
//! that it is stepped back to, which does not change any more.

use super::remote::{self, Refusal};
use crate::engine::Feed;
use crate::model::{ContainerId, WallTime};
use crate::snapshot::{AskedPast, Past, Point, look_back};
use crate::tui::{Course, Found, Span, Wanted};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// How often it looks again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long nothing else is wanted before it looks: of steps that follow each other at once only the last is of use.
const PAUSE: Duration = Duration::from_millis(100);
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
    /// Looks back.
    ///
    /// # Errors
    /// When nothing is kept of what is asked for, or nobody tells; why, as text.
    async fn look(&self, asked: &AskedPast) -> Result<Past, String> {
        let past = match self {
            Self::Own(feed) => {
                let intervals = feed.history().await;
                let snapshot = Arc::clone(&feed.snapshots().borrow());
                look_back(&intervals, asked, &snapshot)
            }
            Self::Agent(path) => remote::past(path, asked).await.map_err(why)?.past,
        };
        past.map_err(|why| why.to_string())
    }

    /// The course of a container, from a moment on or from the beginning; none if nothing is told of it. That an agent has
    /// ended the view finds out by itself.
    async fn points(&self, container: &ContainerId, since: Option<WallTime>) -> Option<Vec<Point>> {
        let name = Some(container.as_str().to_owned());
        let asked = AskedPast { since, name, ..AskedPast::default() };
        self.look(&asked).await.ok().map(|past| past.points)
    }

    /// The last hour of a container.
    async fn course(&self, container: ContainerId) -> Option<Course> {
        let hour = self.points(&container, None).await?;
        let until = hour.last()?.end;
        let fine = Some(WallTime(until.0.saturating_sub(FINE)));
        let minutes = self.points(&container, fine).await.unwrap_or_default();
        Some(Course { container, hour, minutes })
    }

    /// All of a time.
    async fn time(&self, Span { since, until }: Span) -> Result<Box<Past>, String> {
        let asked = AskedPast { since: Some(since), until: Some(until), ..AskedPast::default() };
        self.look(&asked).await.map(Box::new)
    }
}

fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotThere => "the agent does not answer".to_owned(),
        Refusal::NotPermitted => "it is not permitted to ask the agent".to_owned(),
        Refusal::OtherVersion(why) | Refusal::NotWell(why) => why,
    }
}

/// A task that looks, as long as this is there.
#[derive(Debug)]
pub(super) struct Looking {
    wanted: watch::Sender<Wanted>,
    told: mpsc::Receiver<Found>,
}

impl Looking {
    /// Begins; nothing is looked at yet.
    pub(super) fn by(looker: Looker) -> Self {
        let (wanted, asked) = watch::channel(Wanted::default());
        let (to, told) = mpsc::channel(1);
        tokio::spawn(look(looker, asked, to));
        Self { wanted, told }
    }

    /// Looks at this from now on.
    pub(super) fn want(&self, now: Wanted) {
        self.wanted.send_if_modified(|wanted| {
            let is_other = *wanted != now;
            *wanted = now;
            is_other
        });
    }

    /// Waits for what was found.
    pub(super) async fn next(&mut self) -> Found {
        match self.told.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }
}

async fn look(looker: Looker, mut wanted: watch::Receiver<Wanted>, to: mpsc::Sender<Found>) {
    let mut answered = None;
    // Whose course was looked at, and when it is looked at again.
    let mut open: Option<(ContainerId, Instant)> = None;
    loop {
        let Wanted { course, time, looks } = wanted.borrow_and_update().clone();
        let due = time.map(|asked| (looks, asked));
        if let Some((_, asked)) = due.filter(|_| due != answered) {
            let told = looker.time(asked).await;
            if to.send(Found::Time(asked, told)).await.is_err() {
                return;
            }
        }
        answered = due;
        let is_due = |(of, at): &(ContainerId, Instant)| Some(of) != course.as_ref() || *at <= Instant::now();
        if open.as_ref().is_none_or(is_due) {
            if let Some(container) = &course
                && let Some(course) = looker.course(container.clone()).await
                && to.send(Found::Course(course)).await.is_err()
            {
                return;
            }
            open = course.map(|container| (container, Instant::now() + AGAIN));
        }
        let again = async {
            match &open {
                Some((_, at)) => sleep_until(*at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = again => {}
            changed = wanted.changed() => {
                let mut changed = Ok(changed);
                while let Ok(Ok(())) = changed {
                    changed = timeout(PAUSE, wanted.changed()).await;
                }
                if let Ok(Err(_)) = changed {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Looker, Looking, PAUSE};
    use crate::model::WallTime;
    use crate::tui::{Found, Span, Wanted};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test]
    async fn who_looks_back_anew_is_told_the_same_time_again() {
        let mut looking = Looking::by(Looker::Agent("/nowhere/vw-no-agent".into()));
        let asked = Span { since: WallTime(1), until: WallTime(2) };
        for looks in 1..=3 {
            looking.want(Wanted { time: Some(asked), looks, ..Wanted::default() });
            let told = tokio::time::timeout(Duration::from_secs(20), looking.next()).await;
            let Ok(Found::Time(of, Err(why))) = told else { panic!("{told:?}") };
            assert_eq!((of, why.as_str()), (asked, "the agent does not answer"));
        }
    }

    #[tokio::test]
    async fn of_steps_that_follow_each_other_at_once_the_last_is_looked_at() {
        let span = |until| Span { since: WallTime(1), until: WallTime(until) };
        for _ in 0..20 {
            let mut looking = Looking::by(Looker::Agent("/nowhere/vw-no-agent".into()));
            // It waits by then, as it does when somebody types the first key.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            for until in 2..=9 {
                looking.want(Wanted { time: Some(span(until)), ..Wanted::default() });
                tokio::time::sleep(Duration::from_millis(5)).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            let told = tokio::time::timeout(Duration::from_secs(60), looking.next()).await;
            if matches!(told, Ok(Found::Time(of, Err(_))) if of == span(9)) {
                return;
            }
            // On a machine that stood still meanwhile they did not follow each other at once: then all of it anew.
            assert!(longest > PAUSE / 2, "{told:?}, with {longest:?} at most between two steps");
        }
        panic!("this machine stands still all the time");
    }
}
