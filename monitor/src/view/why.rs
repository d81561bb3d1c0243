//! `why`: the answer first, then who, what is expected, what was seen, and how to look for oneself.

use super::names;
use super::style::{Frame, Line, Tone, width, wrap};
use super::units::{duration, plural};
use crate::model::{Losses, SafeText};
use crate::snapshot::{
    Answer, AskedEnd, Conversation, Expected, Heading, Look, Outcome, Place, Stopped, Translated, Way,
};
use std::net::IpAddr;

/// Columns before what belongs to a heading.
const INDENT: usize = 2;
/// Columns before what belongs to a conversation.
const DEEPER: usize = 4;
/// Kinds of conversations that are listed.
const MOST_KINDS: usize = 6;
/// Kinds of conversations of which is said where they stopped; the evidence is shown of the first.
const EXPLAINED: usize = 2;
/// Ways that are listed.
const MOST_WAYS: usize = 6;

/// Draws an answer. `losses` are those by which something may have been missed; `notes` what else is to be known of the ends.
#[must_use]
pub fn why(answer: &Answer, losses: &Losses, notes: &[SafeText], frame: &Frame) -> Vec<Line> {
    let mut lines = indented(headline(answer), 0, &answer.summary, frame);
    lines.extend(indented(
        Tone::Plain,
        0,
        &format!("from  {}", place(&answer.asked.from, &answer.from)),
        frame,
    ));
    let to = format!("to    {}{}", place(&answer.asked.to, &answer.to), wanted(answer));
    lines.extend(indented(Tone::Plain, 0, &to, frame));
    for note in notes {
        lines.extend(indented(Tone::Warning, 0, &format!("note: {note}"), frame));
    }
    lines.extend(expected(answer, frame));
    lines.extend(seen(answer, losses, frame));
    lines.push(Line::of(Tone::Strong, "Look for yourself"));
    lines.extend(answer.look.iter().flat_map(|look| command(look, frame)));
    lines
}

/// What is not as it should be must not be passed over.
fn headline(answer: &Answer) -> Tone {
    let fine = answer.forward().next().is_some_and(|latest| {
        matches!(
            (latest.decision.expected, latest.outcome, latest.refused),
            (Expected::Allow, Outcome::Answered, false) | (Expected::Deny, Outcome::Blocked, _)
        )
    });
    let kept_out = answer.forward().next().is_none()
        && !answer.stopped.is_empty()
        && answer.decision.as_ref().is_some_and(|decision| decision.expected == Expected::Deny);
    if fine || kept_out { Tone::Strong } else { Tone::Warning }
}

/// `shop-web-1 (172.18.0.2 on shop_front)`.
fn place(subject: &AskedEnd, place: &Place) -> String {
    let Some(container) = &place.container else {
        return match (subject, subject.address()) {
            (AskedEnd::Host { .. }, None) => "the host".to_owned(),
            (AskedEnd::Host { .. }, Some(address)) => format!("the host ({address})"),
            (AskedEnd::Outside { .. }, Some(address)) => format!("{address} outside"),
            (_, Some(address)) => address.to_string(),
            (_, None) => "anybody outside".to_owned(),
        };
    };
    let at = place.interfaces.iter().map(|place| {
        let addresses: Vec<String> = place.addresses.iter().map(IpAddr::to_string).collect();
        let network = place.network.as_ref().map_or("an unknown network", |network| network.name.as_str());
        format!("{} on {network}", addresses.join(", "))
    });
    match at.collect::<Vec<_>>().join("; ") {
        _ if place.on_host => format!("{} (in host mode: seen at its sockets)", container.name),
        at if at.is_empty() => format!("{} (no interface of it is watched)", container.name),
        at => format!("{} ({at})", container.name),
    }
}

fn wanted(answer: &Answer) -> String {
    match (answer.asked.port, answer.asked.protocol) {
        (Some(port), _) => format!(", port {port}/{}", answer.asked.protocol().name()),
        (None, Some(protocol)) => format!(", {}", protocol.name()),
        (None, None) => String::new(),
    }
}

fn expected(answer: &Answer, frame: &Frame) -> Vec<Line> {
    let mut lines = vec![Line::of(Tone::Strong, "Expected")];
    if answer.ways.is_empty() {
        lines.extend(indented(
            Tone::Warning,
            INDENT,
            "nothing: there is no address by which it could be asked",
            frame,
        ));
    }
    for way in answer.ways.iter().take(MOST_WAYS) {
        lines.extend(indented(Tone::Plain, INDENT, &way_in_words(way), frame));
    }
    let more = answer.ways.len().saturating_sub(MOST_WAYS) + answer.more_ways;
    if more > 0 {
        lines.push(Line::of(Tone::Faint, format!("  and {}", plural(more as u64, "other way"))));
    }
    lines
}

/// `by 172.19.0.3 (back): denied by cross-network, it is not on network back`.
fn way_in_words(way: &Way) -> String {
    let network = |it: &Option<crate::snapshot::NetworkRef>| {
        it.as_ref().map_or_else(String::new, |network| format!(" ({})", network.name))
    };
    let by = match (way.published, way.address, way.port) {
        (Some(_), address, Some(port)) => {
            let at = address.map_or_else(String::new, |address| format!(" at {address}"));
            format!("by port {port} of the host{at}, which is published")
        }
        (_, Some(address), _) => format!("by {address}{}", network(&way.network)),
        (_, None, _) => "by any address".to_owned(),
    };
    let from = way.from.filter(|_| way.from_network != way.network && way.published.is_none());
    let from = from.map_or_else(String::new, |from| format!(" from {from}{}", network(&way.from_network)));
    match &way.decision {
        None => format!("{by}{from}: no rule says anything"),
        Some(decision) => {
            let word = match decision.expected {
                Expected::Allow => "allowed",
                Expected::Deny => "denied",
            };
            format!("{by}{from}: {word} by {}; {}", decision.rule.as_str(), decision.because)
        }
    }
}

fn seen(answer: &Answer, losses: &Losses, frame: &Frame) -> Vec<Line> {
    let mut heading =
        Line::of(Tone::Strong, format!("Seen in {}", duration(answer.until.since(answer.since))));
    if losses.is_empty() {
        heading.push(Tone::Faint, "  (nothing was missed)");
    } else {
        let names: Vec<String> = losses.iter().map(|(name, count)| format!("{name} {count}")).collect();
        heading.push(Tone::Warning, format!("  (something may have been missed: {})", names.join(", ")));
    }
    let mut lines = vec![heading];
    let kinds = kinds(answer);
    for stopped in answer.stopped.iter().take(MOST_KINDS) {
        lines.extend(indented(Tone::Strong, INDENT, &dropped(stopped, frame), frame));
    }
    if kinds.is_empty() && answer.stopped.is_empty() {
        lines.extend(indented(Tone::Plain, INDENT, "nothing between the two", frame));
    }
    for (place, kind) in kinds.iter().take(MOST_KINDS).enumerate() {
        lines.extend(one_kind(kind, frame));
        if place < EXPLAINED {
            lines.extend(indented(Tone::Plain, DEEPER, &kind.latest.course, frame));
        }
        if place == 0 {
            lines.extend(evidence(kind.latest, frame));
        }
    }
    let listed: u64 = kinds.iter().take(MOST_KINDS).map(|kind| kind.count).sum();
    let more = (answer.conversations.len() as u64 + answer.more).saturating_sub(listed);
    if more > 0 {
        lines.push(Line::of(Tone::Faint, format!("  and {}", plural(more, "other conversation"))));
    }
    lines
}

/// `dropped: 192.0.2.7 → 172.18.0.2:80 over tcp, 3 packets at br-1 (NETFILTER_DROP) at 13:41:43.900`.
fn dropped(stopped: &Stopped, frame: &Frame) -> String {
    format!(
        "dropped: {} → {} over {}, {} at {} ({}), the last at {}",
        stopped.source,
        address_and_port(stopped.destination, stopped.port),
        stopped.protocol.name(),
        plural(stopped.packets, "packet"),
        stopped.at,
        stopped.reason,
        frame.clock.time_of_day(stopped.last_seen)
    )
}

/// Conversations that went alike.
struct Kind<'a> {
    latest: &'a Conversation,
    count: u64,
    packets: u64,
}

fn kinds(answer: &Answer) -> Vec<Kind<'_>> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for seen in &answer.conversations {
        let alike = kinds.iter_mut().find(|kind| {
            let what = |it: &Conversation| {
                (it.heading, it.protocol, it.destination.address, it.destination.port, it.outcome, it.refused)
            };
            what(kind.latest) == what(seen)
        });
        match alike {
            Some(kind) => {
                kind.count += 1;
                kind.packets += seen.sent.packets;
            }
            None => kinds.push(Kind { latest: seen, count: 1, packets: seen.sent.packets }),
        }
    }
    kinds
}

fn one_kind(kind: &Kind<'_>, frame: &Frame) -> Vec<Line> {
    let Kind { latest, count, packets } = kind;
    let outcome = if latest.refused { "refused" } else { latest.outcome.name() };
    let back = if latest.heading == Heading::Backward { " (the other way round)" } else { "" };
    let mut text = format!(
        "{outcome}: {} → {} over {}{back}, {}",
        names::end(&latest.source),
        address_and_port(latest.destination.address, latest.destination.port),
        latest.protocol.name(),
        plural(*packets, "packet"),
    );
    if *count > 1 {
        text += &format!(" in {}, the last", plural(*count, "conversation"));
    }
    text += &format!(" at {}", frame.clock.time_of_day(latest.last_seen));
    indented(Tone::Strong, INDENT, &text, frame)
}

fn evidence(seen: &Conversation, frame: &Frame) -> Vec<Line> {
    let translated = seen.translated.iter().map(translation);
    let hooks = seen.evidence.iter().map(|evidence| format!("{}: {}", evidence.at, evidence.saw));
    translated.chain(hooks).flat_map(|text| indented(Tone::Faint, DEEPER, &text, frame)).collect()
}

/// `the host translates it: published-port, 10.1.1.1:8080 is 172.18.0.3:80 (conntrack)`.
fn translation(translated: &Translated) -> String {
    let Translated { kind, original, reply, evidence } = translated;
    let port = |port: u16| (port > 0).then_some(port);
    let Some(original) = original else { return format!("the host translates it ({evidence})") };
    let asked = address_and_port(original.destination, port(original.ports.1));
    match reply {
        None => format!("{asked} is a published port that the host's proxy serves ({evidence})"),
        Some(reply) if *kind == "masquerade" => {
            format!("the host translates it: {} shows as {} ({evidence})", original.source, reply.destination)
        }
        Some(reply) => {
            let real = address_and_port(reply.source, port(reply.ports.0));
            format!("the host translates it: {kind}, {asked} is {real} ({evidence})")
        }
    }
}

/// `172.18.0.3:80`: the address that was used, whoever has it.
fn address_and_port(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// A command with what it shows; one that is too long is continued as a shell reads it, not cut.
fn command(look: &Look, frame: &Frame) -> Vec<Line> {
    let shows = format!("  # {}", SafeText::new(&look.shows));
    let columns = frame.width.saturating_sub(INDENT).max(1);
    if width(&look.command) + width(&shows) <= columns {
        let mut line = Line::of(Tone::Plain, " ".repeat(INDENT));
        line.push(Tone::Plain, &look.command);
        line.push(Tone::Faint, shows);
        return vec![line];
    }
    let parts = wrap(&look.command, columns.saturating_sub(2));
    let last = parts.len().saturating_sub(1);
    let parts = parts.iter().enumerate().map(|(place, part)| {
        let end = if place < last { " \\" } else { "" };
        Line::of(Tone::Plain, format!("{}{part}{end}", " ".repeat(INDENT)))
    });
    parts.collect()
}

fn indented(tone: Tone, indent: usize, text: &str, frame: &Frame) -> Vec<Line> {
    let lines = wrap(text, frame.width.saturating_sub(indent).max(1));
    let draw = |text: String| Line::of(tone, format!("{}{text}", " ".repeat(indent)));
    lines.into_iter().map(draw).collect()
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
