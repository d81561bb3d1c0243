//! What is known of flows, by their records: at most so many, those seen first go first.

use crate::model::{FlowId, Initiator};
use crate::snapshot::{End, Finding, FlowRecord, Kind, Severity};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The most flows that are kept.
const MOST: usize = 65_536;

/// What is known of one flow.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its latest record.
    pub(super) record: Arc<FlowRecord>,
    /// Kinds and severities of the findings it is in.
    pub(super) found: Vec<(Kind, Severity)>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub(super) struct KnownFlows {
    flows: HashMap<FlowId, Known>,
    order: VecDeque<FlowId>,
}

impl KnownFlows {
    pub(super) fn get(&self, id: FlowId) -> Option<&Known> {
        self.flows.get(&id)
    }

    /// Takes in a record.
    pub(super) fn learn(&mut self, record: Arc<FlowRecord>, findings: &[Finding]) {
        let id = record.flow_id;
        let found = found(&record, findings);
        if self.flows.insert(id, Known { record, found }).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }

    /// Looks at all findings again.
    pub(super) fn look_again(&mut self, findings: &[Finding]) {
        for known in self.flows.values_mut() {
            known.found = found(&known.record, findings);
        }
    }
}

/// The findings a flow is in: those of its ends, its protocol and its port.
fn found(record: &FlowRecord, findings: &[Finding]) -> Vec<(Kind, Severity)> {
    let (source, destination) = match record.initiator {
        Initiator::Remote => (&record.remote, &record.local),
        Initiator::Local | Initiator::Unknown => (&record.local, &record.remote),
    };
    let is_in = |finding: &&Finding| {
        is_same(&finding.source, source)
            && is_same(&finding.destination, destination)
            && finding.protocol == record.protocol.name()
            && destination.port.is_none_or(|port| {
                finding.ports.contains(&port) || finding.port_count as usize > finding.ports.len()
            })
    };
    findings.iter().filter(is_in).map(|finding| (finding.kind, finding.severity)).collect()
}

fn is_same(one: &End, other: &End) -> bool {
    match (&one.container, &other.container) {
        (Some(one), Some(other)) => one.id == other.id,
        _ => one.address == other.address,
    }
}
