//! What errors of ICMP said of a pair's packets.

use super::{End, EndKind};
use crate::model::{FlowId, IcmpError, IcmpKind, KernelTime};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

/// Different errors that are kept for a pair: whoever sends them can choose nearly all that is in them.
const MOST: usize = 8;
/// Of these, those that say anything else than that a packet is too big: a traceroute leaves room for these.
const MOST_OTHERS: usize = 6;
/// Different errors that are told one by one of all pairs of two services.
pub(super) const MOST_OF_SERVICE: usize = 16;
/// How long packets that were under way already may be told to be too big after the first.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How long a kernel remembers the MTU of a way (Linux: `net.ipv4.route.mtu_expires`). Then it tries again, as it should.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Packets that a conversation whose sender was told the MTU goes on with in that time, until that is worth telling: one or
/// two may be a program that tries how much fits.
const DISOBEYED: u64 = 3;
/// How long nothing is told of the conversation that is followed until another one may be in its place. One that does not
/// obey is told three times in less, however long it waits in between.
const UNTOLD: Duration = Duration::from_secs(10);

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
    /// Of them, those about packets longer than the MTU of a conversation that had been told it itself a second or more, and
    /// no more than ten minutes, before, and that had sent as much since it was told last: whoever sent them did not obey.
    pub again: u64,
}

/// The conversation that an error is about.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Which one.
    pub flow: FlowId,
    /// Bytes that it had sent in the direction in which its packet did not arrive.
    pub sent: u64,
    /// When it was told.
    pub at: KernelTime,
}

/// The one conversation that is followed of those that the errors of a row are about. A kernel knows an MTU by itself, and many
/// may be behind one end: a container in which others run, a tunnel.
#[derive(Clone, Copy, Debug)]
struct Followed {
    /// When it was told the MTU first, in the latest ten minutes.
    since: KernelTime,
    /// When it was told last.
    last: Told,
    /// How often it did not obey.
    again: u64,
}

impl Followed {
    const fn new(told: Told) -> Self {
        Self { since: told.at, last: told, again: 0 }
    }

    /// Takes in an error. Whether it is about a packet of a conversation that had known better.
    fn hear(&mut self, error: &IcmpError, told: Told) -> bool {
        let is_another = told.flow != self.last.flow;
        if is_another && told.at.since(self.last.at) < UNTOLD {
            return false;
        }
        let known = told.at.since(self.since);
        if is_another || known > REMEMBERED {
            *self = Self::new(told);
            return false;
        }
        // Whoever is asked can invent errors about what was never sent.
        let sent = told.sent.saturating_sub(self.last.sent);
        self.last = told;
        let is_again =
            error.mtu.is_some_and(|mtu| error.length > mtu && sent >= u64::from(mtu)) && known >= UNDER_WAY;
        self.again += u64::from(is_again);
        is_again
    }
}

impl IcmpRow {
    /// What tells it from other rows of its pair.
    fn likeness(&self) -> (IcmpKind, bool, Option<u32>, EndKind, IpAddr) {
        (self.kind, self.of_client, self.mtu, self.sender.kind, self.sender.address)
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

/// The errors about a pair's packets.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) rows: Vec<IcmpRow>,
    /// The conversation that is followed of each row.
    followed: Vec<Followed>,
}

impl Errors {
    /// Takes in an error. How many packets are to be told as sent by one who knew that they do not fit; `None` if it has no room.
    pub(super) fn note(
        &mut self,
        of_client: bool,
        sender: End,
        error: &IcmpError,
        told: Told,
    ) -> Option<u64> {
        let Self { rows, followed } = self;
        let IcmpError { kind, mtu, length, .. } = *error;
        let fresh = IcmpRow { kind, of_client, sender, mtu, packets: 1, largest: length, again: 0 };
        let likeness = fresh.likeness();
        let known = rows.iter_mut().zip(followed.iter_mut()).find(|(row, _)| row.likeness() == likeness);
        if let Some((row, followed)) = known {
            let is_again = followed.hear(error, told);
            row.join(&IcmpRow { again: u64::from(is_again), ..fresh });
            return Some(match followed.again {
                DISOBEYED if is_again => DISOBEYED,
                again if is_again && again > DISOBEYED => 1,
                _ => 0,
            });
        }
        let most = if kind.is_too_big() { MOST } else { MOST_OTHERS };
        (rows.len() < most).then(|| {
            rows.push(fresh);
            followed.push(Followed::new(told));
            0
        })
    }
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
    use super::{Errors, IcmpRow, Told};
    use crate::model::{FlowId, IcmpError, KernelTime};
    use crate::wire::fixtures;

    /// Errors at these seconds about packets of these conversations, which sent a packet that is too big each time. The packets
    /// that are to be told of each.
    fn told(errors: &[(u64, u64)]) -> Vec<u64> {
        let IcmpRow { kind, mtu, sender, .. } = fixtures::icmp_row();
        let error = IcmpError { sender: sender.address, kind, mtu, length: 1_500 };
        let mut rows = Errors::default();
        let note = |(sent, (second, flow)): (u64, &(u64, u64))| {
            let told =
                Told { flow: FlowId(*flow), sent: sent * 1_500, at: KernelTime(second * 1_000_000_000) };
            rows.note(true, sender.clone(), &error, told).unwrap()
        };
        (1..).zip(errors).map(note).collect()
    }

    #[test]
    fn it_is_worth_telling_once_three_packets_of_a_conversation_did_not_fit_that_was_told() {
        // A kernel forgets after ten minutes, and is told anew.
        let errors = [(0, 1), (0, 1), (2, 1), (3, 1), (700, 1), (701, 1), (702, 1), (703, 1), (704, 1)];
        assert_eq!(told(&errors), [0, 0, 0, 0, 0, 0, 0, 3, 1]);
    }

    #[test]
    fn of_conversations_that_are_told_once_each_nothing_is_told() {
        let each: Vec<_> = (0..100).map(|at| (at * 2, at)).collect();
        assert!(told(&each).iter().all(|packets| *packets == 0));
        // One that was told long ago makes room for one that does not obey.
        assert_eq!(told(&[(0, 1), (9, 2), (10, 2), (12, 2), (14, 2), (16, 2)]), [0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn a_traceroute_leaves_room_for_what_is_too_big() {
        let IcmpRow { kind, mtu, sender, .. } = fixtures::icmp_row();
        let told = Told { flow: FlowId(1), sent: 0, at: KernelTime(0) };
        let mut rows = Errors::default();
        let mut note = |kind, mtu| {
            let error = IcmpError { sender: sender.address, kind, mtu, length: 1_500 };
            rows.note(true, sender.clone(), &error, told).is_some()
        };
        let exceeded = |code| crate::model::IcmpKind { v6: false, kind: 11, code };
        assert_eq!((0..9).filter(|code| note(exceeded(*code), None)).count(), 6);
        assert!(note(kind, mtu));
    }
}
