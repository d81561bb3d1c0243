//! What the service manager hears: that all is known, how it goes, and that it still counts.

use super::health::Health;
use super::notify;
use crate::model::{DockerState, KernelTime};
use crate::snapshot::Snapshot;
use crate::view::units::plural;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often it hears how it goes, where it does not want to hear more often that it does.
const USUAL: Duration = Duration::from_secs(30);

/// Signs of life in the time that it waits for one.
const SIGNS: u32 = 4;

/// The service manager, by what it put into the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    /// In what time it wants a sign of life; absent if it wants none.
    watchdog: Option<Duration>,
}

impl Manager {
    /// What the environment says of it. Without one, nothing that is told is heard.
    pub(super) fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        let of = variable("WATCHDOG_PID");
        Self { watchdog: watchdog(variable("WATCHDOG_USEC").as_deref(), of.as_deref(), std::process::id()) }
    }

    /// Tells it from now on, until this is aborted. It is ready when `told` has a time: when Docker has told
    /// everything, or does not answer.
    pub(super) fn tell(
        self,
        told: watch::Receiver<Option<KernelTime>>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        health: Health,
    ) -> JoinHandle<()> {
        tokio::spawn(self.tell_on(told, snapshots, health))
    }

    async fn tell_on(
        self,
        mut told: watch::Receiver<Option<KernelTime>>,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        health: Health,
    ) {
        if told.wait_for(Option::is_some).await.is_err() {
            return;
        }
        // What was told is in a snapshot a moment later.
        let is_known = |snapshot: &Arc<Snapshot>| !matches!(snapshot.docker, DockerState::Connecting);
        if snapshots.wait_for(is_known).await.is_err() {
            return;
        }
        notify::tell("READY=1");
        let mut ticks = interval(self.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let sign = sign(&snapshots.borrow(), health.is_well(), self.watchdog.is_some());
            notify::tell(&sign);
        }
    }

    /// A quarter of the time that it waits: a sign that is late, or is not given because nothing was counted just then,
    /// is not yet the end.
    fn period(self) -> Duration {
        self.watchdog.map_or(USUAL, |watchdog| watchdog / SIGNS)
    }
}

/// In what time a sign of life is wanted, if it is of the process with this number.
fn watchdog(microseconds: Option<&str>, of: Option<&str>, own: u32) -> Option<Duration> {
    if of.is_some_and(|of| of.parse() != Ok(own)) {
        return None;
    }
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 1)?;
    Some(Duration::from_micros(microseconds))
}

/// How it goes, and that it lives only as long as it counts.
fn sign(snapshot: &Snapshot, is_well: bool, is_awaited: bool) -> String {
    let status = format!("STATUS={}", status(snapshot, is_well));
    if is_well && is_awaited { format!("WATCHDOG=1\n{status}") } else { status }
}

fn status(snapshot: &Snapshot, is_well: bool) -> String {
    let docker = match &snapshot.docker {
        DockerState::Up { .. } => "",
        DockerState::Connecting | DockerState::Down { .. } => ", Docker does not answer",
    };
    let counts = if is_well { "" } else { "nothing was counted for too long: " };
    format!(
        "{counts}{}, {} watched, {}{docker}",
        plural(snapshot.containers.len() as u64, "container"),
        plural(snapshot.interfaces_watched as u64, "interface"),
        plural(snapshot.findings.len() as u64, "finding"),
    )
}

#[cfg(test)]
mod tests {
    use super::{Manager, sign, watchdog};
    use crate::wire::fixtures::{snapshot, troubled_snapshot};
    use std::time::Duration;

    #[test]
    fn a_sign_of_life_is_given_where_it_is_ours_to_give() {
        let check = |microseconds, of, expected: Option<u64>| {
            assert_eq!(
                watchdog(microseconds, of, 7),
                expected.map(Duration::from_micros),
                "{microseconds:?}"
            );
        };
        check(None, None, None);
        check(Some("60000000"), None, Some(60_000_000));
        check(Some("60000000"), Some("7"), Some(60_000_000));
        check(Some("60000000"), Some("8"), None);
        check(Some("60000000"), Some("x"), None);
        // A part of nothing is no time to wait.
        for senseless in ["", "0", "1", "-1", "1s", "99999999999999999999"] {
            check(Some(senseless), None, None);
        }
    }

    #[test]
    fn a_sign_that_is_not_given_is_not_the_end() {
        let period = |watchdog| Manager { watchdog }.period();
        let (watchdog, period_of_it) = (Duration::from_secs(60), period(Some(Duration::from_secs(60))));
        assert_eq!(period_of_it, Duration::from_secs(15));
        // One is not given, and the next one is late.
        assert!(2 * period_of_it + period_of_it / 2 < watchdog);
        assert_eq!(period(None), super::USUAL);
    }

    #[test]
    fn it_lives_as_long_as_it_counts() {
        let quiet = "STATUS=2 containers, 3 interfaces watched, 0 findings";
        assert_eq!(sign(&snapshot(), true, true), format!("WATCHDOG=1\n{quiet}"));
        assert_eq!(sign(&snapshot(), true, false), quiet);
        let stuck = "STATUS=nothing was counted for too long: 2 containers, 3 interfaces watched, 0 findings";
        assert_eq!(sign(&snapshot(), false, true), stuck);
    }

    #[test]
    fn that_docker_is_away_is_told_in_one_line() {
        let told = sign(&troubled_snapshot(), true, false);
        assert!(told.ends_with(", Docker does not answer") && !told.contains('\n'), "{told}");
    }
}
