//! Who asks about two ends. Each gets an answer after every tick and the last one at the end; a newer answer replaces
//! one that was not read.

use super::state::State;
use crate::model::KernelTime;
use crate::policy::{Answer, Around, Asked, InquiryId};
use std::sync::Arc;
use tokio::sync::watch;

/// Inquiries that are open at once.
const MOST: usize = 16;

/// All inquirers.
#[derive(Debug, Default)]
pub(super) struct Inquirers(Vec<(InquiryId, watch::Sender<Option<Arc<Answer>>>)>);

impl State {
    /// Adds somebody who asks about two ends. The channel closes at once when too many ask already.
    pub fn inquire(&mut self, asked: Asked, answers: watch::Sender<Option<Arc<Answer>>>, now: KernelTime) {
        self.forget_inquirers();
        if self.inquirers.0.len() < MOST {
            let id = self.judge.inquire(asked, now);
            self.inquirers.0.push((id, answers));
        }
    }

    /// Forgets those who read no longer.
    pub(super) fn forget_inquirers(&mut self) {
        let Self { inquirers, judge, .. } = self;
        inquirers.0.retain(|(id, answers)| {
            let reads = !answers.is_closed();
            if !reads {
                judge.end_inquiry(*id);
            }
            reads
        });
    }

    /// Answers everybody by what was seen until now.
    pub(super) fn tell_answers(&mut self, now: KernelTime) {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, inquirers, latest, .. } = self;
        let around = Around { attribution, flows, now, wall };
        for (id, answers) in &inquirers.0 {
            if let Some(answer) = judge.answer(&around, latest.0, *id) {
                answers.send_replace(Some(Arc::new(answer)));
            }
        }
    }
}
