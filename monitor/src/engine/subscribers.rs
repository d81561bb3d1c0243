//! Who reads the records. Each reader has a bounded queue; a slow one loses its own records and nobody else's.

use crate::model::InterfaceKind;
use crate::snapshot::{ContainerRef, Record};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Flows a subscriber may be behind before it loses some: every flow of a busy tick, from both ends, comes at once.
const FLOWS: usize = 65_536;
/// The same of one that reads findings alone.
const FINDINGS: usize = 8_192;

/// What a subscriber's records are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topic {
    /// Flows, and samples if they are wanted too.
    #[default]
    Flows,
    /// Findings, of traffic and standing, and nothing else.
    Findings,
    /// Both.
    All,
    /// Names that were asked for, and nothing else.
    Names,
}

/// Which records a subscriber wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of the container with this name, or with an id that begins so (four characters at least).
    pub container: Option<String>,
    /// Flows seen at bridges too; routed traffic is then told twice.
    pub include_bridges: bool,
    /// Sampled packets too.
    pub samples: bool,
    /// What they are about.
    pub topic: Topic,
    /// Names that were asked for too, whatever they are about.
    pub names: bool,
    /// Findings that are open already, before what comes.
    pub open: bool,
}

/// A subscription, as the engine knows it: by its queue.
#[derive(Clone, Debug)]
pub struct Subscription(mpsc::WeakSender<Record>);

impl Subscription {
    pub(super) fn of(queue: &mpsc::Sender<Record>) -> Self {
        Self(queue.downgrade())
    }
}

impl Filter {
    /// A subscriber's queue.
    pub(super) fn queue(&self) -> (mpsc::Sender<Record>, mpsc::Receiver<Record>) {
        mpsc::channel(if self.topic == Topic::Findings { FINDINGS } else { FLOWS })
    }

    /// Whether a reader of all records, bridges' too, would hand one on to somebody with this filter.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        match record {
            Record::Flow(flow) => self.wants(flow.observed_at.kind, flow.local.container.as_deref()),
            Record::Finding(_) | Record::Standing(_) => self.wants_findings(),
            Record::Sample(_) => self.samples,
            Record::Name(name) => self.wants_name(name.container.as_deref()),
            Record::Lost(_) => true,
        }
    }

    fn wants(&self, kind: InterfaceKind, container: Option<&ContainerRef>) -> bool {
        if !matches!(self.topic, Topic::Flows | Topic::All) {
            return false;
        }
        if kind == InterfaceKind::Bridge && !self.include_bridges {
            return false;
        }
        self.is_about(container)
    }

    fn wants_findings(&self) -> bool {
        matches!(self.topic, Topic::Findings | Topic::All)
    }

    fn wants_name(&self, container: Option<&ContainerRef>) -> bool {
        (self.names || self.topic == Topic::Names) && self.is_about(container)
    }

    fn is_about(&self, container: Option<&ContainerRef>) -> bool {
        let Some(wanted) = self.container.as_deref() else { return true };
        container.is_some_and(|container| container.is_called(wanted))
    }
}

#[derive(Debug)]
struct Subscriber {
    filter: Filter,
    queue: mpsc::Sender<Record>,
    lost: u64,
    /// Whether the loss was told to the subscriber.
    told: bool,
}

impl Subscriber {
    /// Hands over a record, or counts it as lost; whether anybody still reads.
    fn send(&mut self, record: &Record) -> bool {
        if !self.told {
            match self.queue.try_send(Record::Lost(self.lost)) {
                Ok(()) => self.told = true,
                Err(TrySendError::Full(_)) => {
                    self.lost += 1;
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.queue.try_send(record.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                self.told = false;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// All subscribers.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: Vec<Subscriber>,
    lost_by_gone: u64,
}

impl Subscribers {
    /// Adds a reader, who is told this first.
    pub(super) fn add(
        &mut self,
        filter: Filter,
        queue: mpsc::Sender<Record>,
        first: impl Iterator<Item = Record>,
    ) {
        let mut subscriber = Subscriber { filter, queue, lost: 0, told: true };
        for record in first {
            // Who has gone already is found by tidying.
            subscriber.send(&record);
        }
        self.all.push(subscriber);
    }

    /// Ends a reader's queue; what is in it can still be read.
    pub(super) fn remove(&mut self, subscription: &Subscription) {
        let Some(queue) = subscription.0.upgrade() else { return };
        let Self { all, lost_by_gone } = self;
        all.retain(|subscriber| {
            let stays = !subscriber.queue.same_channel(&queue);
            if !stays {
                *lost_by_gone += subscriber.lost;
            }
            stays
        });
    }

    /// Whether anybody wants a flow seen there.
    pub(super) fn want_flow(&self, kind: InterfaceKind, container: Option<&ContainerRef>) -> bool {
        self.all.iter().any(|subscriber| subscriber.filter.wants(kind, container))
    }

    /// Whether anybody wants a sampled packet seen there.
    pub(super) fn want_sample(&self, kind: InterfaceKind, container: Option<&ContainerRef>) -> bool {
        self.all.iter().any(|one| one.filter.samples && one.filter.wants(kind, container))
    }

    /// Hands a finding, of traffic or standing, to everybody who wants findings.
    pub(super) fn send_finding(&mut self, finding: &Record) {
        let Self { all, lost_by_gone } = self;
        all.retain_mut(|subscriber| {
            let reads = !subscriber.filter.wants_findings() || subscriber.send(finding);
            if !reads {
                *lost_by_gone += subscriber.lost;
            }
            reads
        });
    }

    /// Whether anybody wants a name that was asked for.
    pub(super) fn want_name(&self, container: Option<&ContainerRef>) -> bool {
        self.all.iter().any(|subscriber| subscriber.filter.wants_name(container))
    }

    /// Hands a name that was asked for to everybody who wants it.
    pub(super) fn send_name(&mut self, name: &Record) {
        let Self { all, lost_by_gone } = self;
        all.retain_mut(|subscriber| {
            let reads = !subscriber.filter.passes(name) || subscriber.send(name);
            if !reads {
                *lost_by_gone += subscriber.lost;
            }
            reads
        });
    }

    /// Hands a record to everybody who wants it.
    pub(super) fn send(&mut self, record: &Record, kind: InterfaceKind, container: Option<&ContainerRef>) {
        let is_sample = matches!(record, Record::Sample(_));
        let Self { all, lost_by_gone } = self;
        all.retain_mut(|subscriber| {
            let wanted =
                subscriber.filter.wants(kind, container) && (subscriber.filter.samples || !is_sample);
            let reads = !wanted || subscriber.send(record);
            if !reads {
                *lost_by_gone += subscriber.lost;
            }
            reads
        });
    }

    /// Forgets those who read no longer; tells the others what they lost, if they have room again.
    pub(super) fn tidy(&mut self) {
        let Self { all, lost_by_gone } = self;
        all.retain_mut(|subscriber| {
            if !subscriber.told && subscriber.queue.try_send(Record::Lost(subscriber.lost)).is_ok() {
                subscriber.told = true;
            }
            if subscriber.queue.is_closed() {
                *lost_by_gone += subscriber.lost;
                return false;
            }
            true
        });
    }

    /// Records that subscribers lost because they were slow.
    pub(super) fn lost(&self) -> u64 {
        self.lost_by_gone + self.all.iter().map(|subscriber| subscriber.lost).sum::<u64>()
    }
}
