//! What cannot be written for a while: said once when it begins and once when it ends, and tried now and then.

use super::Unusable;
use crate::model::KernelTime;
use std::time::Duration;

/// How long nothing is tried after a failure.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Whether, and since when, nothing can be written.
#[derive(Debug)]
pub(super) struct Outage {
    /// What cannot be written to.
    target: String,
    since: Option<Since>,
}

#[derive(Debug)]
struct Since {
    tried: KernelTime,
    /// Lines that were lost before it.
    lost_before: u64,
}

impl Outage {
    /// All is well.
    pub(super) fn none(target: String) -> Self {
        Self { target, since: None }
    }

    /// Whether it is too early to try again.
    pub(super) fn pauses(&self, at: KernelTime) -> bool {
        self.since.as_ref().is_some_and(|since| at.since(since.tried) < PAUSE)
    }

    /// Takes in how a try went; so many lines were lost since the start, before it and with it.
    pub(super) fn note(&mut self, result: Result<(), Unusable>, at: KernelTime, before: u64, lost: u64) {
        match (result, &mut self.since) {
            (Ok(()), None) => {}
            (Ok(()), Some(since)) => {
                let meanwhile = lost.saturating_sub(since.lost_before);
                log::warn!("records are written to {} again; {meanwhile} were lost", self.target);
                self.since = None;
            }
            (Err(_), Some(since)) => since.tried = at,
            (Err(unusable), None) => {
                let target = &self.target;
                log::warn!("records cannot be written to {target}, and are lost until they can: {unusable}");
                self.since = Some(Since { tried: at, lost_before: before });
            }
        }
    }
}
