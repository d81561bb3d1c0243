//! What errors of ICMP said of a pair's packets.

use super::history::PairEnds;
use super::{End, EndKind};
use crate::model::{IcmpError, IcmpKind, InterfaceNumber, KernelTime};
use crate::policy::WrongMtu;
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
/// Packets that a sender who was told the MTU goes on with in that time, until that is worth telling: one or two may be a
/// program that tries how much fits.
const DISOBEYED: u64 = 3;

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
    /// Of these, those since `told_at`.
    pub again_lately: u64,
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
            (self.told_at, self.told_to, self.again_lately) = (at, to, 0);
        } else if known >= UNDER_WAY && error.mtu.is_some_and(|mtu| error.length > mtu) {
            self.again += 1;
            self.again_lately += 1;
        }
    }

    /// What is found of it at this time, if packets that do not fit were sent often enough by an end of this pair that knew it.
    pub(super) fn wrong_mtu(&self, ends: &PairEnds, at: KernelTime) -> Option<WrongMtu> {
        let mtu = self.mtu.filter(|_| self.again_lately >= DISOBEYED)?;
        Some(WrongMtu {
            source: ends.client.clone(),
            destination: ends.server.clone(),
            protocol: ends.protocol,
            of_source: self.of_client,
            told_by: self.sender.clone(),
            reason: self.kind.reason(),
            mtu,
            told: self.packets,
            again: self.again_lately,
            at,
        })
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

/// Takes in an error of a pair; the row that it is in, if there is room.
pub(super) fn note<'a>(
    rows: &'a mut Vec<IcmpRow>,
    of_client: bool,
    sender: End,
    error: &IcmpError,
    (at, to): (KernelTime, InterfaceNumber),
) -> Option<&'a IcmpRow> {
    let IcmpError { kind, mtu, length, .. } = *error;
    let (packets, largest, again) = (1, length, 0);
    let again_lately = 0;
    let (told_at, told_to) = (at, to);
    let fresh =
        IcmpRow { kind, of_client, sender, mtu, packets, largest, again, again_lately, told_at, told_to };
    let known = rows.iter().position(|row| row.likeness() == fresh.likeness());
    let row = match known {
        Some(known) => known,
        None if rows.len() < MOST => {
            rows.push(fresh);
            return rows.last();
        }
        None => return None,
    };
    rows[row].add(error, at, to);
    rows.get(row)
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
    use crate::model::{IcmpError, InterfaceNumber, KernelTime, Protocol};
    use crate::snapshot::history::PairEnds;
    use crate::wire::fixtures;

    #[test]
    fn a_container_that_is_started_anew_does_not_disobey_what_it_was_told_before() {
        let IcmpRow { kind, mtu, sender, .. } = fixtures::icmp_row();
        let error = IcmpError { sender: sender.address, kind, mtu, length: 1_500 };
        let mut rows = Vec::new();
        for (second, interface, again) in [(6, 1, 0), (30, 2, 0), (30, 2, 0), (40, 2, 1)] {
            let to = (KernelTime(second * 1_000_000_000), InterfaceNumber(interface));
            assert!(note(&mut rows, true, sender.clone(), &error, to).is_some());
            assert_eq!(rows[0].again, again, "{second}");
        }
    }

    #[test]
    fn it_is_worth_telling_once_three_packets_in_ten_minutes_did_not_fit_that_were_known_not_to() {
        let IcmpRow { kind, mtu, sender, .. } = fixtures::icmp_row();
        let error = IcmpError { sender: sender.address, kind, mtu, length: 1_500 };
        let ends = PairEnds {
            client: fixtures::container_end("web", "172.18.0.2", None),
            server: fixtures::container_end("app", "172.18.0.3", Some(80)),
            protocol: Protocol::TCP,
            network: None,
            devices: [None, None],
        };
        let mut rows = Vec::new();
        // A kernel forgets after ten minutes, and is told anew.
        let told = [(0, 0), (0, 0), (2, 1), (3, 2), (700, 0), (701, 1), (702, 2), (703, 3)];
        for (second, again) in told {
            let to = (KernelTime(second * 1_000_000_000), InterfaceNumber(1));
            let row = note(&mut rows, true, sender.clone(), &error, to).unwrap();
            assert_eq!(
                (row.again_lately, row.wrong_mtu(&ends, to.0).is_some()),
                (again, again == 3),
                "{second}"
            );
        }
        let wrong = rows[0].wrong_mtu(&ends, KernelTime(0)).unwrap();
        assert_eq!((Some(wrong.mtu), wrong.told, wrong.again, wrong.of_source), (mtu, 8, 3, true));
    }
}
