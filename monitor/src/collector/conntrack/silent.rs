//! Translations whose end may go unannounced.
//!
//! Unless `nf_conntrack_events` is 1 the kernel announces nothing of an entry that was made while nobody listened,
//! not even its end. So the ones that were there at the start are remembered, and looked for now and then.

use crate::model::Translation;
use std::collections::HashSet;

/// Those that are remembered: at most as many as one list told.
#[derive(Debug, Default)]
pub(super) struct Silent(HashSet<Translation>);

impl Silent {
    /// Remembers these and no others.
    pub(super) fn replace(&mut self, listed: &[Translation]) {
        self.0 = listed.iter().copied().collect();
    }

    /// The end of one was announced after all.
    pub(super) fn announced(&mut self, translation: &Translation) {
        // Most of the time there are none, and then a translation need not be hashed.
        if !self.0.is_empty() {
            self.0.remove(translation);
        }
    }

    /// Forgets those that are not in a new list, and returns them.
    pub(super) fn ended(&mut self, listed: &[Translation]) -> Vec<Translation> {
        let listed: HashSet<_> = listed.iter().collect();
        let ended = self.0.extract_if(|translation| !listed.contains(translation)).collect();
        if self.0.is_empty() {
            self.0 = HashSet::new();
        }
        ended
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Tuple};
    use std::net::Ipv4Addr;

    fn translation(port: u16) -> Translation {
        let tuple = |to| Tuple {
            source: Ipv4Addr::new(10, 0, 0, 1).into(),
            destination: Ipv4Addr::new(10, 0, 0, to).into(),
            protocol: Protocol::TCP,
            ports: (port, 80),
        };
        Translation { original: tuple(2), reply: tuple(3) }
    }

    #[test]
    fn one_that_is_listed_no_more_has_ended_once() {
        let mut silent = Silent::default();
        silent.replace(&[1, 2, 3].map(translation));
        silent.announced(&translation(3));
        assert_eq!(silent.ended(&[translation(1)]), [translation(2)]);
        assert_eq!(silent.ended(&[translation(1)]), []);
        assert!(!silent.is_empty());
        assert_eq!(silent.ended(&[]), [translation(1)]);
        assert!(silent.is_empty());
    }

    #[test]
    fn one_that_came_later_is_not_remembered() {
        let mut silent = Silent::default();
        silent.replace(&[translation(1)]);
        assert_eq!(silent.ended(&[1, 2].map(translation)), []);
        assert_eq!(silent.ended(&[translation(1)]), []);
    }
}
