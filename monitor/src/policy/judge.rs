//! The judge: takes flows as they are named, drops and translations as they come, and tells at the end of each tick
//! what is to be told.

use super::explain;
use super::file::{self, Policy};
use super::findings::{Finding, Findings, Kind, Severity, Sighting};
use super::outcome::{Evidence, Found, Notes, Outcome};
use super::party::Party;
use super::rules::{self, Expected, Judgement, Question, Rule, RuleName};
use super::testimony::{Marks, Testimony, packets, tuple};
use crate::attribution::{Attribution, End, EndKind, OriginKind, Packets};
use crate::flows::{Flow, FlowTable};
use crate::model::{
    Claim, ClaimKind, Conntrack, Counts, DropBatch, DropWatch, FlowId, FlowKey, FlowPorts, Initiator,
    KernelTime, Losses, Mac, NetworkId, Protocol, SafeText, TranslationChange, WallTime,
};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is said of every forgery.
const SPOOFED: Judgement = Judgement { rule: Rule::SpoofedSource, expected: Expected::Deny, crossing: false };
/// Longer than an answer takes.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);
/// Conversations that are followed at once, at most.
const MOST_CASES: usize = 65_536;

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

impl Case {
    /// Whether it is told whatever becomes of it.
    fn is_to_be_told(&self) -> bool {
        self.judgement.expected == Expected::Deny || self.judgement.crossing
    }
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
    rule: RuleName,
    severity: Option<Severity>,
    comment: Option<SafeText>,
    pub(super) side: Side,
    from: End,
    pub(super) to: End,
    pub(super) epoch: u64,
    pub(super) marks: Marks,
    /// What is forged, where the source address does not show it.
    claim: Option<&'static str>,
    /// What of it is in a finding already.
    booked: Counts,
}

/// All judgement's state.
#[derive(Debug, Default)]
pub struct Judge {
    policy: Arc<Policy>,
    testimony: Testimony,
    findings: Findings,
    /// Conversations that are not to be, go round the isolation, or are broken.
    cases: HashMap<FlowId, Box<Case>>,
    /// Allowed conversations that have not arrived yet, with the epoch that each began in.
    pending: HashMap<FlowId, u64>,
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
        self.testimony.drops.take(batch);
    }

    /// Whether drops are watched at all.
    pub fn drop_watch(&mut self, watch: DropWatch) {
        self.testimony.drops_are_watched = matches!(watch, DropWatch::Watched);
    }

    /// Takes in translations.
    pub fn translations(&mut self, changes: &[TranslationChange]) {
        self.testimony.translations.take(changes);
    }

    /// How translations are learned from now on.
    pub fn conntrack(&mut self, source: &Conntrack) {
        self.testimony.translations.learned_by(source);
    }

    /// What the collector lost so far.
    pub fn losses(&mut self, losses: &Losses) {
        self.testimony.losses(losses);
    }

    /// Takes in a flow at a container's interface before any of its tick is judged: it may be the other end of one.
    pub fn note(&mut self, around: &Around<'_>, id: FlowId) {
        let Some(flow) = around.flows.get(id) else { return };
        let rewritten = around.attribution.is_of_host(flow.key.remote, around.now);
        if !self.testimony.pairs.note(id, &flow.key, rewritten) {
            self.testimony.lose_a_flow();
        }
    }

    /// A flow is over.
    pub fn over(&mut self, id: FlowId, key: &FlowKey) {
        self.testimony.pairs.forget(id, key);
        self.cases.remove(&id);
        self.pending.remove(&id);
    }

    /// A flow made room for another before it was over.
    pub fn pushed_out(&mut self, id: FlowId, key: &FlowKey) {
        self.over(id, key);
        self.testimony.lose_a_flow();
    }

    /// Judges a flow; `None` where no rule says anything.
    pub fn flow(&mut self, around: &Around<'_>, seen: &Seen<'_>) -> Option<Verdict> {
        let flow = around.flows.get(seen.flow_id)?;
        if seen.local.kind != EndKind::Container || !is_conversation(&flow.key) {
            return None;
        }
        let case = match self.cases.get(&seen.flow_id) {
            Some(case) => case.clone(),
            None => Box::new(self.open(around, flow, seen)?),
        };
        let found = self.testimony.weigh(around, flow, &case, seen.epoch, Notes::none());
        let verdict =
            Verdict { rule: case.rule.clone(), expected: case.judgement.expected, outcome: found.outcome };
        if is_told_here(&case) {
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

    /// A new case, if a rule says something.
    fn open(&self, around: &Around<'_>, flow: &Flow, seen: &Seen<'_>) -> Option<Case> {
        let facts = around.attribution;
        let network = facts.interface(flow.key.interface)?.network.as_ref().map(|network| &network.id);
        let initiator = if is_older_than_watch(facts, flow) { Initiator::Unknown } else { seen.initiator };
        let side = match initiator {
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
        if initiator == Initiator::Unknown && judgement.rule == Rule::ExposedPort {
            // The container may have opened it as well.
            return None;
        }
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
            marks: self.testimony.marks,
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
        let reply = self.testimony.translations.reply_to(&tuple(&flow.key))?;
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
        self.testimony.pairs.other_ends(around.flows, &flow.key).any(|other| {
            facts.owner(other.key.interface).is_some_and(|other| other.container.id == owner.container.id)
        })
    }

    /// The end of a tick, after all its flows and losses: what is to be told.
    pub fn tick(&mut self, around: &Around<'_>, epoch: u64) -> Vec<Arc<Finding>> {
        self.testimony.drops.prune(around.now);
        self.look_at_pending(around, epoch);
        self.testimony.remember_marks(epoch);
        let mut cases = std::mem::take(&mut self.cases);
        cases.retain(|id, case| {
            let Some(flow) = around.flows.get(*id) else { return false };
            let found = self.testimony.weigh(around, flow, case, epoch, Notes::wanted());
            let kind = match (case.judgement.expected, found.outcome) {
                (_, Outcome::Attempted) => return true,
                (Expected::Deny, _) => Some(Kind::Violation),
                (Expected::Allow, Outcome::Blocked | Outcome::Undelivered) => Some(Kind::Broken),
                (Expected::Allow, _) if case.judgement.crossing => Some(Kind::Crossing),
                (Expected::Allow, _) => None,
            };
            let Some(kind) = kind else { return false };
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

    /// Allowed conversations that have not arrived: those that were stopped or lost become cases.
    fn look_at_pending(&mut self, around: &Around<'_>, epoch: u64) {
        let mut broken = Vec::new();
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|id, since| {
            let Some(flow) = around.flows.get(*id) else { return false };
            // A tick for what is on its way, and one more in which a loss would have been told.
            let is_young = epoch < *since + 2;
            if is_young && !self.testimony.was_dropped(flow) {
                return true;
            }
            let Some(case) = self.reopen(around, flow, *since) else { return false };
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

    /// The case of a flow that began to be judged in an earlier epoch.
    fn reopen(&self, around: &Around<'_>, flow: &Flow, since: u64) -> Option<Case> {
        let packets = Packets {
            interface: flow.key.interface,
            local: flow.key.local,
            remote: flow.key.remote,
            origin: flow.origin,
            first: flow.first_seen,
            last: flow.last_seen,
        };
        let facts = around.attribution;
        let local = facts.local_end(&packets, around.now).with_port(flow.key.ports, true);
        let remote = facts.remote_end(&packets, around.now).with_port(flow.key.ports, false);
        let seen = Seen {
            flow_id: flow.flow_id,
            epoch: since,
            local: &local,
            remote: &remote,
            initiator: flow.initiator(),
            source_mac: None,
            several_source_macs: false,
        };
        let case = self.open(around, flow, &seen)?;
        Some(Case { marks: self.testimony.marks_before(since), ..case })
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
        losses.add("translations_forgotten", self.testimony.translations.forgotten);
        losses
    }

    /// How much is kept: flows in pairs, conversations that are followed.
    #[must_use]
    pub fn sizes(&self) -> [usize; 2] {
        [self.testimony.pairs.len(), self.cases.len() + self.pending.len()]
    }
}

/// Whether findings about a case are made at this side: what comes from another container is told at that one's.
fn is_told_here(case: &Case) -> bool {
    match case.side {
        Side::Source => true,
        Side::Destination => matches!(case.from.kind, EndKind::External | EndKind::Host),
    }
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

/// Whether a conversation without a handshake may have gone on before its interface was watched: then the first packet
/// that was seen may have been an answer.
fn is_older_than_watch(facts: &Attribution, flow: &Flow) -> bool {
    let since = facts.interface(flow.key.interface).map(|watched| watched.life.from);
    flow.key.protocol != Protocol::TCP
        && since.is_some_and(|since| flow.first_seen.since(since) < LONGEST_ANSWER)
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

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
