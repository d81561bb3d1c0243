//! What part of a pair's conversations the client came to by which name, where several containers share names.

use super::{Alias, Answers, PairRow};
use crate::model::{Counts, Traffic};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Names of one pair that are told apart; the others count as names that nobody shares.
const MOST: usize = 64;

/// How often, how, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What the client sent and received.
    pub traffic: Traffic,
    /// Conversations that were opened.
    pub conversations: u64,
    /// How its TCP connections went.
    pub answers: Answers,
}

/// What a client came to by one name, since the watch began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The name; absent for all those that lead to this container alone.
    pub alias: Option<Alias>,
    /// How much.
    pub part: Part,
}

impl Part {
    /// All of a pair.
    pub(super) const fn whole(row: &PairRow) -> Self {
        Self { traffic: row.traffic, conversations: row.conversations, answers: row.answers }
    }

    /// What came on top of a part of it.
    pub(super) fn since(self, before: Self) -> Self {
        let more = |now: Counts, before: &Counts| now.since(before).unwrap_or_default();
        Self {
            traffic: Traffic {
                sent: more(self.traffic.sent, &before.traffic.sent),
                received: more(self.traffic.received, &before.traffic.received),
            },
            conversations: self.conversations.saturating_sub(before.conversations),
            answers: self.answers.since(before.answers),
        }
    }
}

impl AddAssign for Part {
    fn add_assign(&mut self, other: Self) {
        self.traffic += other.traffic;
        self.conversations += other.conversations;
        self.answers += other.answers;
    }
}

/// The shares of one pair.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// All since the watch began.
    pub(super) all: Vec<Share>,
    /// What of these the history was not told yet.
    untold: Vec<Share>,
}

impl Shares {
    /// Adds what a client came to by a name.
    pub(super) fn add(&mut self, alias: Option<&Alias>, part: Part) {
        add(&mut self.all, alias, part);
        add(&mut self.untold, alias, part);
    }

    /// What the history was not told yet, which it is with this.
    pub(super) fn tell(&mut self) -> Vec<Share> {
        std::mem::take(&mut self.untold)
    }
}

/// Adds what was counted later.
pub(super) fn merge(shares: &mut Vec<Share>, later: &[Share]) {
    later.iter().for_each(|share| add(shares, share.alias.as_ref(), share.part));
}

/// Adds what a client came to by a name.
fn add(shares: &mut Vec<Share>, alias: Option<&Alias>, part: Part) {
    if let Some(share) = shares.iter_mut().find(|share| share.alias.as_ref() == alias) {
        share.part += part;
    } else if alias.is_none() || shares.len() < MOST {
        shares.push(Share { alias: alias.cloned(), part });
    } else {
        add(shares, None, part);
    }
}

/// What came on top of earlier shares.
pub(super) fn since(shares: &[Share], before: &[Share]) -> Vec<Share> {
    let earlier = |share: &Share| before.iter().find(|it| it.alias == share.alias).map(|it| it.part);
    let more = |share: &Share| Share {
        alias: share.alias.clone(),
        part: share.part.since(earlier(share).unwrap_or_default()),
    };
    shares.iter().map(more).collect()
}

impl PairRow {
    /// What may have come by a name: all but what is known to have come by another one. And how many conversations are known
    /// to have come by it.
    pub(super) fn by_alias(&self, alias: &Alias) -> (Part, u64) {
        let (mut others, mut by_name) = (Part::default(), 0);
        for share in &self.shares {
            if share.alias.as_ref() == Some(alias) {
                by_name = share.part.conversations;
            } else {
                others += share.part;
            }
        }
        (Part::whole(self).since(others), by_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fixtures;

    fn alias(name: &str) -> Alias {
        Alias { network: fixtures::network("shop_back"), name: fixtures::text(name) }
    }

    fn part(conversations: u64) -> Part {
        Part { conversations, ..Part::default() }
    }

    #[test]
    fn what_came_by_another_name_is_left_out_and_what_nobody_knows_is_not() {
        let mut row = PairRow { conversations: 10, ..fixtures::pair_row() };
        for (name, count) in [(Some("pool"), 1), (Some("pool"), 2), (Some("other"), 4), (None, 1)] {
            add(&mut row.shares, name.map(alias).as_ref(), part(count));
        }
        let of = |name| {
            let (part, by_name) = row.by_alias(&alias(name));
            (part.conversations, by_name)
        };
        assert_eq!([of("pool"), of("other"), of("third")], [(5, 3), (6, 4), (2, 0)]);
        let earlier = vec![Share { alias: Some(alias("pool")), part: part(2) }];
        assert_eq!(since(&row.shares, &earlier)[0].part, part(1));
    }

    #[test]
    fn the_history_is_told_each_share_once() {
        let mut shares = Shares::default();
        let mut told = Vec::new();
        for (name, count) in [("pool", 1), ("other", 2), ("pool", 4)] {
            shares.add(Some(&alias(name)), part(count));
            merge(&mut told, &shares.tell());
        }
        assert_eq!((&told, shares.tell()), (&shares.all, Vec::new()));
        assert_eq!(told.iter().map(|share| share.part.conversations).collect::<Vec<_>>(), [5, 2]);
    }

    #[test]
    fn names_of_a_pair_are_bounded_and_nothing_is_lost_by_it() {
        let mut shares = Vec::new();
        for number in 0..1_000 {
            add(&mut shares, Some(&alias(&format!("n{number}"))), part(1));
        }
        let sum: u64 = shares.iter().map(|share| share.part.conversations).sum();
        assert_eq!((shares.len(), sum), (MOST + 1, 1_000));
    }
}
