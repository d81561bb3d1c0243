//! Taking in again what was recorded.

use super::Header;
use crate::engine::{Filter, State};
use crate::model::Step;
use crate::policy::file::Policy;
use crate::snapshot::{Finding, Record};
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver};

/// Findings that may be told by one step; at most 1,024 are open at once.
const QUEUE: usize = 8_192;

/// An engine's state that takes in a recording.
#[derive(Debug)]
pub struct Replay {
    state: State,
    records: Receiver<Record>,
}

impl Replay {
    /// The state before the first step; conversations are judged by this policy first.
    #[must_use]
    pub fn new(header: &Header, policy: Policy) -> Self {
        let mut state = State::new(header.settings(policy), header.started);
        let (queue, records) = mpsc::channel(QUEUE);
        state.subscribe(Filter { findings: true, ..Filter::default() }, queue);
        Self { state, records }
    }

    /// Takes in a step; gives the findings that are told by it, as every subscriber gets them.
    pub fn take(&mut self, step: Step) -> Vec<Arc<Finding>> {
        self.state.step(step);
        let records = std::iter::from_fn(|| self.records.try_recv().ok());
        let findings = records.filter_map(|record| match record {
            Record::Finding(finding) => Some(finding),
            Record::Flow(_) | Record::Sample(_) | Record::Lost(_) => None,
        });
        findings.collect()
    }
}
