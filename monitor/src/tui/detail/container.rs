//! A container: what Docker tells of it, where it is connected, what it serves, and with whom it talks.

use super::handshake::handshake;
use super::paper::Paper;
use super::past::past;
use super::words;
use super::{listed, talk};
use crate::model::Details;
use crate::snapshot::{ContainerRow, Conversations, Membership, Snapshot};
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::view::units::{bytes, exact, plural};
use std::collections::BTreeMap;

/// A container.
pub(super) fn container(row: &ContainerRow, board: &Board, context: &Context<'_>, width: usize) -> Vec<Line> {
    let snapshot = board.latest();
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, row.container.name.as_str());
    if context.past.is_some() {
        paper.says(Tone::Faint, words::OF_NOW);
    }
    state(&mut paper, row);
    allowed(&mut paper, row.details.as_deref());
    networks(&mut paper, row);
    traffic(&mut paper, row, board, context);
    past(&mut paper, board.course(&row.container.id), context);
    serves(&mut paper, row, snapshot);
    talk::peers(&mut paper, row, snapshot);
    // Of a time that is over pairs have it.
    if context.past.is_none() {
        handshake(&mut paper, row.handshake.as_ref(), "that it opened");
    }
    listed::findings(&mut paper, snapshot, &row.container);
    listed::flows(&mut paper, board, &row.container, context);
    labels(&mut paper, row.details.as_deref());
    paper.lines()
}

fn state(paper: &mut Paper, row: &ContainerRow) {
    let details = row.details.as_deref();
    paper.field("state", &format!("{:?}", row.state).to_lowercase());
    match details.map(|details| details.health.as_ref()) {
        None => paper.toned(Tone::Faint, "health", words::NOT_TOLD),
        Some(None) => paper.toned(Tone::Faint, "health", "it has no health check"),
        Some(Some(health)) => {
            let tone = match health.as_str() {
                "healthy" => Tone::Good,
                "unhealthy" => Tone::Critical,
                _ => Tone::Warning,
            };
            paper.toned(tone, "health", health.as_str());
        }
    }
    match row.started_at {
        Some(at) => paper.field("started", &crate::wire::wall_date_and_time(at)),
        None => paper.toned(Tone::Faint, "started", words::NOT_TOLD),
    }
    let policy = details.and_then(|details| details.restart_policy.as_ref());
    let policy = policy.map_or_else(String::new, |policy| format!(" (policy {policy})"));
    match details.and_then(|details| details.restarts) {
        Some(0) => paper.field("restarts", &format!("none{policy}")),
        Some(count) => paper.toned(Tone::Warning, "restarts", &format!("{}{policy}", exact(count))),
        None => paper.toned(Tone::Faint, "restarts", &format!("{}{policy}", words::NOT_TOLD)),
    }
    let container = &row.container;
    told(paper, "image", container.image.as_ref());
    told(paper, "command", details.and_then(|details| details.command.as_ref()));
    match (&container.service, &container.project) {
        (None, None) => paper.toned(Tone::Faint, "service", "it is of no Compose project"),
        (service, project) => {
            let name = |name: Option<&crate::model::SafeText>| crate::view::names::or_dash(name);
            let text = format!("{} of project {}", name(service.as_ref()), name(project.as_ref()));
            paper.field("service", &text);
        }
    }
    paper.field("id", container.id.as_str());
    if let Some(reason) = row.unwatched_reason.as_deref().filter(|_| !row.watched) {
        let reason = crate::model::SafeText::new(reason);
        paper.toned(Tone::Warning, "not watched", reason.as_str());
    }
}

fn told(paper: &mut Paper, label: &str, value: Option<&crate::model::SafeText>) {
    let tone = if value.is_some() { Tone::Plain } else { Tone::Faint };
    paper.toned(tone, label, words::told(value));
}

/// What it may do and use.
fn allowed(paper: &mut Paper, details: Option<&Details>) {
    paper.heading("Limits and rights");
    let Some(details) = details else {
        paper.says(Tone::Faint, words::NOT_TOLD);
        return;
    };
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
    paper.field("memory", &limit(details.memory_limit.map(bytes)));
    paper.field("processors", &limit(details.nano_cpus.map(processors)));
    paper.field("processes", &limit(details.pids_limit.map(exact)));
    if details.privileged {
        paper.toned(Tone::Critical, "privileged", "yes: it may do all that the host's root may");
    }
    let names = |names: &[crate::model::SafeText]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if details.capabilities_added.is_empty() {
        paper.field("capabilities", "none beyond Docker's usual ones");
    } else {
        paper.toned(Tone::Warning, "capabilities", &format!("also {}", names(&details.capabilities_added)));
    }
    if !details.capabilities_dropped.is_empty() {
        paper.field("", &format!("without {}", names(&details.capabilities_dropped)));
    }
}

/// Billionths of a processor: `1.50`.
fn processors(billionths: u64) -> String {
    format!("{}.{:02}", billionths / 1_000_000_000, billionths / 10_000_000 % 100)
}

fn networks(paper: &mut Paper, row: &ContainerRow) {
    paper.heading("Networks");
    if row.memberships.is_empty() {
        paper.says(Tone::Faint, "none of its own");
    }
    for membership in &row.memberships {
        paper.field(membership.network.name.as_str(), &place(membership));
    }
    if !row.container.shares_namespace_with.is_empty() {
        let names = row.container.shares_namespace_with.iter().map(ToString::to_string);
        paper.field("shared with", &names.collect::<Vec<_>>().join(", "));
    }
}

/// `172.18.0.2, 02:42:ac:12:00:02, at veth1a2b3c4 (41), bridge`.
fn place(membership: &Membership) -> String {
    let mut parts: Vec<String> = membership.addresses.iter().map(ToString::to_string).collect();
    if parts.is_empty() {
        parts.push("no address".to_owned());
    }
    parts.extend(membership.mac.map(|mac| mac.to_string()));
    parts.push(match &membership.interface {
        Some((name, 0)) => format!("at the {name}"),
        Some((name, ifindex)) => format!("at {name} ({ifindex})"),
        None => "not watched".to_owned(),
    });
    parts.push(membership.network.driver.name().to_owned());
    parts.join(", ")
}

fn traffic(paper: &mut Paper, row: &ContainerRow, board: &Board, context: &Context<'_>) {
    paper.heading("Traffic");
    if !row.watched {
        paper.says(Tone::Faint, "not measured: nothing of it is watched");
        return;
    }
    words::rate(paper, &board.container(&row.container.id), context);
    paper.field("sent", &words::counts(row.totals.sent));
    paper.field("received", &words::counts(row.totals.received));
    let tone = |count: u64| if count > 0 { Tone::Warning } else { Tone::Plain };
    if context.past.is_none() {
        in_all(paper, row);
    } else {
        let Conversations { opened, accepted, .. } = row.conversations;
        paper.field("connections", &format!("{} opened, {} accepted", exact(opened), exact(accepted)));
    }
    match board.latest().missing.contains_key("drops") {
        true => paper.toned(Tone::Faint, "dropped", "not known: drops are not seen here"),
        false => {
            let dropped = format!("{} by the kernel", plural(row.dropped, "packet"));
            paper.toned(tone(row.dropped), "dropped", &dropped);
        }
    }
    // What was missed is known since the watch began.
    if context.past.is_some() {
        return;
    }
    let missed = row.not_recorded.packets;
    paper.toned(tone(missed), "in no flow", &plural(missed, "packet"));
    match row.unaccounted_bytes {
        Some(difference) => paper.toned(tone(difference), "unaccounted", &plural(difference, "byte")),
        None => paper.toned(Tone::Faint, "unaccounted", "not compared with the device yet"),
    }
}

/// What crossed before it was watched, and its conversations since.
fn in_all(paper: &mut Paper, row: &ContainerRow) {
    let before = row.before_watch.sent + row.before_watch.received;
    let text = format!("{} in {} of the kernel", bytes(before.skb_bytes), plural(before.skbs, "buffer"));
    if row.is_at_group() {
        paper.toned(Tone::Faint, "before", "not known; its sockets are watched, without Ethernet headers");
    } else {
        paper.field("before", &format!("{text}, before it was watched"));
    }
    let talk = row.conversations;
    paper.field(
        "conversations",
        &format!(
            "{} alive, {} opened, {} accepted",
            exact(talk.alive),
            exact(talk.opened),
            exact(talk.accepted)
        ),
    );
}

/// Ports that others ask it for, and those it publishes.
fn serves(paper: &mut Paper, row: &ContainerRow, snapshot: &Snapshot) {
    paper.heading("Serves");
    match row.details.as_deref().map(|details| &details.published) {
        None => paper.toned(Tone::Faint, "published", words::NOT_TOLD),
        Some(published) if published.is_empty() => paper.toned(Tone::Faint, "published", "no port"),
        Some(published) => {
            for (address, outer, inner, protocol) in published {
                let at = words::address_and_port(*address, Some(*outer));
                paper
                    .field("published", &format!("{at} → {inner}/{}", crate::model::SafeText::new(protocol)));
            }
        }
    }
    let mut asked: BTreeMap<(u16, u8), (u64, u64)> = BTreeMap::new();
    for pair in snapshot.pairs.iter().filter(|pair| words::is_of(&pair.server, &row.container)) {
        let Some(port) = pair.server.port else { continue };
        let (clients, conversations) = asked.entry((port, pair.protocol.0)).or_default();
        *clients += 1;
        *conversations += pair.conversations;
    }
    if asked.is_empty() {
        paper.toned(Tone::Faint, "asked for", "nothing was seen");
    }
    for ((port, protocol), (clients, conversations)) in asked.iter().take(listed::MOST) {
        let protocol = crate::model::Protocol(*protocol);
        let service = crate::tui::board::service(protocol, *port);
        let service = service.map_or_else(String::new, |service| format!(" {service}"));
        paper.field(
            "asked for",
            &format!(
                "{port}/{}{service}: {} by {}",
                protocol.name(),
                plural(*conversations, "conversation"),
                plural(*clients, "client")
            ),
        );
    }
    listed::more(paper, asked.len());
}

fn labels(paper: &mut Paper, details: Option<&Details>) {
    paper.heading("Labels");
    match details.map(|details| &details.labels) {
        None => paper.says(Tone::Faint, words::NOT_TOLD),
        Some(labels) if labels.is_empty() => paper.says(Tone::Faint, "none"),
        Some(labels) => {
            labels.iter().for_each(|(name, value)| paper.says(Tone::Plain, &format!("{name} = {value}")));
        }
    }
}
