//! Taking in again what was recorded.

use super::Header;
use crate::engine::{Filter, State, Topic};
use crate::model::Step;
use crate::policy::file::Policy;
use crate::snapshot::Record;
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
        state.subscribe(Filter { topic: Topic::Findings, ..Filter::default() }, queue);
        Self { state, records }
    }

    /// Takes in a step; gives the findings that are told by it, of traffic and standing, as every subscriber gets them.
    pub fn take(&mut self, step: Step) -> Vec<Record> {
        self.state.step(step);
        std::iter::from_fn(|| self.records.try_recv().ok()).collect()
    }
}
