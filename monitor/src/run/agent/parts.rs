//! All parts of the agent.

use super::metrics::Metrics;
use super::part::{Part, Run, Sight};
use super::records::Records;
use super::socket::Socket;
use crate::helper::Helper;
use crate::run::failure::Failure;
use crate::settings;

/// All of them.
#[derive(Debug)]
pub(super) struct Parts {
    helper: Helper,
    metrics: Part<Metrics>,
    records: Part<Records>,
    socket: Part<Socket>,
}

/// What came of other settings.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What there is now of the parts that are others.
    pub(super) changed: Vec<String>,
    /// Those that could not, and run as before, with why.
    pub(super) failed: Vec<(&'static str, Failure)>,
}

impl Parts {
    /// Opens them, before anything is attached: an address that is taken is told at once.
    ///
    /// # Errors
    /// When something that one of them needs is not to be had.
    pub(super) async fn open(agent: &settings::Agent, helper: &Helper) -> Result<Self, Failure> {
        Ok(Self {
            helper: helper.clone(),
            metrics: Part::open(agent.metrics.as_ref(), helper).await?,
            records: Part::open(agent.records.as_ref(), helper).await?,
            socket: Part::open(agent.socket.as_ref(), helper).await?,
        })
    }

    /// Starts them; gives back where they can be found.
    pub(super) fn start(&mut self, sight: &Sight) -> Vec<String> {
        let told = [self.metrics.start(sight), self.records.start(sight), self.socket.start(sight)];
        told.into_iter().flatten().collect()
    }

    /// Changes those whose settings are others.
    pub(super) async fn change(&mut self, agent: &settings::Agent, sight: &Sight) -> Changes {
        let mut changes = Changes::default();
        changes.note(Metrics::NAME, self.metrics.change(agent.metrics.as_ref(), sight, &self.helper).await);
        changes.note(Records::NAME, self.records.change(agent.records.as_ref(), sight, &self.helper).await);
        changes.note(Socket::NAME, self.socket.change(agent.socket.as_ref(), sight, &self.helper).await);
        changes
    }

    /// Ends them, after the engine: what was told to the end is written.
    pub(super) async fn stop(self) {
        self.metrics.stop().await;
        self.records.stop().await;
        self.socket.stop().await;
    }
}

impl Changes {
    fn note(&mut self, part: &'static str, changed: Result<Option<String>, Failure>) {
        match changed {
            Ok(changed) => self.changed.extend(changed),
            Err(failure) => self.failed.push((part, failure)),
        }
    }
}
