//! An inquiry: everything about two ends, for somebody who asks why they can or cannot talk.
//!
//! The judge weighs flows for their outcome alone; evidence, which costs more, is kept for findings. An inquiry keeps
//! it for every conversation between its two ends, while it is open and for the latest of them. Without an inquiry
//! none of this costs anything.

mod answer;
mod asked;
mod by_hand;
mod course;
mod look;
mod seen;
mod stopped;
mod ways;

pub use answer::{Answer, Conversation, Decision, Heading, Leg, Look, Place, PlaceInterface, Stopped, Way};
pub use asked::{Asked, AskedEnd};
pub use by_hand::ByHand;

use super::case::{Around, Case, Seen, Side};
use super::file::Policy;
use super::testimony::Testimony;
use crate::attribution::{Attribution, End, EndKind};
use crate::flows::Flow;
use crate::model::{FlowId, FlowKey, FlowPorts, InterfaceKind, KernelTime};
use std::collections::HashSet;

/// The latest conversations that are kept.
const MOST: usize = 64;
/// The most conversations that are counted.
const MOST_COUNTED: usize = 65_536;
/// The most ways that are listed.
const MOST_WAYS: usize = 16;

/// What is asked, and what was seen of it so far.
#[derive(Debug)]
pub(super) struct Inquiry {
    asked: Asked,
    since: KernelTime,
    kept: Vec<Kept>,
    stopped: Vec<Stopped>,
    /// All conversations that were met.
    met: HashSet<FlowId>,
}

/// A conversation that is kept.
#[derive(Debug)]
struct Kept {
    flow_id: FlowId,
    heading: Heading,
    case: Case,
    /// Whom its opener addressed.
    addressed: End,
    key: FlowKey,
    first_seen: KernelTime,
    latest: Option<Conversation>,
}

impl Inquiry {
    pub(super) fn new(asked: Asked, since: KernelTime) -> Self {
        Self { asked, since, kept: Vec::new(), stopped: Vec::new(), met: HashSet::new() }
    }

    /// Takes in a flow that was judged, if it is between the two ends.
    pub(super) fn meet(&mut self, facts: &Attribution, flow: &Flow, seen: &Seen<'_>, case: &Case) {
        let addressed = match case.side {
            Side::Source => seen.remote,
            Side::Destination => seen.local,
        };
        let Some(heading) = self.heading(facts, flow, case, addressed) else { return };
        if let Some(twin) = self.kept.iter().position(|kept| is_twin(&kept.key, &flow.key)) {
            if heading == Heading::Backward {
                return;
            }
            let twin = self.kept.remove(twin);
            self.met.remove(&twin.flow_id);
        }
        if self.met.len() < MOST_COUNTED {
            self.met.insert(seen.flow_id);
        }
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.flow_id == seen.flow_id) {
            // Where it leads may have been learned meanwhile; since when it is followed stays.
            kept.case = Case { epoch: kept.case.epoch, marks: kept.case.marks, ..case.clone() };
            return;
        }
        if self.kept.len() >= MOST {
            let oldest = self.kept.iter().enumerate().min_by_key(|(_, kept)| kept.first_seen);
            match oldest.map(|(place, kept)| (place, kept.first_seen)) {
                Some((place, first_seen)) if first_seen < flow.first_seen => drop(self.kept.remove(place)),
                _ => return,
            }
        }
        self.kept.push(Kept {
            flow_id: seen.flow_id,
            heading,
            case: case.clone(),
            addressed: addressed.clone(),
            key: flow.key,
            first_seen: flow.first_seen,
            latest: None,
        });
    }

    fn heading(&self, facts: &Attribution, flow: &Flow, case: &Case, addressed: &End) -> Option<Heading> {
        // What comes from another container is met at that one's interface, where it has one; of what a container in host mode
        // gets, nobody knows there that it is for that one.
        let seen_at = facts.interface(flow.key.interface).map(|watched| watched.interface.kind);
        let is_told_there = case.side == Side::Destination && seen_at != Some(InterfaceKind::Cgroup);
        let sender = case.from.container.as_ref().filter(|_| is_told_there);
        if sender.is_some_and(|sender| facts.veths_of(&sender.id).next().is_some()) {
            return None;
        }
        let Asked { from, to, protocol, port } = &self.asked;
        let is_for = |subject: &AskedEnd| {
            subject.is(&case.to)
                || subject.is(addressed)
                || published_to(facts, flow, addressed, subject).is_some()
        };
        if from.is(&case.from) && is_for(to) {
            let inner = published_to(facts, flow, addressed, to);
            let has_port = port.is_none() || [case.to.port, addressed.port, inner].contains(port);
            let fits = has_port && protocol.is_none_or(|protocol| protocol == flow.key.protocol);
            return fits.then_some(Heading::Forward);
        }
        (to.is(&case.from) && is_for(from)).then_some(Heading::Backward)
    }

    /// Weighs what is kept by what was seen until now. What is over stays as it was weighed last.
    pub(super) fn look(&mut self, testimony: &Testimony, around: &Around<'_>, epoch: u64) {
        let Self { asked, kept, since, stopped, .. } = self;
        stopped::note(stopped, testimony, around, asked, *since);
        for kept in kept {
            if let Some(flow) = around.flows.get(kept.flow_id) {
                kept.latest = Some(seen::conversation(testimony, around, asked, kept, flow, epoch));
            }
        }
    }

    /// What is known now.
    pub(super) fn answer(&self, policy: &Policy, around: &Around<'_>, epoch: u64) -> Answer {
        let (facts, now) = (around.attribution, around.now);
        let mut conversations: Vec<Conversation> =
            self.kept.iter().filter_map(|kept| kept.latest.clone()).collect();
        conversations.sort_by_key(|conversation| {
            (conversation.heading != Heading::Forward, std::cmp::Reverse(conversation.first_seen))
        });
        let mut ways = ways::ways(policy, facts, &self.asked, now);
        let more_ways = ways.len().saturating_sub(MOST_WAYS);
        ways.truncate(MOST_WAYS);
        let mut answer = Answer {
            asked: self.asked.clone(),
            epoch,
            since: self.since,
            until: now,
            from: seen::place(facts, &self.asked.from, self.since),
            to: seen::place(facts, &self.asked.to, self.since),
            decision: None,
            ways,
            more_ways,
            more: (self.met.len() as u64).saturating_sub(conversations.len() as u64),
            conversations,
            stopped: self.stopped.clone(),
            summary: String::new(),
            look: Vec::new(),
        };
        answer.decision = decision(&answer);
        answer.summary = course::summary(&answer);
        answer.look = look::commands(&answer);
        answer
    }
}

/// Whether two flows are one conversation without ports, seen at both its ends. Where it is older than the watch each end
/// takes itself for the opener, and it is told as it was asked.
fn is_twin(one: &FlowKey, other: &FlowKey) -> bool {
    let has_ports = matches!(one.ports, FlowPorts::Ports { .. });
    !has_ports
        && one.interface != other.interface
        && (one.local, one.remote, one.protocol, one.ports)
            == (other.remote, other.local, other.protocol, other.ports)
}

/// The port of a container that a published port of the host leads to, if that is what was addressed.
fn published_to(facts: &Attribution, flow: &Flow, addressed: &End, to: &AskedEnd) -> Option<u16> {
    let port = addressed.port.filter(|_| addressed.kind == EndKind::Host)?;
    let (known, inner) = facts.publisher(addressed.address, port, flow.key.protocol)?;
    (to.container() == Some(&known.container.id)).then_some(inner)
}

/// What is expected: of the latest conversation, else of all ways if they agree.
fn decision(answer: &Answer) -> Option<Decision> {
    if let Some(latest) = answer.forward().next() {
        return Some(latest.decision.clone());
    }
    let mut ways = answer.ways.iter();
    let first = ways.next()?.decision.clone()?;
    let agrees = |way: &Way| {
        way.decision
            .as_ref()
            .is_some_and(|other| (&other.rule, other.expected) == (&first.rule, first.expected))
    };
    (answer.more_ways == 0 && ways.all(agrees)).then_some(first)
}

#[cfg(test)]
mod tests;
