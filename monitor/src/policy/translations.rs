//! The conversations that the host translates, by what the initiator sends.

use crate::model::{Conntrack, Protocol, Translation, TranslationChange, Tuple};
use std::collections::{HashMap, VecDeque};

/// The most that are remembered.
const MOST: usize = 65_536;

/// Translations that are there, and those that went lately.
#[derive(Debug, Default)]
pub(super) struct Translations {
    by_original: HashMap<Tuple, Tuple>,
    order: VecDeque<Tuple>,
    /// Translations that were forgotten for want of room.
    pub(super) forgotten: u64,
}

impl Translations {
    /// Takes in changes. What is gone is remembered until its room is wanted: the flow's last tick still comes.
    pub(super) fn take(&mut self, changes: &[TranslationChange]) {
        for change in changes {
            let TranslationChange::Known(Translation { original, reply }) = change else { continue };
            if self.by_original.insert(*original, *reply).is_none() {
                self.order.push_back(*original);
            }
            while self.by_original.len() > MOST {
                let Some(oldest) = self.order.pop_front() else { break };
                self.forgotten += u64::from(self.by_original.remove(&oldest).is_some());
            }
        }
    }

    /// How they are learned from now on. After an overrun all that are there are told again.
    pub(super) fn learned_by(&mut self, source: &Conntrack) {
        if *source == Conntrack::Overrun {
            self.by_original.clear();
            self.order.clear();
        }
    }

    /// What the other end answers to what an initiator sends, if the host translates it.
    pub(super) fn reply_to(&self, original: &Tuple) -> Option<&Tuple> {
        self.by_original.get(original)
    }

    /// What an initiator sends, by what the other end answers. Looks at all: for somebody who asks, not for each flow.
    pub(super) fn original_of(&self, reply: &Tuple) -> Option<&Tuple> {
        self.by_original.iter().find(|(_, other)| *other == reply).map(|(original, _)| original)
    }
}

/// What conntrack calls a conversation's ports: the echo identifier twice for ICMP.
pub(super) fn ports(protocol: Protocol, ports: Option<(u16, u16)>, icmp: Option<u16>) -> (u16, u16) {
    match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => icmp.map_or((0, 0), |id| (id, id)),
        _ => ports.unwrap_or((0, 0)),
    }
}
