//! A row of pairs: one, or several that are gathered.

use super::between::Between;
use super::members::Members;
use crate::filter::{Field, Filterable, IsText};
use crate::model::SafeText;
use crate::snapshot::{Expected, Outcome, PairRow, Percentiles, Verdict};
use crate::tui::board::Board;
use crate::tui::recent::{Both, Recent};
use crate::tui::subject::{Group, PairKey, Subject};
use crate::view::names;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A pair, or several together.
#[derive(Debug)]
pub(in crate::tui) struct Row {
    members: Members,
    pub(super) subject: Subject,
    pub(super) client: String,
    /// With its port.
    pub(super) server: String,
    pub(super) total: Both,
    pub(super) recent: Recent,
    pub(super) conversations: u64,
    /// Absent where several were measured: percentiles of several sets cannot be made from theirs.
    pub(super) handshake: Option<Percentiles>,
    /// The worst.
    pub(super) verdict: Option<Verdict>,
}

impl Row {
    fn of(all: &Arc<[PairRow]>, at: usize, board: &Board) -> Self {
        let pair = &all[at];
        let key = PairKey::of(pair);
        let mut members = Members::none(all);
        members.push(at);
        Self {
            members,
            client: names::end(&pair.client),
            server: names::end_and_port(&pair.server),
            total: pair.traffic.into(),
            recent: board.pair(&key),
            conversations: pair.conversations,
            handshake: pair.handshake,
            verdict: pair.verdict.clone(),
            subject: Subject::Pair(Box::new(key)),
        }
    }

    /// Adds another one.
    fn gather(&mut self, other: Self) {
        self.members.extend(other.members);
        self.total.add(other.total);
        self.recent.merge(&other.recent);
        self.conversations = self.conversations.saturating_add(other.conversations);
        self.handshake = None;
        if other.verdict.as_ref().map(badness) > self.verdict.as_ref().map(badness) {
            self.verdict = other.verdict;
        }
    }

    /// The first of its pairs.
    pub(super) fn first(&self) -> &PairRow {
        self.members.first()
    }

    /// The network that all are on.
    pub(super) fn network(&self) -> Option<&SafeText> {
        let first = self.first().network.as_ref()?;
        self.members.iter().all(|pair| pair.network.as_ref() == Some(first)).then_some(&first.name)
    }
}

/// How bad a verdict is: what is not to be and arrives, what is not to be, what is to be and does not arrive.
pub(in crate::tui) fn badness(verdict: &Verdict) -> u64 {
    match (verdict.expected, verdict.outcome) {
        (Expected::Deny, outcome) if outcome.reached() => 3,
        (Expected::Deny, _) => 2,
        (Expected::Allow, Outcome::Blocked | Outcome::Undelivered) => 1,
        (Expected::Allow, _) => 0,
    }
}

/// All rows, gathered.
pub(super) fn rows(board: &Board, group: Group) -> Vec<Row> {
    let all = &board.latest().pairs;
    let each = (0..all.len()).map(|at| Row::of(all, at, board));
    if group == Group::Container {
        return each.collect();
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<Between, usize> = HashMap::new();
    for row in each {
        let between = Between::of(row.first(), group);
        match places.get(&between) {
            Some(place) => rows[*place].gather(row),
            None => {
                places.insert(between.clone(), rows.len());
                let (client, server) = (between.client(), between.server());
                let subject = Subject::PairsTogether(Box::new(between));
                rows.push(Row { subject, client, server, ..row });
            }
        }
    }
    rows
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let of_ends = field == Field::Any && (is_it(&self.client) || is_it(&self.server));
        of_ends || self.members.texts(field, is_it)
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.members.ids(is_it)
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.members.ports(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.members.addresses(is_it)
    }
}
