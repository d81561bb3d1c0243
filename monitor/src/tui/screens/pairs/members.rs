//! The pairs that a row is, and what a filter finds of them.

use crate::filter::{Field, Filterable, IsText};
use crate::model::SafeText;
use crate::snapshot::{ContainerRef, PairRow};
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
            .iter()
            .flat_map(|pair| [&pair.client, &pair.server])
            .filter_map(|end| end.container.as_ref());
        containers.any(|container| is_it(container.id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.iter().filter_map(|pair| pair.server.port).any(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.iter().any(|pair| is_it(pair.client.address) || is_it(pair.server.address))
    }
}
