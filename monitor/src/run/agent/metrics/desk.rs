//! What a task that answers leaves to the one after it: another address or key does not begin the figures anew.

use super::answers::Answers;
use crate::engine::{Filter, Topic};
use crate::export::Options;
use crate::run::agent::part::Sight;
use crate::snapshot::Record;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Where it is left: empty before the first, and locked by the task that has it.
pub(super) type Place = Arc<Mutex<Option<Desk>>>;

/// The figures, and what they are made of.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) answers: Answers,
    /// Findings wait here while nobody is at the desk.
    pub(super) records: mpsc::Receiver<Record>,
}

impl Desk {
    /// Of nothing that was before. What is open already is told first.
    pub(super) fn new(options: Options, sight: &Sight) -> Self {
        let filter = Filter { topic: Topic::Findings, open: true, ..Filter::default() };
        let records = sight.feed.subscribe(filter);
        let first = Arc::clone(&sight.feed.snapshots().borrow());
        Self { answers: Answers::new(options, &first), records }
    }

    /// Takes in a record.
    pub(super) fn take(&mut self, record: &Record) {
        match record {
            Record::Finding(finding) => self.answers.told(finding),
            // Standing findings are in the snapshots.
            Record::Standing(_) => {}
            // The engine counts it. The next that is told of a finding has its whole counts; if its end was lost, it
            // is taken for over later.
            Record::Lost(_) => {}
            // Nobody asked for those.
            Record::Flow(_) | Record::Sample(_) | Record::Name(_) => {}
        }
    }
}
