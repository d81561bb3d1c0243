//! What was seen of one conversation, and where its ends are.

use super::super::case::{Around, Side};
use super::super::explain::{self, Reason};
use super::super::outcome::{Evidence, Notes, Outcome};
use super::super::pairs::Sender;
use super::super::rules::{Rule, RuleName};
use super::super::testimony::{CLOCK_GRAIN, Testimony, device, packets};
use super::answer::{Conversation, Decision, Leg, Place, PlaceInterface};
use super::course;
use super::{Asked, AskedEnd, Heading, Kept, published_to};
use crate::attribution::{Attribution, Translated, Watched};
use crate::flows::{Flow, TcpState};
use crate::model::{InterfaceKind, KernelTime, SafeText};

/// A conversation as it is weighed now, with its evidence.
pub(super) fn conversation(
    testimony: &Testimony,
    around: &Around<'_>,
    asked: &Asked,
    kept: &Kept,
    flow: &Flow,
    epoch: u64,
) -> Conversation {
    let case = &kept.case;
    let found = testimony.weigh(around, flow, case, epoch, Notes::wanted());
    let traffic = match case.side {
        Side::Source => (flow.traffic.sent, flow.traffic.received),
        Side::Destination => (flow.traffic.received, flow.traffic.sent),
    };
    let (translated, leg) = led_on(testimony, around, asked, kept, flow);
    let mut evidence = found.evidence;
    evidence.extend(leg.iter().flat_map(leg_evidence));
    let mut conversation = Conversation {
        heading: kept.heading,
        source: case.from.clone(),
        destination: kept.addressed.clone(),
        protocol: flow.key.protocol,
        decision: decision(around, kept, flow),
        outcome: found.outcome,
        reason: found.reason,
        drop_reason: found.drop_reason,
        refused: leg.as_ref().is_some_and(|leg| leg.refused)
            || (found.outcome == Outcome::Answered && flow.tcp_state() == Some(TcpState::Refused)),
        sent: traffic.0,
        came_back: traffic.1,
        evidence,
        translated,
        leg,
        first_seen: flow.first_seen,
        last_seen: flow.last_seen,
        course: String::new(),
    };
    let seen_at = around.attribution.interface(flow.key.interface).map(|watched| watched.interface.kind);
    let at_sockets = seen_at == Some(InterfaceKind::Cgroup);
    conversation.course = course::of(&conversation, case.side, &case.to, at_sockets);
    conversation
}

fn decision(around: &Around<'_>, kept: &Kept, flow: &Flow) -> Decision {
    let case = &kept.case;
    // Of a published port the rule is about the host; of a redirection about where it leads.
    let published = case.rule == RuleName::Topology(Rule::PublishedPort);
    let reason = Reason {
        facts: around.attribution,
        name: &case.rule,
        comment: case.comment.as_ref(),
        judgement: case.judgement,
        source: &case.from,
        destination: if published { &kept.addressed } else { &case.to },
        at: flow.last_seen,
    };
    Decision {
        rule: case.rule.clone(),
        expected: case.judgement.expected,
        crossing: case.judgement.crossing,
        comment: case.comment.clone(),
        because: explain::because(&reason, case.claim),
    }
}

/// How the host changes a conversation or passes it on, and the connection of its proxy.
fn led_on(
    testimony: &Testimony,
    around: &Around<'_>,
    asked: &Asked,
    kept: &Kept,
    flow: &Flow,
) -> (Option<Translated>, Option<Leg>) {
    let translated = around.attribution.by_conntrack(&flow.key.tuple());
    let to = if kept.heading == Heading::Forward { &asked.to } else { &asked.from };
    match (translated, published_to(around.attribution, flow, &kept.addressed, to)) {
        (None, Some(port)) => {
            let original = Some(flow.key.tuple());
            let proxied = Translated { kind: "proxy", original, reply: None, evidence: "port-map" };
            (Some(proxied), leg(testimony, around, to, flow, port))
        }
        (translated, _) => (translated, None),
    }
}

/// The connection that the host's proxy made for a flow, by its time: conntrack does not know that they belong together.
fn leg(testimony: &Testimony, around: &Around<'_>, to: &AskedEnd, flow: &Flow, port: u16) -> Option<Leg> {
    let known = around.attribution.container(to.container()?)?;
    let addresses = known.container.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let since = flow.first_seen.minus(CLOCK_GRAIN);
    let legs = addresses
        .map(|address| (*address, flow.key.protocol, port, Sender::Host))
        .flat_map(|place| testimony.pairs.sent_by_host_at(around.flows, place));
    let from_host = |leg: &&Flow| leg.origin.is_some_and(|(origin, _)| origin.ifindex == 0);
    let leg =
        legs.filter(|leg| leg.first_seen >= since).filter(from_host).min_by_key(|leg| leg.first_seen)?;
    Some(Leg {
        device: SafeText::new(&device(around, leg)),
        from: leg.key.remote,
        port,
        delivered: leg.traffic.received.packets,
        answered: leg.traffic.sent.packets,
        refused: leg.tcp_state() == Some(TcpState::Refused),
    })
}

fn leg_evidence(leg: &Leg) -> [Evidence; 2] {
    let Leg { device, from, port, delivered, answered, .. } = leg;
    let arrived = format!(
        "{delivered} {} delivered to port {port} from {from}, in a connection of the host's own that began then",
        packets(*delivered)
    );
    let replied = match answered {
        0 => "no reply left".to_owned(),
        _ => format!("{answered} {} of reply left", packets(*answered)),
    };
    [Evidence::new(device.as_str(), arrived), Evidence::new(device.as_str(), replied)]
}

/// Where an end is; of interfaces that went, those that were there since `since` are told if there is no other: the last
/// answer comes after the programs are gone.
pub(super) fn place(facts: &Attribution, subject: &AskedEnd, since: KernelTime) -> Place {
    let Some(known) = subject.container().and_then(|id| facts.container(id)) else { return Place::default() };
    let (live, ended): (Vec<&Watched>, Vec<&Watched>) =
        facts.veths_of(&known.container.id).partition(|watched| watched.life.until.is_none());
    let ended = ended.into_iter().filter(|watched| watched.life.until.is_some_and(|until| until > since));
    let watched = if live.is_empty() { ended.collect() } else { live };
    let mut interfaces: Vec<PlaceInterface> = watched
        .into_iter()
        .map(|watched| {
            let endpoints = known.container.endpoints.iter();
            let here = endpoints.filter(|endpoint| {
                watched.network.as_ref().is_some_and(|network| network.id == endpoint.network)
            });
            PlaceInterface {
                interface: watched.observed_at.interface.clone(),
                ifindex: watched.observed_at.ifindex,
                network: watched.network.clone(),
                addresses: here.flat_map(|endpoint| endpoint.addresses.iter().copied()).collect(),
            }
        })
        .collect();
    interfaces
        .sort_by_key(|place| (place.network.as_ref().map(|network| network.name.clone()), place.ifindex));
    let on_host = facts.is_on_host_network(known);
    Place { container: Some(known.reference().clone()), on_host, pid: known.container.pid, interfaces }
}
