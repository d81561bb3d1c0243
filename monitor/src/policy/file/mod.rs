//! The policy file: what an operator expects, in rules that come before those of Docker's own facts.
//!
//! `docs/policy.md` is its reference. A file is read once, into compiled rules; deciding allocates nothing. Every
//! mistake of a file is told at once, with its place ([`Mistake`]).
//!
//! What a rule asks of an end can be true, false, or not to be told: of an unknown end nobody can say that it is
//! *not* some container. A rule decides only where all it asks is true.

mod accept;
mod glob;
mod pattern;
mod read;
mod rule;
mod selector;

pub use super::Severity;
pub use crate::document::Mistake;
pub use accept::Accept;
pub use pattern::PassedOver;
pub use rule::{Action, Rule};

use super::Party;
use crate::model::{Protocol, WallTime};

/// The most rules of a file, and the most findings it accepts, each.
pub const MOST_ENTRIES: usize = 4_096;

/// A policy file, read.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    accepts: Vec<Accept>,
}

impl Policy {
    /// Reads a file's content.
    ///
    /// # Errors
    /// When it has mistakes: all of them, in the order of the file.
    pub fn read(content: &[u8]) -> Result<Self, Vec<Mistake>> {
        read::policy(content)
    }

    /// The rules, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The findings it accepts, in the order of the file.
    #[must_use]
    pub fn accepts(&self) -> &[Accept] {
        &self.accepts
    }

    /// The first rule that matches a conversation: `from` opened it, `port` is that of `to`. Without one, the rules
    /// of Docker's own facts decide.
    #[must_use]
    pub fn decide(
        &self,
        from: &Party<'_>,
        to: &Party<'_>,
        protocol: Protocol,
        port: Option<u16>,
    ) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.passed_over(from, to, protocol, port).is_none())
    }

    /// The entry by which a finding of `rule` about a conversation is known and accepted at `now`.
    #[must_use]
    pub fn accepted(
        &self,
        rule: &str,
        from: &Party<'_>,
        to: &Party<'_>,
        protocol: Protocol,
        port: Option<u16>,
        now: WallTime,
    ) -> Option<&Accept> {
        self.accepts.iter().find(|accept| {
            accept.counts(rule, now) && accept.pattern.passed_over(from, to, protocol, port).is_none()
        })
    }

    /// The entry by which a standing finding of `rule` about one container is accepted at `now`. Entries that ask
    /// for a destination, a protocol or ports are about traffic and accept none of these.
    #[must_use]
    pub fn accepted_standing(&self, rule: &str, subject: &Party<'_>, now: WallTime) -> Option<&Accept> {
        self.accepts.iter().find(|accept| accept.counts(rule, now) && accept.pattern.is_only_from(subject))
    }
}

#[cfg(test)]
mod tests;
