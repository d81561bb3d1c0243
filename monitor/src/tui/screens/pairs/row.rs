//! A row of pairs: one, or several that are gathered.

use super::between::Between;
use crate::filter::{Field, Filterable, IsText};
use crate::model::SafeText;
use crate::snapshot::{ContainerRef, Expected, Outcome, PairRow, Percentiles, Verdict};
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
    all: Arc<[PairRow]>,
    /// Those of them that this is.
    members: Vec<usize>,
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
        Self {
            all: Arc::clone(all),
            members: vec![at],
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

    /// The pairs that it is.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &PairRow> {
        self.members.iter().map(|at| &self.all[*at])
    }

    /// The first of them.
    pub(super) fn first(&self) -> &PairRow {
        &self.all[self.members[0]]
    }

    /// The network that all are on.
    pub(super) fn network(&self) -> Option<&SafeText> {
        let first = self.first().network.as_ref()?;
        self.pairs().all(|pair| pair.network.as_ref() == Some(first)).then_some(&first.name)
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
        self.pairs().any(|pair| {
            let mut of_ends = |which: fn(&ContainerRef) -> Option<&SafeText>| {
                [&pair.client, &pair.server].into_iter().any(|end| {
                    let container = end.container.as_deref();
                    container.and_then(which).is_some_and(|text| is_it(text.as_str()))
                })
            };
            match field {
                Field::Any => {
                    of_ends(|it| Some(&it.name))
                        || of_ends(|it| it.service.as_ref())
                        || of_ends(|it| it.project.as_ref())
                        || pair.network.as_ref().is_some_and(|network| is_it(network.name.as_str()))
                        || pair.verdict.as_ref().is_some_and(|verdict| {
                            is_it(verdict.rule.as_str()) || is_it(verdict.outcome.name())
                        })
                        || is_it(&pair.protocol.name())
                        || is_it(&self.client)
                        || is_it(&self.server)
                }
                Field::Container => of_ends(|it| Some(&it.name)),
                Field::Service => of_ends(|it| it.service.as_ref()),
                Field::Project => of_ends(|it| it.project.as_ref()),
                Field::Image => of_ends(|it| it.image.as_ref()),
                Field::Network => pair.network.as_ref().is_some_and(|network| is_it(network.name.as_str())),
                Field::Protocol => is_it(&pair.protocol.name()),
                Field::State => pair.verdict.as_ref().is_some_and(|verdict| is_it(verdict.outcome.name())),
                Field::Rule => pair.verdict.as_ref().is_some_and(|verdict| is_it(verdict.rule.as_str())),
                Field::Port | Field::Address | Field::Kind | Field::Severity => false,
            }
        })
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        let mut containers = self
            .pairs()
            .flat_map(|pair| [&pair.client, &pair.server])
            .filter_map(|end| end.container.as_ref());
        containers.any(|container| is_it(container.id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.pairs().filter_map(|pair| pair.server.port).any(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.pairs().any(|pair| is_it(pair.client.address) || is_it(pair.server.address))
    }
}
