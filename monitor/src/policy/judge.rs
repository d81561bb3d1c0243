//! The judge: takes flows as they are named, drops and translations as they come, and tells at the end of each tick
//! what is to be told.

mod revise;

use super::case::{Around, Case, Seen, Verdict};
use super::claims;
use super::explain::About;
use super::file::Policy;
use super::findings::{Finding, Findings, Kind, Sighting};
use super::inquiry::{Answer, Asked, Inquiry};
use super::opening::{Opening, is_conversation, party};
use super::outcome::{Notes, Outcome};
use super::pairs::{Sender, Tuple};
use super::rules::{Expected, Rule};
use super::silent::SilentReplica;
use super::testimony::Testimony;
use super::wrong_mtu::WrongMtu;
use crate::attribution::{End, EndKind};
use crate::flows::{Flow, FlowTable};
use crate::model::{Claim, DropBatch, DropWatch, FlowId, FlowKey, KernelTime, Losses, Protocol};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Conversations that are followed at once, at most.
const MOST_CASES: usize = 65_536;

/// One of the inquiries that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InquiryId(u64);

/// All judgement's state.
#[derive(Debug, Default)]
pub struct Judge {
    policy: Arc<Policy>,
    /// When it came, if not at the start.
    since: KernelTime,
    testimony: Testimony,
    findings: Findings,
    /// Conversations that are not to be, go round the isolation, or are broken; in order, so that what is told does
    /// not depend on chance.
    cases: BTreeMap<FlowId, Box<Case>>,
    /// Allowed conversations that have not arrived yet, with the epoch that each began in.
    pending: HashMap<FlowId, u64>,
    refused: u64,
    inquiries: BTreeMap<InquiryId, Inquiry>,
    next_inquiry: u64,
}

impl Judge {
    /// A judge with an operator's rules.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Takes in a tick's drops.
    pub fn drops(&mut self, batch: &DropBatch) {
        self.testimony.drops.take(batch);
    }

    /// Whether drops are watched at all.
    pub fn drop_watch(&mut self, watch: DropWatch) {
        self.testimony.drops_are_watched = matches!(watch, DropWatch::Watched);
    }

    /// What the collector lost so far.
    pub fn losses(&mut self, losses: &Losses) {
        self.testimony.losses(losses);
    }

    /// Takes in a flow at a container's interface before any of its tick is judged: it may be the other end of one.
    pub fn note(&mut self, around: &Around<'_>, id: FlowId) {
        let Some(flow) = around.flows.get(id) else { return };
        if around.attribution.is_to_many(&flow.key) {
            // Nobody asks for its other end, and there are as many as interfaces.
            return;
        }
        let is_of_host = around.attribution.is_of_host(flow.key.remote, around.now);
        let sender = match flow.origin {
            _ if !is_of_host => Sender::Holder,
            Some((origin, _)) if origin.ifindex == 0 && origin.other.is_none() => Sender::Host,
            _ => Sender::Rewritten,
        };
        if !self.testimony.pairs.note(id, &flow.key, sender) {
            self.testimony.lose_a_flow();
        }
    }

    /// A flow is over.
    pub fn over(&mut self, id: FlowId, key: &FlowKey) {
        self.testimony.pairs.forget(id, key);
        self.cases.remove(&id);
        self.pending.remove(&id);
    }

    /// The flows at containers' interfaces with this local and remote end, protocol and ports.
    pub fn with_tuple<'a>(&'a self, flows: &'a FlowTable, tuple: Tuple) -> impl Iterator<Item = &'a Flow> {
        self.testimony.pairs.with_tuple(flows, tuple)
    }

    /// A flow made room for another before it was over.
    pub fn pushed_out(&mut self, id: FlowId, key: &FlowKey) {
        self.over(id, key);
        self.testimony.lose_a_flow();
    }

    /// Judges a flow; `None` where no rule says anything.
    pub fn flow(&mut self, around: &Around<'_>, seen: &Seen<'_>) -> Option<Verdict> {
        let flow = around.flows.get(seen.flow_id)?;
        // What a container hears among many is no conversation of its own.
        let is_heard = around.attribution.is_many(flow.key.interface, flow.key.local);
        if seen.local.kind != EndKind::Container || is_heard || !is_conversation(&flow.key) {
            return None;
        }
        let case = match self.cases.get(&seen.flow_id) {
            Some(case) => case.clone(),
            None => {
                let case = self.opening(around).open(flow, seen)?;
                // What came before these rules was judged by others.
                let is_older = flow.first_seen <= self.since;
                Box::new(if is_older { case.booked_before(flow, seen) } else { case })
            }
        };
        let found = self.testimony.weigh(around, flow, &case, seen.epoch, Notes::none());
        let verdict =
            Verdict { rule: case.rule.clone(), expected: case.judgement.expected, outcome: found.outcome };
        for inquiry in self.inquiries.values_mut() {
            inquiry.meet(around.attribution, flow, seen, &case);
        }
        if case.is_told_here() {
            self.follow(seen, case, found.outcome);
        }
        Some(verdict)
    }

    /// Follows a conversation until nothing more is to be told of it.
    fn follow(&mut self, seen: &Seen<'_>, case: Box<Case>, outcome: Outcome) {
        let id = seen.flow_id;
        let room = self.cases.len() + self.pending.len() < MOST_CASES;
        if self.cases.contains_key(&id) {
            return;
        }
        if case.is_to_be_told() {
            self.pending.remove(&id);
            if room {
                self.cases.insert(id, case);
            } else {
                self.refused += 1;
            }
        } else if outcome.reached() {
            self.pending.remove(&id);
        } else if room {
            self.pending.entry(id).or_insert(seen.epoch);
        }
    }

    /// Takes in who claimed which address on a link.
    pub fn claims(&mut self, around: &Around<'_>, told: &[Claim]) {
        for claim in told {
            claims::see(&mut self.findings, around, claim);
        }
    }

    /// Takes in that a replica answers nobody.
    pub fn silent(&mut self, around: &Around<'_>, replica: &SilentReplica) {
        let ends = [&replica.source, &replica.destination];
        if !self.knows(around, Rule::SilentReplica, ends, (Protocol::TCP, Some(replica.port)), replica.at) {
            replica.tell(&mut self.findings);
        }
    }

    /// Takes in that an end sends what does not fit.
    pub fn wrong_mtu(&mut self, around: &Around<'_>, wrong: &WrongMtu) {
        let ends = [&wrong.source, &wrong.destination];
        if !self.knows(around, Rule::WrongMtu, ends, (wrong.protocol, wrong.port), wrong.at) {
            wrong.tell(&mut self.findings);
        }
    }

    /// Whether the policy file says that a finding by this rule is known.
    fn knows(
        &self,
        around: &Around<'_>,
        rule: Rule,
        ends: [&End; 2],
        (protocol, port): (Protocol, Option<u16>),
        at: KernelTime,
    ) -> bool {
        let [from, to] = ends.map(|end| party(around.attribution, end, at));
        self.policy.accepted(rule.name(), &from, &to, protocol, port, around.wall).is_some()
    }

    fn opening<'a>(&'a self, around: &'a Around<'a>) -> Opening<'a> {
        Opening { policy: &self.policy, testimony: &self.testimony, around }
    }

    /// Whether the policy file says that a finding of this is known.
    fn is_accepted(&self, around: &Around<'_>, case: &Case, protocol: Protocol) -> bool {
        let facts = around.attribution;
        let [from, to] = [&case.from, &case.to].map(|end| party(facts, end, around.now));
        let port = case.to.port;
        self.policy.accepted(case.rule.as_str(), &from, &to, protocol, port, around.wall).is_some()
    }

    /// The end of a tick, after all its flows and losses: what is to be told.
    pub fn tick(&mut self, around: &Around<'_>, epoch: u64) -> Vec<Arc<Finding>> {
        self.testimony.drops.prune(around.now);
        self.look_at_pending(around, epoch);
        self.testimony.remember_marks(epoch);
        let mut cases = std::mem::take(&mut self.cases);
        cases.retain(|id, case| {
            let Some(flow) = around.flows.get(*id) else { return false };
            if case.is_of_forged_address() && self.opening(around).is_forwarded(flow) {
                // The flow that shows it came in a later part of the generation.
                return false;
            }
            if case.is_settled(flow, epoch) {
                return true;
            }
            let found = self.testimony.weigh(around, flow, case, epoch, Notes::wanted());
            case.outcome = found.outcome;
            if case.outcome == Outcome::Attempted {
                return true;
            }
            let Some(kind) = case.kind() else { return false };
            let sent = case.sent(&flow.traffic);
            let counts = sent.since(&case.booked).unwrap_or_default();
            case.booked = sent;
            if self.is_accepted(around, case, flow.key.protocol) {
                return true;
            }
            self.findings.see(&Sighting {
                kind,
                rule: &case.rule,
                severity: case.severity,
                comment: case.comment.as_ref(),
                expected: case.judgement.expected,
                source: &case.from,
                destination: &case.to,
                protocol: flow.key.protocol.name(),
                port: case.to.port,
                found: &found,
                counts,
                first_seen: flow.first_seen.max(self.since),
                last_seen: flow.last_seen,
                about: About::packets(case.judgement, case.claim),
            });
            true
        });
        self.cases = cases;
        self.findings.told(around.attribution, around.now)
    }

    /// Allowed conversations that have not arrived: those that were stopped or lost become cases.
    fn look_at_pending(&mut self, around: &Around<'_>, epoch: u64) {
        let mut broken = Vec::new();
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|id, since| {
            let Some(flow) = around.flows.get(*id) else { return false };
            // A tick for what is on its way, and one more in which a loss would have been told.
            let is_young = epoch < since.saturating_add(2);
            if is_young && !self.testimony.was_dropped(around.attribution, flow) {
                return true;
            }
            let Some(case) = self.opening(around).reopen(flow, *since) else { return false };
            let outcome = self.testimony.weigh(around, flow, &case, epoch, Notes::none()).outcome;
            if matches!(outcome, Outcome::Blocked | Outcome::Undelivered) {
                broken.push((*id, Box::new(case)));
                return false;
            }
            is_young && !outcome.reached()
        });
        self.pending = pending;
        self.cases.extend(broken);
    }

    /// Keeps all about two ends from now on.
    pub fn inquire(&mut self, asked: Asked, now: KernelTime) -> InquiryId {
        let id = InquiryId(self.next_inquiry);
        self.next_inquiry += 1;
        self.inquiries.insert(id, Inquiry::new(asked, now));
        id
    }

    /// What is known of an inquiry's ends by what was seen until now; `None` if it is not open.
    pub fn answer(&mut self, around: &Around<'_>, epoch: u64, id: InquiryId) -> Option<Answer> {
        let inquiry = self.inquiries.get_mut(&id)?;
        inquiry.look(&self.testimony, around, epoch);
        Some(inquiry.answer(&self.policy, around, epoch))
    }

    /// Nobody wants to know any more.
    pub fn end_inquiry(&mut self, id: InquiryId) {
        self.inquiries.remove(&id);
    }

    /// All open findings.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.open()
    }

    /// What was not kept for want of room, by name.
    #[must_use]
    pub fn not_kept(&self) -> Losses {
        let mut losses = Losses::default();
        losses.add("conversations_not_judged", self.refused);
        losses.add("flows_not_paired", self.testimony.not_paired);
        losses.add("findings_refused", self.findings.refused);
        losses.add("drops_forgotten", self.testimony.drops.forgotten);
        losses
    }

    /// How much is kept: flows in pairs, conversations that are followed.
    #[must_use]
    pub fn sizes(&self) -> [usize; 2] {
        [self.testimony.pairs.len(), self.cases.len() + self.pending.len()]
    }
}
