//! The pairs that a row is, and what a filter finds of them.

use crate::filter::{Field, Filterable, IsText};
use crate::snapshot::PairRow;
use std::net::IpAddr;
use std::sync::Arc;

/// Some of a snapshot's pairs.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Members {
    all: Arc<[PairRow]>,
    places: Vec<usize>,
}

impl Members {
    /// None of these.
    pub(in crate::tui::screens) fn none(all: &Arc<[PairRow]>) -> Self {
        Self { all: Arc::clone(all), places: Vec::new() }
    }

    /// The one at a place is one of them.
    pub(in crate::tui::screens) fn push(&mut self, place: usize) {
        self.places.push(place);
    }

    /// So are those of another row.
    pub(super) fn extend(&mut self, other: Self) {
        self.places.extend(other.places);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PairRow> {
        self.places.iter().map(|at| &self.all[*at])
    }

    /// The first of them.
    pub(super) fn first(&self) -> &PairRow {
        &self.all[self.places[0]]
    }
}

impl Filterable for Members {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        self.iter().any(|pair| {
            let mut of_ends = || [&pair.client, &pair.server].into_iter().any(|end| end.texts(field, is_it));
            match field {
                Field::Any => {
                    of_ends()
                        || pair.network.as_ref().is_some_and(|network| is_it(network.name.as_str()))
                        || pair.verdict.as_ref().is_some_and(|verdict| {
                            is_it(verdict.rule.as_str()) || is_it(verdict.outcome.name())
                        })
                        || is_it(&pair.protocol.name())
                }
                Field::Container | Field::Service | Field::Project | Field::Image => of_ends(),
                Field::Network => pair.network.as_ref().is_some_and(|network| is_it(network.name.as_str())),
                Field::Protocol => is_it(&pair.protocol.name()),
                Field::State => pair.verdict.as_ref().is_some_and(|verdict| is_it(verdict.outcome.name())),
                Field::Rule => pair.verdict.as_ref().is_some_and(|verdict| is_it(verdict.rule.as_str())),
                Field::Port | Field::Address | Field::Kind | Field::Severity => false,
            }
        })
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.iter().any(|pair| pair.client.ids(is_it) || pair.server.ids(is_it))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.iter().filter_map(|pair| pair.server.port).any(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.iter().any(|pair| is_it(pair.client.address) || is_it(pair.server.address))
    }
}
