//! What errors of ICMP said of a pair's packets.

use super::{End, EndKind};
use crate::model::{IcmpError, IcmpKind, InterfaceNumber, KernelTime};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

/// Different errors that are kept for a pair: whoever sends them can choose nearly all that is in them.
const MOST: usize = 8;
/// Different errors that are told one by one of all pairs of two services.
pub(super) const MOST_OF_SERVICE: usize = 16;
/// How long packets that were under way already may be told to be too big after the first.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How long a kernel remembers the MTU of a way (Linux: `net.ipv4.route.mtu_expires`). Then it tries again, as it should.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The errors of one kind that one sender told of one end's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpRow {
    /// What they say.
    pub kind: IcmpKind,
    /// Whether they are about packets of the client, or else of the server.
    pub of_client: bool,
    /// Who sent them, by their source address.
    pub sender: End,
    /// The MTU that they tell, in bytes.
    pub mtu: Option<u32>,
    /// How many.
    pub packets: u64,
    /// The longest packet that they are about, from its IP header on, in bytes.
    pub largest: u32,
    /// Of them, those about packets longer than the MTU that had been told a second or more, and no more than ten minutes,
    /// before: whoever sent them did not obey.
    pub again: u64,
    /// When that MTU was told first, in the latest ten minutes.
    pub told_at: KernelTime,
    /// The interface at which that was: a container that is started anew gets another one, and its kernel knows nothing of the MTU.
    pub told_to: InterfaceNumber,
}

impl IcmpRow {
    /// What tells it from other rows of its pair.
    fn likeness(&self) -> (IcmpKind, bool, Option<u32>, EndKind, IpAddr) {
        (self.kind, self.of_client, self.mtu, self.sender.kind, self.sender.address)
    }

    /// Takes in another error of the same kind.
    fn add(&mut self, error: &IcmpError, at: KernelTime, to: InterfaceNumber) {
        self.packets += 1;
        self.largest = self.largest.max(error.length);
        let known = at.since(self.told_at);
        if known > REMEMBERED || to != self.told_to {
            (self.told_at, self.told_to) = (at, to);
        } else if known >= UNDER_WAY && error.mtu.is_some_and(|mtu| error.length > mtu) {
            self.again += 1;
        }
    }

    /// Adds another row that is like it.
    fn join(&mut self, other: &Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.again = self.again.saturating_add(other.again);
        self.largest = self.largest.max(other.largest);
    }

    /// What came on top of earlier rows of the same pair.
    fn since(&self, before: &[Self]) -> Option<Self> {
        let (packets, again) = before
            .iter()
            .find(|row| self.likeness() == row.likeness())
            .map_or((0, 0), |row| (row.packets, row.again));
        let packets = self.packets.checked_sub(packets)?;
        let again = self.again.saturating_sub(again);
        (packets > 0).then(|| Self { packets, again, ..self.clone() })
    }
}

/// Takes in an error of a pair. Whether it is in a row.
pub(super) fn note(
    rows: &mut Vec<IcmpRow>,
    of_client: bool,
    sender: End,
    error: &IcmpError,
    (at, to): (KernelTime, InterfaceNumber),
) -> bool {
    let IcmpError { kind, mtu, length, .. } = *error;
    let (packets, largest, again) = (1, length, 0);
    let fresh = IcmpRow { kind, of_client, sender, mtu, packets, largest, again, told_at: at, told_to: to };
    if let Some(row) = rows.iter_mut().find(|row| row.likeness() == fresh.likeness()) {
        row.add(error, at, to);
        return true;
    }
    let has_room = rows.len() < MOST;
    if has_room {
        rows.push(fresh);
    }
    has_room
}

/// What came on top of earlier rows.
pub(super) fn since(rows: &[IcmpRow], before: &[IcmpRow]) -> Vec<IcmpRow> {
    rows.iter().filter_map(|row| row.since(before)).collect()
}

/// Adds what the same pair's later rows tell. What differs from all that are kept has no room.
pub(super) fn merge(rows: &mut Vec<IcmpRow>, later: &[IcmpRow]) {
    for next in later {
        if let Some(row) = rows.iter_mut().find(|row| row.likeness() == next.likeness()) {
            row.join(next);
        } else if rows.len() < MOST {
            rows.push(next.clone());
        }
    }
}

/// Adds up those of several pairs that are alike, those first that were not obeyed, then the most frequent; so many as are
/// told of one service. And how many errors the others were.
pub(super) fn merged(mut rows: Vec<IcmpRow>) -> (Vec<IcmpRow>, u64) {
    rows.sort_by_key(IcmpRow::likeness);
    rows.dedup_by(|next, kept| {
        let is_like = next.likeness() == kept.likeness();
        if is_like {
            kept.join(next);
        }
        is_like
    });
    rows.sort_by_key(|row| Reverse((row.again > 0, row.packets)));
    let others = rows.iter().skip(MOST_OF_SERVICE).map(|row| row.packets).fold(0, u64::saturating_add);
    rows.truncate(MOST_OF_SERVICE);
    (rows, others)
}

#[cfg(test)]
mod tests {
    use super::{IcmpRow, note};
    use crate::model::{IcmpError, InterfaceNumber, KernelTime};
    use crate::wire::fixtures;

    #[test]
    fn a_container_that_is_started_anew_does_not_disobey_what_it_was_told_before() {
        let IcmpRow { kind, mtu, sender, .. } = fixtures::icmp_row();
        let error = IcmpError { sender: sender.address, kind, mtu, length: 1_500 };
        let mut rows = Vec::new();
        for (second, interface, again) in [(6, 1, 0), (30, 2, 0), (30, 2, 0), (40, 2, 1)] {
            let to = (KernelTime(second * 1_000_000_000), InterfaceNumber(interface));
            assert!(note(&mut rows, true, sender.clone(), &error, to));
            assert_eq!(rows[0].again, again, "{second}");
        }
    }
}
