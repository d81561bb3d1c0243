//! A conversation that is judged: what is known around it, what is said of it, and how it is followed.

use super::findings::Severity;
use super::outcome::Outcome;
use super::rules::{Expected, Judgement, Rule, RuleName};
use super::testimony::Marks;
use crate::attribution::{Attribution, End, EndKind};
use crate::flows::{Flow, FlowTable};
use crate::model::{Counts, FlowId, Initiator, KernelTime, Mac, SafeText, Traffic, WallTime};
use serde::{Deserialize, Serialize};

/// Epochs after which an unchanged conversation is not weighed again.
const SETTLES: u64 = 2;

/// What is known around a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Who is who.
    pub attribution: &'a Attribution,
    /// All flows.
    pub flows: &'a FlowTable,
    /// Now.
    pub now: KernelTime,
    /// Now, on the wall clock.
    pub wall: WallTime,
}

/// A flow's tick, named.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Which flow.
    pub flow_id: FlowId,
    /// Its generation.
    pub epoch: u64,
    /// What was counted in it.
    pub counted: Traffic,
    /// The container's end.
    pub local: &'a End,
    /// The other end.
    pub remote: &'a End,
    /// Who opened it.
    pub initiator: Initiator,
    /// Source of the frames that its container sent in this tick.
    pub source_mac: Option<Mac>,
    /// Whether they had several.
    pub several_source_macs: bool,
}

/// What is said of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule that decided.
    pub rule: RuleName,
    /// What it expects.
    pub expected: Expected,
    /// What became of it so far.
    pub outcome: Outcome,
}

/// At whose interface a conversation is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Where it was opened.
    Source,
    /// Where it arrives.
    Destination,
}

/// A conversation that is followed.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) judgement: Judgement,
    pub(super) rule: RuleName,
    pub(super) severity: Option<Severity>,
    pub(super) comment: Option<SafeText>,
    pub(super) side: Side,
    pub(super) from: End,
    pub(super) to: End,
    pub(super) epoch: u64,
    pub(super) marks: Marks,
    /// What is forged, where the source address does not show it.
    pub(super) claim: Option<&'static str>,
    /// What of it is in a finding already.
    pub(super) booked: Counts,
    /// What became of it when it was last weighed.
    pub(super) outcome: Outcome,
    /// The epoch in which it last changed, and what its flow had counted then.
    pub(super) changed: (u64, [u64; 2]),
}

impl Case {
    /// Whether it is told whatever becomes of it.
    pub(super) fn is_to_be_told(&self) -> bool {
        self.judgement.expected == Expected::Deny || self.judgement.crossing
    }

    /// What its opener sent, of what was counted at the interface where it is followed.
    pub(super) const fn sent(&self, counted: &Traffic) -> Counts {
        match self.side {
            Side::Source => counted.sent,
            Side::Destination => counted.received,
        }
    }

    /// The same, with all that its flow counted before this tick left out of findings.
    pub(super) fn booked_before(self, flow: &Flow, seen: &Seen<'_>) -> Self {
        let booked = self.sent(&flow.traffic).since(&self.sent(&seen.counted)).unwrap_or_default();
        Self { booked, ..self }
    }

    /// Whether it is judged by its source address alone, which a router's packets bear without forgery.
    pub(super) fn is_of_forged_address(&self) -> bool {
        self.judgement.rule == Rule::SpoofedSource && self.claim.is_none()
    }

    /// Whether weighing it again would tell nothing new: what became of it is decided, and its flow has been the same
    /// for long enough that everything about it was told.
    pub(super) fn is_settled(&mut self, flow: &Flow, epoch: u64) -> bool {
        let counted = [flow.traffic.sent.skbs, flow.traffic.received.skbs];
        if counted != self.changed.1 {
            self.changed = (epoch, counted);
        }
        // What was delivered may yet be answered without any of it coming back.
        let may_change = matches!(self.outcome, Outcome::Attempted | Outcome::Delivered);
        !may_change && epoch >= self.changed.0.saturating_add(SETTLES)
    }

    /// Whether findings about it are made at this side: what comes from another container is told at that one's.
    pub(super) fn is_told_here(&self) -> bool {
        match self.side {
            Side::Source => true,
            Side::Destination => matches!(self.from.kind, EndKind::External | EndKind::Host),
        }
    }
}
