//! Ranks of rows as numbers: a list is ordered by comparing whole numbers, and no letters.

use super::column::Rank;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A rank among those it was made with; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Where a name is among the others.
    Name(u64),
    /// A number.
    Number(u64),
    /// What was not measured: last, whichever way the order goes.
    Absent,
}

/// The keys of all ranks. A name is looked at once and put among the different ones, which mostly are few.
pub(super) fn keys<'a>(ranks: impl Iterator<Item = Rank<'a>>, descending: bool) -> Vec<Key> {
    let turned = |number: u64| if descending { u64::MAX - number } else { number };
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut keys: Vec<Key> = ranks
        .map(|rank| match rank {
            Rank::Number(None) => Key::Absent,
            Rank::Number(Some(number)) => Key::Number(turned(number)),
            Rank::Name(name) => {
                let number = match numbers.entry(name) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        names.push((name, names.len()));
                        *new.insert(names.len() - 1)
                    }
                };
                Key::Name(number as u64)
            }
        })
        .collect();
    names.sort_unstable();
    let mut places = vec![0; names.len()];
    for (place, (_, number)) in names.into_iter().enumerate() {
        places[number] = turned(place as u64);
    }
    for key in &mut keys {
        if let Key::Name(number) = key {
            *number = usize::try_from(*number)
                .ok()
                .and_then(|number| places.get(number).copied())
                .unwrap_or(u64::MAX);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::keys;
    use crate::tui::column::Rank;

    /// The ranks in the order of their keys.
    fn ordered<'a>(ranks: &[Rank<'a>], descending: bool) -> Vec<Rank<'a>> {
        let keys = keys(ranks.iter().copied(), descending);
        let mut both: Vec<_> = keys.into_iter().zip(ranks.iter().copied()).collect();
        both.sort_by_key(|(key, _)| *key);
        both.into_iter().map(|(_, rank)| rank).collect()
    }

    #[test]
    fn names_are_ordered_by_their_letters_both_ways() {
        let names = ["web-2", "db", "", "web-10", "db", "日本"].map(Rank::Name);
        assert_eq!(ordered(&names, false), ["", "db", "db", "web-10", "web-2", "日本"].map(Rank::Name));
        assert_eq!(ordered(&names, true), ["日本", "web-2", "web-10", "db", "db", ""].map(Rank::Name));
    }

    #[test]
    fn what_was_not_measured_comes_last_both_ways() {
        let numbers = [Some(7), None, Some(0), Some(u64::MAX), None].map(Rank::Number);
        let up = [Some(0), Some(7), Some(u64::MAX), None, None].map(Rank::Number);
        assert_eq!(ordered(&numbers, false), up);
        let down = [Some(u64::MAX), Some(7), Some(0), None, None].map(Rank::Number);
        assert_eq!(ordered(&numbers, true), down);
    }
}
