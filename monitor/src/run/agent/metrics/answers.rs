//! What is answered: a page is made when it is asked for, and once for all who ask until something changes.

use crate::export::{Clients, Format, Ledger, Options, Page, Reload};
use crate::snapshot::{Finding, Snapshot};
use hyper::body::Bytes;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a client wants to know: all series, in one of the formats.
#[derive(Debug)]
pub(super) struct Question(pub(super) Format, pub(super) oneshot::Sender<Bytes>);

/// The ledger, and what was written of it.
#[derive(Debug)]
pub(super) struct Answers {
    ledger: Ledger,
    is_well: bool,
    page: Option<Arc<Page>>,
    open_metrics: Option<Bytes>,
    prometheus: Option<Bytes>,
}

impl Answers {
    pub(super) fn new(options: Options, first: &Arc<Snapshot>) -> Self {
        Self {
            ledger: Ledger::new(options, first),
            is_well: true,
            page: None,
            open_metrics: None,
            prometheus: None,
        }
    }

    /// Takes in a snapshot, how the clients of the socket fare, and how often the helper was started anew.
    pub(super) fn take(&mut self, snapshot: &Arc<Snapshot>, clients: Clients, helper_restarts: u64) {
        self.ledger.take(snapshot);
        self.ledger.clients(clients);
        self.ledger.helper_restarts(helper_restarts);
        self.changed();
    }

    /// Takes in a finding.
    pub(super) fn told(&mut self, finding: &Finding) {
        self.ledger.told(finding);
        self.changed();
    }

    /// Takes in how the latest reading of settings and policy went.
    pub(super) fn reloaded(&mut self, reload: Reload) {
        self.ledger.reloaded(reload);
        self.changed();
    }

    fn changed(&mut self) {
        (self.page, self.open_metrics, self.prometheus) = (None, None, None);
    }

    /// Answers; who no longer waits gets nothing.
    pub(super) fn answer(&mut self, question: Question, is_well: bool) {
        let Question(format, to) = question;
        if self.is_well != is_well {
            self.is_well = is_well;
            self.ledger.is_well(is_well);
            self.changed();
        }
        drop(to.send(self.text(format)));
    }

    fn text(&mut self, format: Format) -> Bytes {
        let page = self.page.get_or_insert_with(|| Arc::new(self.ledger.page()));
        let written = match format {
            Format::OpenMetrics => &mut self.open_metrics,
            Format::Prometheus => &mut self.prometheus,
        };
        written.get_or_insert_with(|| Arc::clone(page).write(format).into()).clone()
    }
}
