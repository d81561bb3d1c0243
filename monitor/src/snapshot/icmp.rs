//! What errors of ICMP said of a pair's packets.

use super::{End, EndKind};
use crate::model::{IcmpError, IcmpKind, KernelTime};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

/// Different errors that are kept for a pair: whoever sends them can choose nearly all that is in them.
const MOST: usize = 8;
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
}

impl IcmpRow {
    /// What tells it from other rows of its pair.
    fn likeness(&self) -> (IcmpKind, bool, Option<u32>, EndKind, IpAddr) {
        (self.kind, self.of_client, self.mtu, self.sender.kind, self.sender.address)
    }

    /// Takes in another error of the same kind.
    fn add(&mut self, error: &IcmpError, at: KernelTime) {
        self.packets += 1;
        self.largest = self.largest.max(error.length);
        let known = at.since(self.told_at);
        if known > REMEMBERED {
            self.told_at = at;
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
    at: KernelTime,
) -> bool {
    let IcmpError { kind, mtu, length, .. } = *error;
    let fresh = IcmpRow { kind, of_client, sender, mtu, packets: 1, largest: length, again: 0, told_at: at };
    if let Some(row) = rows.iter_mut().find(|row| row.likeness() == fresh.likeness()) {
        row.add(error, at);
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

/// Adds up those of several pairs that are alike; the most frequent first.
pub(super) fn merged(mut rows: Vec<IcmpRow>) -> Vec<IcmpRow> {
    rows.sort_by_key(IcmpRow::likeness);
    rows.dedup_by(|next, kept| {
        let is_like = next.likeness() == kept.likeness();
        if is_like {
            kept.join(next);
        }
        is_like
    });
    rows.sort_by_key(|row| Reverse(row.packets));
    rows
}
