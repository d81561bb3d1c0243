//! The series of names that containers asked for.

use super::containers::named;
use super::families as family;
use super::page::Page;
use crate::model::DnsOutcome;
use crate::snapshot::{AskerRow, ContainerRef, Outcomes, Steps};
use std::sync::Arc;

/// Series of one container: one of each outcome, and 19 of its histogram.
pub(super) const COST: usize = DnsOutcome::ALL.len() + 19;

/// One container's figures. They never go back, whatever the snapshots say.
#[derive(Debug)]
pub(super) struct Asker {
    who: Arc<ContainerRef>,
    outcomes: Outcomes,
    steps: Steps,
}

impl Asker {
    pub(super) fn new(row: &AskerRow) -> Self {
        Self { who: Arc::clone(&row.container), outcomes: row.outcomes, steps: row.steps }
    }

    /// Takes in its row.
    pub(super) fn take(&mut self, row: &AskerRow) {
        self.who = Arc::clone(&row.container);
        if row.outcomes.sum() >= self.outcomes.sum() {
            (self.outcomes, self.steps) = (row.outcomes, row.steps);
        }
    }

    /// Writes its series.
    pub(super) fn write(&self, page: &mut Page) {
        let labels = named("container", &self.who.name, "id", &self.who.id);
        for outcome in DnsOutcome::ALL {
            let labels = labels.with("code", outcome.name());
            page.add(&family::CONTAINER_DNS_QUESTIONS, &labels, self.outcomes.of(outcome));
        }
        page.add(&family::CONTAINER_DNS, &labels, self.steps);
    }
}
