//! Words that several details use.

use super::paper::Paper;
use crate::model::{Counts, KernelTime, Protocol, SafeText, SwarmKind, SwarmMember, Traffic};
use crate::snapshot::{ContainerRef, End, EndKind, Expected, NetworkRef, Outcome, SwarmRef, Verdict, reason};
use crate::tui::column::Tone;
use crate::tui::context::{Context, Way};
use crate::tui::recent::Recent;
use crate::view::units::{bytes, duration, plural};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

/// What is said of a time that is over where something is known of now alone.
pub(super) const OF_NOW: &str = "What Docker tells of it is of now.";
/// What Docker, or the kernel, has not told.
pub(super) const NOT_TOLD: &str = "not told by Docker";
/// What was not known while it was there.
pub(super) const NOT_KNOWN: &str = "not known";

/// A name that may be absent.
pub(super) fn told(name: Option<&SafeText>) -> &str {
    name.map_or(NOT_TOLD, SafeText::as_str)
}

/// `12.3 MiB in 9,412 packets`.
pub(super) fn counts(counts: Counts) -> String {
    format!("{} in {}", bytes(counts.bytes), plural(counts.packets, "packet"))
}

/// `sent 12.3 MiB in 9,412 packets, received …`.
pub(super) fn traffic(traffic: Traffic) -> String {
    format!("sent {}, received {}", counts(traffic.sent), counts(traffic.received))
}

/// `sent 1.37 KiB/s, received 812 B/s`, over the window that was chosen; absent before a second reading.
pub(super) fn rates(recent: &Recent, context: &Context<'_>) -> Option<String> {
    let (sent, received) = (context.rate(recent, Way::Sent)?, context.rate(recent, Way::Received)?);
    Some(format!("sent {}/s, received {}/s", context.bytes(sent), context.bytes(received)))
}

/// Writes the rates of something, over the window that was chosen; of a time that is over there are none beside its totals.
pub(super) fn rate(paper: &mut Paper, recent: &Recent, context: &Context<'_>) {
    if context.past.is_some() {
        return;
    }
    let window = context.window.seconds();
    match rates(recent, context) {
        Some(rates) => paper.field("now", &format!("{rates} (over {window} s)")),
        None => paper.toned(Tone::Faint, "now", "no rate before a second reading"),
    }
}

/// A moment, and how long ago it was.
pub(super) fn moment(at: KernelTime, context: &Context<'_>) -> String {
    let ago = context.now.since(at);
    let ago = if ago.is_zero() { "now".to_owned() } else { format!("{} ago", length(ago)) };
    format!("{} ({ago})", context.clock.date_and_time(at))
}

/// A length of time for a person: `213 µs`, `12.0 s`, `3 min 20 s`, `5 h 3 min`, `12 d 4 h`.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..100 => duration(time),
        100..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `shop_back (bridge)`.
pub(super) fn network(network: &NetworkRef) -> String {
    format!("{} ({})", network.name, network.driver.name())
}

/// `172.18.0.3:80`, `[fd00::3]:80`.
pub(super) fn address_and_port(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// Who an end is, with its address, its service, and why it has no name.
pub(super) fn end(end: &End) -> String {
    let address = address_and_port(end.address, end.port);
    if let Some(swarm) = &end.swarm {
        return format!("{}, {address}", in_swarm(swarm));
    }
    match (&end.container, end.kind) {
        (Some(container), _) => format!("{}{}, {address}", container.name, of_service(container)),
        (None, EndKind::Host) => format!("the host, {address}"),
        (None, EndKind::External) => format!("outside, {address}"),
        (None, EndKind::Multicast) => format!("a group, {address}"),
        (None, EndKind::Container) => format!("a container, {address}"),
        (None, EndKind::Unknown) => format!("unknown, {address}: {}", why_unknown(end.reason)),
    }
}

/// `task web.3.97q0… of service web on node 172.29.0.2`, in its network.
fn in_swarm(swarm: &SwarmRef) -> String {
    let SwarmMember { kind, service, name, node, .. } = &swarm.member;
    let what = match kind {
        SwarmKind::Task => "task",
        SwarmKind::Container => "container",
        SwarmKind::VirtualIp => "virtual address",
        SwarmKind::LoadBalancer => "load balancer",
    };
    let name = name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    let service = service.as_ref().map_or_else(String::new, |service| format!(" of service {service}"));
    let node = node.map_or_else(String::new, |node| format!(" on node {node}"));
    format!("{what}{name}{service}{node}, network {}", swarm.network.name)
}

/// ` (service web of project shop)`, or nothing.
fn of_service(container: &ContainerRef) -> String {
    match (&container.service, &container.project) {
        (Some(service), Some(project)) => format!(" (service {service} of project {project})"),
        (Some(service), None) => format!(" (service {service})"),
        (None, Some(project)) => format!(" (project {project})"),
        (None, None) => String::new(),
    }
}

/// Why an end or an interface has no name, for a person.
pub(in crate::tui) fn why_unknown(why: Option<&'static str>) -> &'static str {
    match why {
        Some(reason::DOCKER_DOWN) => "Docker does not answer",
        Some(reason::NOT_ANNOUNCED_YET) => "Docker has not announced the container yet",
        Some(reason::NOT_A_CONTAINER) => "no container of this Docker",
        Some(reason::SWARM_LOAD_BALANCER) => "the swarm's load balancer",
        Some(reason::NO_CONTAINER_HAS_IT) => "no container had that address at that time",
        Some(reason::ADDRESS_CHANGED_HANDS) => "the address changed hands meanwhile",
        Some(reason::AMBIGUOUS_ADDRESS) => "several networks have that address",
        Some(reason::MASQUERADED) => "the host wrote its own address over the sender's",
        Some(reason::SEVERAL_ORIGINS) => "packets came from several interfaces",
        Some(reason::LINK_LOCAL) => "a link-local address, and no interface tells whose",
        Some(reason::NO_ADDRESS_YET) => "a sender without an address yet",
        Some(reason::NETWORK_UNKNOWN) => "the interface's network is not known",
        Some(reason::INTERFACE_UNKNOWN) => "the interface is not known",
        Some(other) => other,
        None => "no reason was given",
    }
}

/// `denied by cross-network; blocked`, and how much it stands out.
pub(super) fn verdict(verdict: &Verdict) -> (Tone, String) {
    let word = match verdict.expected {
        Expected::Allow => "allowed",
        Expected::Deny => "denied",
    };
    let text = format!("{word} by {}; {}", verdict.rule.as_str(), verdict.outcome.name());
    (verdict_tone(verdict), text)
}

/// How much a verdict stands out.
pub(in crate::tui) fn verdict_tone(verdict: &Verdict) -> Tone {
    match (verdict.expected, verdict.outcome) {
        (Expected::Deny, Outcome::Delivered | Outcome::Answered) => Tone::Critical,
        (Expected::Deny, _) | (Expected::Allow, Outcome::Blocked | Outcome::Undelivered) => Tone::Warning,
        (Expected::Allow, Outcome::Answered | Outcome::Delivered) => Tone::Good,
        (Expected::Allow, Outcome::Attempted | Outcome::Unknown) => Tone::Plain,
    }
}

/// Whether an end is this container.
pub(super) fn is_of(end: &End, container: &ContainerRef) -> bool {
    end.container.as_ref().is_some_and(|it| it.id == container.id)
}

/// A protocol as commands know it. A name is owned only by a number without one, which no command knows either.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol.name() {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "ip",
    }
}
