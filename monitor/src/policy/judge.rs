//! The judge: takes flows as they are named, drops and translations as they come, and tells at the end of each tick
//! what is to be told.

use super::drops::{Drops, Path};
use super::explain;
use super::file::{self, Policy};
use super::findings::{Finding, Findings, Kind, Severity, Sighting};
use super::outcome::{Evidence, Found, Outcome, why};
use super::pairs::Pairs;
use super::party::Party;
use super::rules::{self, Expected, Judgement, Question, Rule, RuleName};
use super::translations::{self, Translations};
use crate::attribution::{Attribution, End, EndKind, OriginKind, Packets};
use crate::flows::{Flow, FlowTable, TcpState};
use crate::model::{
    Claim, ClaimKind, Conntrack, Counts, Direction, DropBatch, DropWatch, FlowId, FlowKey, FlowPorts,
    Initiator, InterfaceKind, KernelTime, Losses, Mac, NetworkId, Protocol, SafeText, TranslationChange,
    Tuple, WallTime,
};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is said of every forgery.
const SPOOFED: Judgement = Judgement { rule: Rule::SpoofedSource, expected: Expected::Deny, crossing: false };
/// Conversations that are followed at once, at most.
const MOST_CASES: usize = 65_536;
/// A drop may be noted by a clock that is one kernel tick behind the flow's.
const CLOCK_GRAIN: Duration = Duration::from_millis(10);

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
enum Side {
    /// Where it was opened.
    Source,
    /// Where it arrives.
    Destination,
}

/// What was lost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    not_recorded: u64,
    flows_lost: u64,
    drops_lost: u64,
}

/// A conversation that is followed.
#[derive(Clone, Debug)]
struct Case {
    judgement: Judgement,
    rule: RuleName,
    severity: Option<Severity>,
    comment: Option<SafeText>,
    side: Side,
    from: End,
    to: End,
    epoch: u64,
    marks: Marks,
    /// What is forged, where the source address does not show it.
    claim: Option<&'static str>,
    /// What of it is in a finding already.
    booked: Counts,
}

/// All judgement's state.
#[derive(Debug, Default)]
pub struct Judge {
    policy: Arc<Policy>,
    pairs: Pairs,
    drops: Drops,
    translations: Translations,
    findings: Findings,
    cases: HashMap<FlowId, Case>,
    marks: Marks,
    drops_are_watched: bool,
    refused: u64,
}

impl Judge {
    /// A judge with an operator's rules.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Takes in a tick's drops.
    pub fn drops(&mut self, batch: &DropBatch) {
        self.drops.take(batch);
    }

    /// Whether drops are watched at all.
    pub fn drop_watch(&mut self, watch: DropWatch) {
        self.drops_are_watched = matches!(watch, DropWatch::Watched);
    }

    /// Takes in translations.
    pub fn translations(&mut self, changes: &[TranslationChange]) {
        self.translations.take(changes);
    }

    /// How translations are learned from now on.
    pub fn conntrack(&mut self, source: &Conntrack) {
        self.translations.learned_by(source);
    }

    /// What the collector lost so far.
    pub fn losses(&mut self, losses: &Losses) {
        let sum = |names: &[&str]| names.iter().map(|name| losses.get(name)).sum();
        self.marks = Marks {
            not_recorded: sum(&["flow_map_full", "unknown_interface"]),
            flows_lost: sum(&["drain_failed", "grace_period_failed"]),
            drops_lost: sum(&["drop_map_full"]),
        };
    }

    /// Takes in a flow at a container's interface before any of its tick is judged: it may be the other end of one.
    pub fn note(&mut self, around: &Around<'_>, id: FlowId) {
        let Some(flow) = around.flows.get(id) else { return };
        let rewritten = around.attribution.is_of_host(flow.key.remote, around.now);
        self.pairs.note(id, &flow.key, rewritten);
    }

    /// A flow is over.
    pub fn over(&mut self, id: FlowId, key: &FlowKey) {
        self.pairs.forget(id, key);
        self.cases.remove(&id);
    }

    /// Judges a flow; `None` where no rule says anything.
    pub fn flow(&mut self, around: &Around<'_>, seen: &Seen<'_>) -> Option<Verdict> {
        let flow = around.flows.get(seen.flow_id)?;
        if seen.local.kind != EndKind::Container || !is_conversation(&flow.key) {
            return None;
        }
        let case = match self.cases.get(&seen.flow_id) {
            Some(case) => case.clone(),
            None => self.open(around, flow, seen)?,
        };
        let found = self.find(around, flow, &case, seen.epoch);
        let verdict =
            Verdict { rule: case.rule.clone(), expected: case.judgement.expected, outcome: found.outcome };
        let Judgement { expected, crossing, .. } = case.judgement;
        let to_follow = expected == Expected::Deny || crossing || !found.outcome.reached();
        if to_follow && is_told_here(&case) {
            if self.cases.len() < MOST_CASES || self.cases.contains_key(&seen.flow_id) {
                self.cases.insert(seen.flow_id, case);
            } else {
                self.refused += 1;
            }
        } else {
            self.cases.remove(&seen.flow_id);
        }
        Some(verdict)
    }

    /// A new case, if a rule says something.
    fn open(&self, around: &Around<'_>, flow: &Flow, seen: &Seen<'_>) -> Option<Case> {
        let facts = around.attribution;
        let network = facts.interface(flow.key.interface)?.network.as_ref().map(|network| &network.id);
        let side = match seen.initiator {
            Initiator::Local => Side::Source,
            Initiator::Remote => Side::Destination,
            Initiator::Unknown => guessed(&flow.key),
        };
        if side == Side::Destination && seen.remote.kind == EndKind::External && came_from_inside(facts, flow)
        {
            return None;
        }
        let of_remote = facts.network_of_address(flow.key.remote, flow.last_seen);
        let of_remote: Option<&NetworkId> = of_remote.map(|known| &known.network.id);
        let translated = (side == Side::Source).then(|| self.real_destination(around, flow)).flatten();
        let (from, from_network, to) = match side {
            Side::Source => (seen.local, network, translated.as_ref().unwrap_or(seen.remote)),
            Side::Destination => (seen.remote, of_remote, seen.local),
        };
        let forged_mac = has_forged_mac(facts, flow, seen);
        let mut by_file = None;
        let judgement = if forged_mac || self.is_spoofed(around, flow, seen.local) {
            SPOOFED
        } else if self.is_forwarded(around, flow) {
            // Somebody else's conversation on its way through this container: judged at its own ends.
            return None;
        } else {
            let question = Question {
                from,
                from_network,
                to,
                protocol: flow.key.protocol,
                port: to.port,
                at: flow.last_seen,
            };
            // What a published port leads to is the host's promise, not the sender's.
            let addressed = Question { to: seen.remote, port: seen.remote.port, ..question };
            let published = translated.is_some()
                && rules::judge(facts, &addressed).is_some_and(|it| it.rule == Rule::PublishedPort);
            let question = if published { addressed } else { question };
            by_file = self.by_file(facts, &question);
            match by_file {
                Some(rule) => of_action(rule.action),
                None => rules::judge(facts, &question)?,
            }
        };
        let spoofed = judgement.rule == Rule::SpoofedSource;
        let name =
            by_file.map_or(RuleName::Topology(judgement.rule), |rule| RuleName::File(rule.name.clone()));
        Some(Case {
            judgement,
            rule: name,
            severity: by_file.and_then(|rule| rule.severity),
            comment: by_file.and_then(|rule| rule.comment.clone()),
            side: if spoofed { Side::Source } else { side },
            from: if spoofed { seen.local.clone() } else { from.clone() },
            to: if spoofed { seen.remote.clone() } else { to.clone() },
            epoch: seen.epoch,
            marks: self.marks,
            claim: forged_mac.then_some("its frames carry an Ethernet address that is not its own"),
            booked: Counts::default(),
        })
    }

    /// Takes in who claimed which address on a link.
    pub fn claims(&mut self, around: &Around<'_>, claims: &[Claim]) {
        for claim in claims {
            self.claim(around, claim);
        }
    }

    fn claim(&mut self, around: &Around<'_>, claim: &Claim) {
        let facts = around.attribution;
        let Some(owner) = facts.owner(claim.interface).filter(|owner| !owner.container.endpoints.is_empty())
        else {
            return;
        };
        let own = claim.address.is_unspecified() || facts.is_given(owner, claim.address);
        let (what, protocol) = match claim.kind {
            ClaimKind::Arp if own || is_link_local(claim.address) => return,
            ClaimKind::NeighbourAdvertisement if own || is_link_local(claim.address) => return,
            ClaimKind::Arp => ("it claims an address that is not its own, by ARP", "arp"),
            ClaimKind::NeighbourAdvertisement => {
                ("it claims an address that is not its own, by a neighbour advertisement", "ipv6-icmp")
            }
            ClaimKind::RouterAdvertisement => {
                ("it says that it is a router, by a router advertisement", "ipv6-icmp")
            }
        };
        let interface = facts.interface(claim.interface).map(|watched| watched.observed_at.interface.clone());
        let interface = interface.unwrap_or_else(|| SafeText::new(""));
        let source = End::of_container(Arc::clone(owner.reference()), claim.address);
        let destination = End::plain(EndKind::Multicast, claim.address);
        let saw = format!("{} {} that say so", claim.packets, packets(claim.packets));
        let found = Found {
            outcome: Outcome::Attempted,
            reason: None,
            drop_reason: None,
            evidence: vec![Evidence::new(interface.as_str(), saw)],
        };
        let context = explain::Context { facts, judgement: SPOOFED, claim: Some(what) };
        self.findings.see(&Sighting {
            kind: Kind::Violation,
            rule: &RuleName::Topology(Rule::SpoofedSource),
            severity: None,
            comment: None,
            expected: Expected::Deny,
            source: &source,
            destination: &destination,
            protocol: protocol.into(),
            port: None,
            found: &found,
            counts: Counts { packets: claim.packets, ..Counts::default() },
            first_seen: claim.first_seen,
            last_seen: claim.last_seen,
            explain: &|finding| explain::claimed(&context, finding),
        });
    }

    /// Whom the host makes the destination of what a container sends, where that is not whom it addressed.
    fn real_destination(&self, around: &Around<'_>, flow: &Flow) -> Option<End> {
        let reply = self.translations.reply_to(&tuple(&flow.key))?;
        if reply.source == flow.key.remote {
            return None;
        }
        let packets = Packets {
            interface: flow.key.interface,
            local: flow.key.local,
            remote: reply.source,
            origin: None,
            first: flow.first_seen,
            last: flow.last_seen,
        };
        let end = around.attribution.remote_end(&packets, around.now);
        let has_ports = matches!(flow.key.ports, FlowPorts::Ports { .. });
        Some(End { port: has_ports.then_some(reply.ports.0), ..end })
    }

    /// The rule of the policy file that decides.
    fn by_file(&self, facts: &Attribution, question: &Question<'_>) -> Option<&file::Rule> {
        let (from, to) = (party(facts, question.from), party(facts, question.to));
        self.policy.decide(&from, &to, question.protocol, question.port)
    }

    /// Whether the policy file says that a finding of this is known.
    fn is_accepted(&self, around: &Around<'_>, case: &Case, protocol: Protocol) -> bool {
        let facts = around.attribution;
        let (from, to) = (party(facts, &case.from), party(facts, &case.to));
        let port = case.to.port;
        self.policy.accepted(case.rule.as_str(), &from, &to, protocol, port, around.wall).is_some()
    }

    /// Whether the container sent with an address that is not its own.
    fn is_spoofed(&self, around: &Around<'_>, flow: &Flow, local: &End) -> bool {
        let address = flow.key.local;
        let harmless = address.is_unspecified() || is_link_local(address);
        let known =
            local.container.as_ref().and_then(|container| around.attribution.container(&container.id));
        let Some(known) = known.filter(|known| !known.container.endpoints.is_empty()) else { return false };
        flow.traffic.sent.skbs > 0
            && !harmless
            && !around.attribution.is_given(known, address)
            && !self.is_forwarded(around, flow)
    }

    /// Whether the same packets are seen at another interface of the same container: it forwards them.
    fn is_forwarded(&self, around: &Around<'_>, flow: &Flow) -> bool {
        let facts = around.attribution;
        let Some(owner) = facts.owner(flow.key.interface) else { return false };
        if facts.is_given(owner, flow.key.local) {
            return false;
        }
        self.pairs.other_ends(around.flows, &flow.key).any(|other| {
            facts.owner(other.key.interface).is_some_and(|other| other.container.id == owner.container.id)
        })
    }

    /// The end of a tick, after all its flows and losses: what is to be told.
    pub fn tick(&mut self, around: &Around<'_>, epoch: u64) -> Vec<Arc<Finding>> {
        self.drops.prune(around.now);
        let mut cases = std::mem::take(&mut self.cases);
        cases.retain(|id, case| {
            let Some(flow) = around.flows.get(*id) else { return false };
            let found = self.find(around, flow, case, epoch);
            let kind = match (case.judgement.expected, found.outcome) {
                (_, Outcome::Attempted) => return true,
                (Expected::Deny, _) => Some(Kind::Violation),
                (Expected::Allow, Outcome::Blocked | Outcome::Undelivered) => Some(Kind::Broken),
                (Expected::Allow, _) if case.judgement.crossing => Some(Kind::Crossing),
                (Expected::Allow, _) => None,
            };
            let Some(kind) = kind else {
                return !found.outcome.reached() && found.outcome != Outcome::Unknown;
            };
            let sent = match case.side {
                Side::Source => flow.traffic.sent,
                Side::Destination => flow.traffic.received,
            };
            let counts = sent.since(&case.booked).unwrap_or_default();
            case.booked = sent;
            if self.is_accepted(around, case, flow.key.protocol) {
                return true;
            }
            let context =
                explain::Context { facts: around.attribution, judgement: case.judgement, claim: case.claim };
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
                first_seen: flow.first_seen,
                last_seen: flow.last_seen,
                explain: &|finding| explain::sentence(&context, finding),
            });
            true
        });
        self.cases = cases;
        self.findings.told(around.now)
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
        losses.add("findings_refused", self.findings.refused);
        losses.add("drops_forgotten", self.drops.forgotten);
        losses.add("translations_forgotten", self.translations.forgotten);
        losses
    }

    /// How much is kept: flows in pairs, conversations that are followed.
    #[must_use]
    pub fn sizes(&self) -> [usize; 2] {
        [self.pairs.len(), self.cases.len()]
    }

    /// What became of a conversation, by what was seen until now.
    fn find(&self, around: &Around<'_>, flow: &Flow, case: &Case, epoch: u64) -> Found {
        match case.side {
            Side::Source => self.at_source(around, flow, case, epoch),
            Side::Destination => at_destination(around, flow),
        }
    }

    fn at_source(&self, around: &Around<'_>, flow: &Flow, case: &Case, epoch: u64) -> Found {
        let sent = flow.traffic.sent.packets;
        let mut evidence =
            vec![Evidence::new(device(around, flow), format!("{sent} {} sent", packets(sent)))];
        if let Some((arrived, how)) = self.arrival(around, flow, case) {
            return self.arrived(around, flow, arrived, how, evidence);
        }
        let since = flow.first_seen.minus(CLOCK_GRAIN);
        if let Some((dropped, where_to)) = self.dropped(flow, since) {
            evidence.push(Evidence::new(
                device_of(around, dropped.device),
                format!(
                    "{} {} to {where_to} dropped: {}",
                    dropped.packets,
                    packets(dropped.packets),
                    dropped.reason.as_str()
                ),
            ));
            let drop_reason = Some(dropped.reason.clone());
            return Found { outcome: Outcome::Blocked, reason: None, drop_reason, evidence };
        }
        let received = flow.traffic.received.packets;
        let by_host = flow.origin.is_some_and(|(origin, _)| origin.ifindex == 0 && origin.other.is_none());
        match case.to.kind {
            EndKind::Container | EndKind::Unknown if received > 0 && by_host && was_reset(flow) => {
                evidence.push(Evidence::new("host", "refused it with a reset in the destination's name"));
                Found { outcome: Outcome::Blocked, reason: None, drop_reason: None, evidence }
            }
            EndKind::External | EndKind::Host if received > 0 => {
                evidence.push(Evidence::new(
                    device(around, flow),
                    format!("{received} {} came back", packets(received)),
                ));
                Found { outcome: Outcome::Answered, reason: None, drop_reason: None, evidence }
            }
            // A tick for what is on its way, and one more in which a loss would have been told.
            _ if epoch < case.epoch + 2 => {
                Found { outcome: Outcome::Attempted, reason: None, drop_reason: None, evidence }
            }
            EndKind::External | EndKind::Host => unknown(why::OUT_OF_SIGHT, evidence),
            _ => self.nowhere(around, flow, case, evidence),
        }
    }

    /// It was seen nowhere: whether that proves anything.
    fn nowhere(&self, around: &Around<'_>, flow: &Flow, case: &Case, mut evidence: Vec<Evidence>) -> Found {
        let lost = |now: u64, then: u64| now != then;
        let facts = around.attribution;
        let watched = case.to.container.as_ref().map(|container| {
            let mut veths = facts.veths_of(&container.id).filter(|veth| {
                veth.life.from <= flow.first_seen
                    && veth.life.until.is_none_or(|until| until > flow.last_seen)
                    && veth
                        .network
                        .as_ref()
                        .and_then(|network| facts.network(&network.id))
                        .is_some_and(|known| known.holds(flow.key.remote))
            });
            veths.next().map(|veth| veth.observed_at.interface.clone())
        });
        let reason = if watched == Some(None) {
            Some(why::DESTINATION_NOT_WATCHED)
        } else if lost(self.marks.not_recorded, case.marks.not_recorded) {
            Some(why::FLOWS_NOT_RECORDED)
        } else if lost(self.marks.flows_lost, case.marks.flows_lost) {
            Some(why::FLOWS_LOST)
        } else if !self.drops_are_watched {
            Some(why::DROPS_NOT_WATCHED)
        } else if lost(self.marks.drops_lost, case.marks.drops_lost) {
            Some(why::DROPS_LOST)
        } else {
            None
        };
        if let Some(reason) = reason {
            return unknown(reason, evidence);
        }
        if let Some(Some(interface)) = watched {
            evidence
                .push(Evidence::new(interface.as_str(), "nothing of it arrived, and nothing was lost there"));
        }
        Found { outcome: Outcome::Undelivered, reason: None, drop_reason: None, evidence }
    }

    /// The flow at the destination's interface, and how it was recognised.
    fn arrival<'a>(
        &'a self,
        around: &Around<'a>,
        flow: &Flow,
        case: &Case,
    ) -> Option<(&'a Flow, &'static str)> {
        let facts = around.attribution;
        let is_there = |other: &&Flow| {
            other.traffic.received.skbs > 0
                && other.key.interface != flow.key.interface
                && other.last_seen >= flow.first_seen.minus(CLOCK_GRAIN)
                && is_holder(facts, other)
        };
        if let Some(other) = self.pairs.other_ends(around.flows, &flow.key).find(is_there) {
            return Some((other, "the same addresses"));
        }
        if let Some(reply) = self.translations.reply_to(&tuple(&flow.key)) {
            let wanted =
                (reply.source, reply.destination, flow.key.protocol, ports_at_destination(reply, &flow.key));
            if let Some(other) = self.pairs.with_tuple(around.flows, wanted).find(is_there) {
                return Some((other, "conntrack"));
            }
        }
        let FlowPorts::Ports { remote, .. } = flow.key.ports else { return None };
        let bridge = facts.interface(flow.key.interface)?.interface.master.as_ref()?.0;
        let from_bridge = |other: &&Flow| other.origin.is_some_and(|(origin, _)| origin.ifindex == bridge);
        if case.to.kind != EndKind::Container {
            return None;
        }
        let mut there = self.pairs.rewritten_at(around.flows, (flow.key.remote, flow.key.protocol, remote));
        there
            .find(|other| is_there(other) && from_bridge(other))
            .map(|other| (other, "the origin of its packets"))
    }

    fn arrived(
        &self,
        around: &Around<'_>,
        flow: &Flow,
        other: &Flow,
        how: &str,
        mut evidence: Vec<Evidence>,
    ) -> Found {
        let Counts { packets: received, .. } = other.traffic.received;
        let answered = other.traffic.sent.packets;
        let interface = device(around, other);
        let mut saw = format!("{received} {} delivered", packets(received));
        if how != "the same addresses" {
            saw += &format!(" from {} (recognised by {how})", other.key.remote);
        }
        evidence.push(Evidence::new(&interface, saw));
        if answered == 0 {
            evidence.push(Evidence::new(&interface, "no reply left"));
            return Found { outcome: Outcome::Delivered, reason: None, drop_reason: None, evidence };
        }
        evidence.push(Evidence::new(&interface, format!("{answered} {} of reply left", packets(answered))));
        let back = path(&other.key, Direction::Sent);
        let dropped = self.drops.on(&back, flow.first_seen.minus(CLOCK_GRAIN));
        if let Some(dropped) = dropped.filter(|_| flow.traffic.received.packets == 0) {
            evidence.push(Evidence::new(
                device_of(around, dropped.device),
                format!(
                    "{} {} of reply dropped: {}",
                    dropped.packets,
                    packets(dropped.packets),
                    dropped.reason.as_str()
                ),
            ));
        }
        Found { outcome: Outcome::Answered, reason: None, drop_reason: None, evidence }
    }

    /// What the kernel dropped of what the flow's container sent, before or after a translation; and what it was
    /// addressed to then.
    fn dropped(&self, flow: &Flow, since: KernelTime) -> Option<(&super::drops::Dropped, IpAddr)> {
        let mut forward = path(&flow.key, Direction::Sent);
        if let Some(dropped) = self.drops.on(&forward, since) {
            return Some((dropped, forward.destination));
        }
        let reply = self.translations.reply_to(&tuple(&flow.key))?;
        forward.destination = reply.source;
        forward.port = forward.port.map(|_| reply.ports.0.min(reply.ports.1));
        let translated = self
            .drops
            .on(&forward, since)
            .or_else(|| self.drops.on(&Path { source: reply.destination, ..forward }, since));
        translated.map(|dropped| (dropped, reply.source))
    }
}

/// Whether findings about a case are made at this side: what comes from another container is told at that one's.
fn is_told_here(case: &Case) -> bool {
    match case.side {
        Side::Source => true,
        Side::Destination => matches!(case.from.kind, EndKind::External | EndKind::Host),
    }
}

fn at_destination(around: &Around<'_>, flow: &Flow) -> Found {
    let Counts { packets: received, .. } = flow.traffic.received;
    let answered = flow.traffic.sent.packets;
    let interface = device(around, flow);
    let mut evidence = vec![Evidence::new(&interface, format!("{received} {} delivered", packets(received)))];
    let outcome = if answered > 0 {
        evidence.push(Evidence::new(&interface, format!("{answered} {} of reply left", packets(answered))));
        Outcome::Answered
    } else {
        Outcome::Delivered
    };
    Found { outcome, reason: None, drop_reason: None, evidence }
}

fn unknown(reason: &'static str, evidence: Vec<Evidence>) -> Found {
    Found { outcome: Outcome::Unknown, reason: Some(reason), drop_reason: None, evidence }
}

/// Whether a flow is a conversation that someone opened. Fragments belong to another flow, and ICMP other than an echo
/// belongs to whatever it is about.
fn is_conversation(key: &FlowKey) -> bool {
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REQUEST_V6: u8 = 128;
    match key.ports {
        FlowPorts::Ports { .. } => true,
        FlowPorts::Icmp { kind, .. } => matches!(kind, ECHO_REQUEST | ECHO_REQUEST_V6),
        FlowPorts::LaterFragment => false,
        FlowPorts::None => !matches!(key.protocol, Protocol::ICMP | Protocol::ICMPV6),
    }
}

/// Who opened a conversation that is older than the watch: services have the smaller port as a rule.
fn guessed(key: &FlowKey) -> Side {
    match key.ports {
        FlowPorts::Ports { local, remote } if local < remote => Side::Destination,
        _ => Side::Source,
    }
}

/// Whether frames of the flow carry a source that is not the sender's: neither what Docker gave it on that network, nor
/// what its end of the interface has.
fn has_forged_mac(facts: &Attribution, flow: &Flow, seen: &Seen<'_>) -> bool {
    let Some(mac) = seen.source_mac.filter(|_| flow.traffic.sent.skbs > 0) else { return false };
    let Some(own) = facts.mac_of(flow.key.interface) else { return false };
    let given = facts
        .owner(flow.key.interface)
        .is_some_and(|owner| owner.container.endpoints.iter().any(|endpoint| endpoint.mac == Some(mac)));
    seen.several_source_macs || (mac != own && !given)
}

/// Whether the packets came from a container's interface or a Docker bridge, whatever their source address says: they
/// are judged where they were sent.
fn came_from_inside(facts: &Attribution, flow: &Flow) -> bool {
    let origin = flow.origin.map(|(origin, seen)| facts.origin_end(origin, seen).kind);
    matches!(origin, Some(OriginKind::Veth | OriginKind::Bridge))
}

/// What a rule of the policy file makes one expect.
const fn of_action(action: file::Action) -> Judgement {
    let (expected, crossing) = match action {
        file::Action::Allow => (Expected::Allow, false),
        file::Action::Report => (Expected::Allow, true),
        file::Action::Deny => (Expected::Deny, false),
    };
    Judgement { rule: Rule::Policy, expected, crossing }
}

/// An end, as the rules of a policy file see it.
fn party<'a>(facts: &'a Attribution, end: &'a End) -> Party<'a> {
    let known = end.container.as_ref().and_then(|container| facts.container(&container.id));
    Party {
        kind: end.kind,
        address: end.address,
        port: end.port,
        container: known.map(|known| &known.container),
        networks: end.container.as_ref().map_or(&[], |container| &container.networks),
    }
}

fn was_reset(flow: &Flow) -> bool {
    matches!(flow.tcp_state(), Some(TcpState::Refused | TcpState::Reset))
}

/// Whether the container behind a flow's interface holds the address its packets were sent to; one that only forwards
/// them does not.
fn is_holder(facts: &Attribution, flow: &Flow) -> bool {
    let veth = facts.interface(flow.key.interface).is_some_and(|it| it.interface.kind == InterfaceKind::Veth);
    veth && facts.owner(flow.key.interface).is_none_or(|owner| facts.is_given(owner, flow.key.local))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The name of the device where a flow was seen.
fn device(around: &Around<'_>, flow: &Flow) -> String {
    let watched = around.attribution.interface(flow.key.interface);
    watched.map_or_else(String::new, |watched| watched.observed_at.interface.as_str().to_owned())
}

/// The name of a device of the host, for evidence.
fn device_of(around: &Around<'_>, ifindex: u32) -> String {
    let name = around.attribution.device_name(ifindex);
    name.map_or_else(|| "host".to_owned(), |name| name.as_str().to_owned())
}

const fn packets(count: u64) -> &'static str {
    if count == 1 { "packet" } else { "packets" }
}

/// The path of what a flow's container sends, or receives.
fn path(key: &FlowKey, direction: Direction) -> Path {
    let port = match key.ports {
        FlowPorts::Ports { local, remote } => Some(local.min(remote)),
        FlowPorts::Icmp { .. } | FlowPorts::LaterFragment | FlowPorts::None => None,
    };
    let (source, destination) = match direction {
        Direction::Sent => (key.local, key.remote),
        Direction::Received => (key.remote, key.local),
    };
    Path { source, destination, protocol: key.protocol, port }
}

/// What conntrack calls the direction that a flow's container sends.
fn tuple(key: &FlowKey) -> Tuple {
    let (ports, icmp) = match key.ports {
        FlowPorts::Ports { local, remote } => (Some((local, remote)), None),
        FlowPorts::Icmp { id, .. } => (None, Some(id)),
        FlowPorts::LaterFragment | FlowPorts::None => (None, None),
    };
    Tuple {
        source: key.local,
        destination: key.remote,
        protocol: key.protocol,
        ports: translations::ports(key.protocol, ports, icmp),
    }
}

/// The ports of the flow at the destination, by what it answers.
fn ports_at_destination(reply: &Tuple, original: &FlowKey) -> FlowPorts {
    match original.ports {
        FlowPorts::Ports { .. } => FlowPorts::Ports { local: reply.ports.0, remote: reply.ports.1 },
        FlowPorts::Icmp { kind, code, .. } => FlowPorts::Icmp { id: reply.ports.0, kind, code },
        same => same,
    }
}
