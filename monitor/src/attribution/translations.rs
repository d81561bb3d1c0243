//! The conversations that the host translates, by what the initiator sends and by what the other end answers.

use super::{Attribution, End, EndKind, Packets, reason};
use crate::model::{Conntrack, Initiator, Translation, TranslationChange, Tuple, Word, word};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// The most that are remembered.
const MOST: usize = 65_536;

/// A conversation whose addresses or ports the host changes, or that a process of the host passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// `published-port`, `redirect`, `masquerade`, or `proxy`. Fixed words: they are part of the JSON.
    #[serde(deserialize_with = "word::read")]
    pub kind: Word,
    /// What the initiator sends; absent where only the origin of its packets is known.
    pub original: Option<Tuple>,
    /// What the other end answers; absent for a proxy, which has a connection of its own.
    pub reply: Option<Tuple>,
    /// How it is known: `conntrack`, `port-map` or `origin`. Fixed words as well.
    #[serde(deserialize_with = "word::read")]
    pub evidence: Word,
}

/// Translations that are there, and those that went lately.
#[derive(Debug, Default)]
pub(super) struct Translations {
    by_original: HashMap<Tuple, Tuple>,
    by_reply: HashMap<Tuple, Tuple>,
    order: VecDeque<Tuple>,
    /// Translations that were forgotten for want of room.
    pub(super) forgotten: u64,
}

impl Translations {
    /// Takes in changes. What is gone is remembered until its room is wanted: the flow's last tick still comes.
    fn take(&mut self, changes: &[TranslationChange]) {
        for change in changes {
            let TranslationChange::Known(Translation { original, reply }) = change else { continue };
            match self.by_original.insert(*original, *reply) {
                Some(before) => self.forget_reply(&before, original),
                None => self.order.push_back(*original),
            }
            self.by_reply.insert(*reply, *original);
            while self.by_original.len() > MOST {
                let Some(oldest) = self.order.pop_front() else { break };
                let Some(reply) = self.by_original.remove(&oldest) else { continue };
                self.forget_reply(&reply, &oldest);
                self.forgotten += 1;
            }
        }
    }

    /// Forgets a reply, unless it is another translation's by now: ports are used again.
    fn forget_reply(&mut self, reply: &Tuple, original: &Tuple) {
        if self.by_reply.get(reply) == Some(original) {
            self.by_reply.remove(reply);
        }
    }

    fn clear(&mut self) {
        self.by_original.clear();
        self.by_reply.clear();
        self.order.clear();
    }
}

impl Attribution {
    /// Takes in translations.
    pub fn translations(&mut self, changes: &[TranslationChange]) {
        self.translations.take(changes);
    }

    /// How they are learned from now on. After an overrun all that are there are told again.
    pub fn conntrack(&mut self, source: &Conntrack) {
        if *source == Conntrack::Overrun {
            self.translations.clear();
        }
    }

    /// What the other end answers to what an initiator sends, if the host translates it.
    #[must_use]
    pub fn reply_to(&self, original: &Tuple) -> Option<&Tuple> {
        self.translations.by_original.get(original)
    }

    /// What an initiator sends, by what the other end answers, if the host translates it.
    #[must_use]
    pub fn original_of(&self, reply: &Tuple) -> Option<&Tuple> {
        self.translations.by_reply.get(reply)
    }

    /// The container that sent packets whose source the host rewrote, by conntrack. Its address is the one that the
    /// packets carry.
    pub(super) fn before_translation(&self, packets: &Packets) -> Option<End> {
        let original = self.original_of(&packets.key.tuple())?;
        let end = self.holder(original.source, None, packets)?;
        (end.kind == EndKind::Container).then_some(End { address: packets.key.remote, ..end })
    }

    /// How the host changes what crossed an interface, or passes it on; `remote` is the other end as it was named.
    #[must_use]
    pub fn translated(&self, packets: &Packets, remote: &End, initiator: Initiator) -> Option<Translated> {
        let here = packets.key.tuple();
        if let Some(translated) = self.by_conntrack(&here) {
            return Some(translated);
        }
        if remote.reason == Some(reason::MASQUERADED) {
            let reply = Some(here);
            return Some(Translated { kind: "masquerade", original: None, reply, evidence: "origin" });
        }
        let asked = initiator != Initiator::Remote && self.is_of_host(here.destination, packets.last);
        let is_published = asked && self.publisher(here.destination, here.ports.1, here.protocol).is_some();
        let original = Some(here);
        is_published.then_some(Translated { kind: "proxy", original, reply: None, evidence: "port-map" })
    }

    /// How the host changes what crosses an interface in this direction, or in the other, as far as conntrack knows.
    #[must_use]
    pub fn by_conntrack(&self, here: &Tuple) -> Option<Translated> {
        let (original, reply) = match self.reply_to(here) {
            Some(reply) => (here, reply),
            None => (self.original_of(here)?, here),
        };
        let kind = if (reply.source, reply.ports.0) == (original.destination, original.ports.1) {
            "masquerade"
        } else if self.publisher(original.destination, original.ports.1, original.protocol).is_some() {
            "published-port"
        } else {
            "redirect"
        };
        let (original, reply) = (Some(*original), Some(*reply));
        Some(Translated { kind, original, reply, evidence: "conntrack" })
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Translations};
    use crate::model::{Protocol, Translation, TranslationChange, Tuple};

    fn tuple(source: u32) -> Tuple {
        let source = std::net::IpAddr::from(source.to_be_bytes());
        let destination = "172.18.0.2".parse().unwrap();
        Tuple { source, destination, protocol: Protocol::TCP, ports: (40_000, 80) }
    }

    fn known(original: u32, reply: u32) -> TranslationChange {
        TranslationChange::Known(Translation { original: tuple(original), reply: tuple(reply) })
    }

    #[test]
    fn a_tuple_that_is_used_again_leaves_nothing_behind() {
        let mut translations = Translations::default();
        translations.take(&[known(1, 2), known(1, 3)]);
        assert_eq!(translations.by_original.get(&tuple(1)), Some(&tuple(3)));
        assert_eq!(translations.by_reply.get(&tuple(3)), Some(&tuple(1)));
        assert_eq!(translations.by_reply.len(), 1);
    }

    #[test]
    fn a_reply_that_another_has_by_now_stays_when_the_first_is_forgotten() {
        let mut translations = Translations::default();
        translations.take(&[known(1, 9), known(2, 9), known(1, 8)]);
        assert_eq!(translations.by_reply.get(&tuple(9)), Some(&tuple(2)));
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let mut translations = Translations::default();
        let most = u32::try_from(MOST).unwrap();
        let many: Vec<_> = (0..most + 10).map(|at| known(at, at | 1 << 31)).collect();
        translations.take(&many);
        assert_eq!((translations.by_original.len(), translations.by_reply.len()), (MOST, MOST));
        assert_eq!(translations.forgotten, 10);
        assert!(!translations.by_original.contains_key(&tuple(0)));
    }
}
