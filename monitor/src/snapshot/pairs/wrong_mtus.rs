//! Who sends what does not fit on the way although it is told, over all pairs.

use super::Who;
use crate::model::KernelTime;
use crate::policy::WrongMtu;
use crate::snapshot::{End, EndKind};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How many are kept at once: whoever has a conversation can invent errors about it.
const MOST: usize = 64;

/// What makes them one: who sends, who tells it, and what fits.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Who, IpAddr, u32);

#[derive(Debug)]
struct Kept {
    wrong: WrongMtu,
    /// The other ends.
    others: BTreeSet<Who>,
    is_news: bool,
}

/// Those that are kept.
#[derive(Debug, Default)]
pub(crate) struct WrongMtus {
    kept: BTreeMap<Key, Kept>,
    /// Those that found no room.
    pub(crate) refused: u64,
}

impl WrongMtus {
    /// Takes in what was told of a pair.
    pub(super) fn add(&mut self, told: WrongMtu) {
        let key = Key(Who::of(&told.source), told.told_by.address, told.mtu);
        if self.kept.len() >= MOST && !self.kept.contains_key(&key) {
            self.refused += 1;
            return;
        }
        let other = Who::of(&told.destination);
        let fresh =
            || Kept { wrong: WrongMtu { again: 0, ..told.clone() }, others: BTreeSet::new(), is_news: true };
        let Kept { wrong, others, is_news } = self.kept.entry(key).or_insert_with(fresh);
        if others.len() < WrongMtu::MOST_OTHERS {
            others.insert(other);
        }
        let (again, others) = (wrong.again.saturating_add(told.again), others.len());
        *wrong = WrongMtu { again, others, ..told };
        *is_news = true;
    }

    /// What is new at the end of a tick.
    pub(crate) fn news(&mut self, now: KernelTime) -> Vec<WrongMtu> {
        self.kept.retain(|_, kept| now.since(kept.wrong.at) <= WrongMtu::QUIET);
        let news = |kept: &mut Kept| std::mem::take(&mut kept.is_news).then(|| kept.wrong.clone());
        self.kept.values_mut().filter_map(news).collect()
    }
}

/// Whether a finding can be about what this end sends: it is here, where something can be done about it.
pub(super) fn is_of_here(end: &End) -> bool {
    end.container.is_some() || end.kind == EndKind::Host
}
