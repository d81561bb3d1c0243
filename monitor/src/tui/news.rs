//! What a newer snapshot says that the one before did not.

use crate::snapshot::Snapshot;
use crate::wire::Clock;
use std::sync::Arc;

/// What is new in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// The counters were read, so every rate may be another one.
    pub(super) reading: bool,
    /// The clock's second.
    pub(super) second: bool,
    /// Anything that is shown.
    pub(super) data: bool,
    /// Pairs, or what they say.
    pub(super) pairs: bool,
    /// Names that are asked for.
    pub(super) names: bool,
}

impl News {
    /// What `now` says and `before` did not; whether it has a new reading is known by who counts them.
    pub(super) fn of(before: &Snapshot, now: &Snapshot, reading: bool, clock: &Clock) -> Self {
        let second = |snapshot: &Snapshot| clock.date_and_time(snapshot.taken_at);
        let pairs = !is_same(&before.pairs, &now.pairs);
        let names = !Arc::ptr_eq(&before.asked, &now.asked) && before.asked != now.asked;
        Self {
            reading,
            second: second(before) != second(now),
            data: pairs || names || !are_same_beside_pairs(before, now),
            pairs,
            names,
        }
    }

    /// Whether a picture of it is another one.
    pub(super) fn is_seen(&self) -> bool {
        self.reading || self.second || self.data
    }
}

/// What is shared need not be compared.
fn is_same<T: PartialEq>(one: &Arc<[T]>, other: &Arc<[T]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Whether two snapshots look the same, whatever their time, pairs and names are.
fn are_same_beside_pairs(one: &Snapshot, other: &Snapshot) -> bool {
    one.resources == other.resources
        && one.losses == other.losses
        && one.docker == other.docker
        && one.containers == other.containers
        && one.unattributed == other.unattributed
        && one.findings == other.findings
        && one.standing == other.standing
        && one.not_watched == other.not_watched
        && one.missing == other.missing
        && (one.attached, one.interfaces_watched) == (other.attached, other.interfaces_watched)
        && is_same(&one.networks, &other.networks)
}
