//! Whether the agent still counts.

use crate::collector::clock;
use crate::model::KernelTime;
use crate::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long nothing may have been counted before the agent is not well, beside some ticks.
const LATE: Duration = Duration::from_secs(10);
/// How many ticks that are.
const LATE_TICKS: u32 = 3;

/// Tells by what the latest snapshot has counted. That there is a new one says nothing: whatever Docker tells makes
/// one too.
#[derive(Clone, Debug)]
pub(super) struct Health {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    late: Duration,
}

impl Health {
    pub(super) fn new(snapshots: watch::Receiver<Arc<Snapshot>>, tick: Duration) -> Self {
        Self { snapshots, late: LATE + tick * LATE_TICKS }
    }

    /// Whether it counts now.
    pub(super) fn is_well(&self) -> bool {
        self.was_well_at(clock::kernel_now())
    }

    fn was_well_at(&self, now: KernelTime) -> bool {
        now.since(self.snapshots.borrow().counted_at) <= self.late
    }
}

#[cfg(test)]
mod tests {
    use super::Health;
    use crate::engine::{Publish, Settings, State};
    use crate::model::{Change, DockerState, FlowBatch, KernelTime, Observation, Resources};
    use crate::wire::fixtures;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::watch;

    fn at(second: u64) -> KernelTime {
        KernelTime(second * 1_000_000_000)
    }

    /// The end of a generation without a flow.
    fn nothing_passed(second: u64) -> Observation {
        let (tick_start, tick_end) = (at(second - 1), at(second));
        Observation::Flows(FlowBatch { epoch: second, tick_start, tick_end, flows: Vec::new(), last: true })
    }

    #[test]
    fn it_is_well_as_long_as_it_counts_whatever_else_it_hears() {
        let mut state = State::new(Settings::new(fixtures::host()), at(100));
        let (published, snapshots) = watch::channel(Arc::new(state.snapshot(at(100))));
        let health = Health::new(snapshots, Duration::from_secs(1));
        let check = |second, state: &mut State, expected| {
            published.send_replace(Arc::new(state.snapshot(at(second))));
            assert_eq!(health.was_well_at(at(second)), expected, "at {second}");
        };
        check(113, &mut state, true);
        check(114, &mut state, false);
        // A quiet host is counted too.
        assert_eq!(state.observe(nothing_passed(115), at(115)), Publish::Now);
        check(115, &mut state, true);
        // Containers come and go, and readings fail: each makes a snapshot.
        for second in 116..=140 {
            assert_eq!(state.change(&Change::Docker(DockerState::Connecting)), Publish::Soon);
            let failed = Observation::Resources(Resources::default());
            assert_eq!(state.observe(failed, at(second)), Publish::Soon);
            check(second, &mut state, second <= 128);
        }
        assert_eq!(state.observe(nothing_passed(141), at(141)), Publish::Now);
        check(141, &mut state, true);
    }
}
