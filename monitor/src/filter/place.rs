//! A filter of packets that are seen at both ends: at which of them it takes one.
//!
//! `web` means packets at the interface of `web`, not also those at the interfaces of everybody it talks to. So at least
//! one word that is about an end has to hold of the interface's own. Words about the packet itself (`tcp`, `port:53`) hold
//! at both.

use super::word::{Test, Word};
use super::{Field, Filter, Filterable};

impl Filter {
    /// Whether every word holds of a packet, and, where words hold of an end alone, one of these of its own end. `packet`
    /// is what it is itself, `own` its interface's end, `whole` everything.
    #[must_use]
    pub fn takes_at(&self, whole: &dyn Filterable, packet: &dyn Filterable, own: &dyn Filterable) -> bool {
        self.takes(whole) && {
            let mut of_ends = self.wanted().filter(|word| !word.holds(packet)).peekable();
            of_ends.peek().is_none() || of_ends.any(|word| word.holds(own))
        }
    }

    /// Whether it may take any packet at all of an interface. `possible` is what a packet itself may be.
    #[must_use]
    pub fn may_take_at(&self, possible: &dyn Filterable, own: &dyn Filterable) -> bool {
        let excluded = self.words.iter().any(|word| word.negated && !word.holds(own));
        let names_an_end = self.wanted().any(|word| !word.holds(possible));
        !excluded && (!names_an_end || self.wanted().any(|word| word.holds(own)))
    }

    /// Whether it asks for what is known of a flow only when it was judged.
    #[must_use]
    pub fn asks_for_verdicts(&self) -> bool {
        let of_verdict = |test: &Test| {
            matches!(test, Test::Text(Field::State | Field::Kind | Field::Severity | Field::Rule, _))
        };
        self.words.iter().flat_map(|word| &word.tests).any(of_verdict)
    }

    fn wanted(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| !word.negated)
    }
}
