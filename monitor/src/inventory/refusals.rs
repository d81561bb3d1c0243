//! What Docker said and made no sense: counted, with the last reason.

use crate::model::{Change, SafeText};
use std::fmt::Display;

/// Answers, or parts of answers, that were dropped.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    answers: u64,
    last: String,
    told: u64,
}

impl Refusals {
    /// Counts one that was dropped, and why. What the reason quotes from outside is made safe.
    pub(super) fn refuse(&mut self, reason: impl Display) {
        self.answers = self.answers.saturating_add(1);
        self.last = SafeText::new(&reason.to_string()).as_str().to_owned();
    }

    /// Adds what another has counted.
    pub(super) fn absorb(&mut self, other: Self) {
        if other.answers > 0 {
            self.answers = self.answers.saturating_add(other.answers);
            self.last = other.last;
        }
    }

    /// What is to be told of them, if more came since the last time.
    pub(super) fn news(&mut self) -> Option<Change> {
        if self.told == self.answers {
            return None;
        }
        self.told = self.answers;
        Some(Change::Refused { answers: self.answers, last: self.last.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::Refusals;
    use crate::model::Change;

    #[test]
    fn many_refusals_are_told_once_with_the_last_reason_made_safe() {
        let mut refusals = Refusals::default();
        refusals.refuse("first");
        refusals.refuse("\x1b[31mlast");
        let expected = Change::Refused { answers: 2, last: "\\u{1b}[31mlast".to_owned() };
        assert_eq!(refusals.news(), Some(expected));
        assert_eq!(refusals.news(), None);
    }

    #[test]
    fn what_others_counted_is_added() {
        let mut refusals = Refusals::default();
        let mut other = Refusals::default();
        refusals.absorb(Refusals::default());
        assert_eq!(refusals.news(), None);
        other.refuse("x");
        refusals.absorb(other);
        assert_eq!(refusals.news(), Some(Change::Refused { answers: 1, last: "x".to_owned() }));
    }
}
