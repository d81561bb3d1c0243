//! A conversation's case: who opened it, to whom it really goes, and which rule decides.

use super::case::{Around, Case, Seen, Side};
use super::file::{self, Policy};
use super::outcome::Outcome;
use super::party::{InSwarm, Party};
use super::rules::{self, Expected, Judgement, Question, Rule, RuleName};
use super::testimony::Testimony;
use crate::attribution::{Attribution, End, EndKind, OriginKind, Packets};
use crate::flows::Flow;
use crate::model::{
    Counts, FlowKey, FlowPorts, Initiator, InterfaceKind, KernelTime, NetworkDriver, NetworkId, Protocol,
};
use std::net::IpAddr;
use std::time::Duration;

/// What is said of every forgery.
pub(super) const SPOOFED: Judgement =
    Judgement { rule: Rule::SpoofedSource, expected: Expected::Deny, crossing: false };
/// Longer than an answer takes.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

/// All that a case is opened by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening<'a> {
    pub(super) policy: &'a Policy,
    pub(super) testimony: &'a Testimony,
    pub(super) around: &'a Around<'a>,
}

impl Opening<'_> {
    /// A new case, if a rule says something.
    pub(super) fn open(&self, flow: &Flow, seen: &Seen<'_>) -> Option<Case> {
        let facts = self.around.attribution;
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
        // The host may have put an address of its own in place of the sender's.
        let sender = facts.original_of(&flow.key.tuple()).map_or(flow.key.remote, |original| original.source);
        let of_remote = facts.network_of_address(sender, flow.last_seen);
        let of_remote: Option<&NetworkId> = of_remote.map(|known| &known.network.id);
        let translated = (side == Side::Source).then(|| self.real_destination(flow)).flatten();
        let (from, from_network, to) = match side {
            Side::Source => (seen.local, network, translated.as_ref().unwrap_or(seen.remote)),
            Side::Destination => (seen.remote, of_remote, seen.local),
        };
        let forged_mac = has_forged_mac(facts, flow, seen);
        let mut by_file = None;
        let judgement = if forged_mac || self.is_spoofed(flow, seen.local) {
            SPOOFED
        } else if self.is_forwarded(flow) {
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
            by_file = self.by_file(&question);
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
            marks: self.testimony.marks_before(seen.epoch),
            claim: forged_mac.then_some("its frames carry an Ethernet address that is not its own"),
            booked: Counts::default(),
            outcome: Outcome::Attempted,
            changed: (seen.epoch, [0; 2]),
        })
    }

    /// The case of a flow that began to be judged in an earlier epoch.
    pub(super) fn reopen(&self, flow: &Flow, since: u64) -> Option<Case> {
        let packets =
            Packets { key: flow.key, origin: flow.origin, first: flow.first_seen, last: flow.last_seen };
        let facts = self.around.attribution;
        let local = facts.local_end(&packets, self.around.now).with_port(flow.key.ports, true);
        let remote = facts.remote_end(&packets, self.around.now).with_port(flow.key.ports, false);
        let seen = Seen {
            flow_id: flow.flow_id,
            epoch: since,
            counted: flow.traffic,
            local: &local,
            remote: &remote,
            initiator: flow.initiator(),
            source_mac: None,
            several_source_macs: false,
        };
        self.open(flow, &seen)
    }

    /// Whom the host makes the destination of what a container sends, where that is not whom it addressed.
    fn real_destination(&self, flow: &Flow) -> Option<End> {
        let reply = self.around.attribution.reply_to(&flow.key.tuple())?;
        if reply.source == flow.key.remote {
            return None;
        }
        let packets = Packets {
            key: FlowKey { remote: reply.source, ..flow.key },
            origin: None,
            first: flow.first_seen,
            last: flow.last_seen,
        };
        let end = self.around.attribution.remote_end(&packets, self.around.now);
        let has_ports = matches!(flow.key.ports, FlowPorts::Ports { .. });
        Some(End { port: has_ports.then_some(reply.ports.0), ..end })
    }

    /// The rule of the policy file that decides.
    fn by_file(&self, question: &Question<'_>) -> Option<&file::Rule> {
        let facts = self.around.attribution;
        let [from, to] = [question.from, question.to].map(|end| party(facts, end, question.at));
        self.policy.decide(&from, &to, question.protocol, question.port)
    }

    /// Whether the container sent with an address that is not its own.
    fn is_spoofed(&self, flow: &Flow, local: &End) -> bool {
        let facts = self.around.attribution;
        // A socket of the host has whatever address of the host it wants.
        let kind = facts.interface(flow.key.interface).map(|it| it.interface.kind);
        if kind == Some(InterfaceKind::Cgroup) {
            return false;
        }
        let address = flow.key.local;
        let harmless = address.is_unspecified() || is_link_local(address);
        let known =
            local.container.as_ref().and_then(|container| self.around.attribution.container(&container.id));
        let Some(known) = known.filter(|known| !known.container.endpoints.is_empty()) else { return false };
        // Beside a network that goes on outside there are addresses that Docker does not give: by DHCP, or for a group.
        if kind == Some(InterfaceKind::Inside) && !facts.is_anothers(known, address, flow.last_seen) {
            return false;
        }
        flow.traffic.sent.skbs > 0
            && !harmless
            && !self.around.attribution.is_given(known, address)
            && !self.is_forwarded(flow)
    }

    /// Whether the same packets are seen at another interface of the same container: it forwards them.
    pub(super) fn is_forwarded(&self, flow: &Flow) -> bool {
        let facts = self.around.attribution;
        let Some(owner) = facts.owner(flow.key.interface) else { return false };
        if facts.is_given(owner, flow.key.local) {
            return false;
        }
        self.testimony.pairs.other_ends(self.around.flows, &flow.key).any(|other| {
            facts.owner(other.key.interface).is_some_and(|other| other.container.id == owner.container.id)
        })
    }
}

/// Whether a flow is a conversation that someone opened. Fragments belong to another flow, and ICMP other than an echo
/// belongs to whatever it is about.
pub(super) fn is_conversation(key: &FlowKey) -> bool {
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
pub(super) const fn of_action(action: file::Action) -> Judgement {
    let (expected, crossing) = match action {
        file::Action::Allow => (Expected::Allow, false),
        file::Action::Report => (Expected::Allow, true),
        file::Action::Deny => (Expected::Deny, false),
    };
    Judgement { rule: Rule::Policy, expected, crossing }
}

/// An end, as the rules of a policy file see it.
pub(super) fn party<'a>(facts: &'a Attribution, end: &'a End, when: KernelTime) -> Party<'a> {
    let known = end.container.as_ref().and_then(|container| facts.container(&container.id));
    let networks = match (&end.container, &end.swarm) {
        (Some(container), _) => container.networks.as_slice(),
        (None, Some(swarm)) => std::slice::from_ref(&swarm.network),
        (None, None) => &[],
    };
    let is_on_overlay = || {
        let network = facts.network_of_address(end.address, when);
        network.is_some_and(|known| known.network.driver == NetworkDriver::Overlay)
    };
    let swarm = match &end.swarm {
        Some(swarm) => InSwarm::Member(&swarm.member),
        None if end.kind == EndKind::External && is_on_overlay() => InSwarm::Unnamed,
        None => InSwarm::No,
    };
    Party {
        kind: end.kind,
        address: end.address,
        port: end.port,
        container: known.map(|known| &known.container),
        swarm,
        networks,
    }
}

pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
