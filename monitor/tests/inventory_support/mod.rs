//! Listens to an inventory: what it told, and waiting for what it is going to tell.

use monitor::inventory::{Hint, Inventory, Settings};
use monitor::model::{
    Change, Container, ContainerId, DockerState, Endpoint, KernelTime, NetworkId, WallTime,
};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long anything may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The kernel's clock.
pub(crate) fn now() -> KernelTime {
    KernelTime(u64::try_from(nanoseconds(ClockId::Monotonic)).expect("time since boot is not negative"))
}

/// The wall clock.
pub(crate) fn wall_now() -> WallTime {
    WallTime(nanoseconds(ClockId::Realtime))
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// An inventory and everything it told.
pub(crate) struct Listener {
    inventory: Inventory,
    changes: mpsc::Receiver<Change>,
    told: Vec<Change>,
    looked_at: usize,
}

impl Listener {
    /// Starts an inventory.
    pub(crate) fn start(settings: Settings) -> Self {
        let (sender, changes) = mpsc::channel(64);
        let inventory = Inventory::start(settings, sender, now, wall_now);
        Self { inventory, changes, told: Vec::new(), looked_at: 0 }
    }

    /// Gives hints.
    pub(crate) fn hint(&self) -> Hint {
        self.inventory.hint()
    }

    /// Waits for a change after the last one that was waited for.
    pub(crate) async fn wait<T>(&mut self, what: &str, wanted: impl Fn(&Change) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(change) = self.told.get(self.looked_at) {
                self.looked_at += 1;
                if let Some(found) = wanted(change) {
                    return found;
                }
            }
            match timeout_at(deadline, self.changes.recv()).await {
                Ok(Some(change)) => self.told.push(change),
                _ => panic!("no {what} was told, but {:#?}", self.last()),
            }
        }
    }

    /// Waits until a condition on a container holds.
    pub(crate) async fn container(&mut self, what: &str, wanted: impl Fn(&Container) -> bool) -> Container {
        let container = |change: &Change| match change {
            Change::Container { container, .. } if wanted(container) => Some((**container).clone()),
            _ => None,
        };
        self.wait(what, container).await
    }

    /// Waits for an endpoint of a container.
    pub(crate) async fn endpoint(&mut self, of: &str) -> (ContainerId, Endpoint, KernelTime) {
        let endpoint = |change: &Change| match change {
            Change::Endpoint { container, name, endpoint, at } if name.as_str() == of => {
                Some((container.clone(), endpoint.clone(), *at))
            }
            _ => None,
        };
        self.wait("endpoint", endpoint).await
    }

    /// Waits until everything was told.
    pub(crate) async fn complete(&mut self) -> (Vec<ContainerId>, Vec<NetworkId>) {
        let complete = |change: &Change| match change {
            Change::Complete { containers, networks, .. } => Some((containers.clone(), networks.clone())),
            _ => None,
        };
        self.wait("complete", complete).await
    }

    /// Waits until Docker is said to be away, and returns since when and why.
    pub(crate) async fn down(&mut self) -> (KernelTime, String) {
        let down = |change: &Change| match change {
            Change::Docker(DockerState::Down { since, reason }) => Some((*since, reason.clone())),
            _ => None,
        };
        self.wait("end of Docker", down).await
    }

    /// Waits until something was refused for a reason that holds a text; returns how many were by then.
    pub(crate) async fn refused(&mut self, part: &str) -> u64 {
        let refused = |change: &Change| match change {
            Change::Refused { answers, last } if last.contains(part) => Some(*answers),
            _ => None,
        };
        self.wait("refusal", refused).await
    }

    /// Everything that was told so far.
    pub(crate) fn told(&mut self) -> &[Change] {
        while let Ok(change) = self.changes.try_recv() {
            self.told.push(change);
        }
        &self.told
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.inventory.stop().await;
    }

    fn last(&self) -> &[Change] {
        &self.told[self.told.len().saturating_sub(30)..]
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "no {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
