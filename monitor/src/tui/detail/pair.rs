//! Two ends and what they talk about.

use super::handshake::{handshake, where_it_went};
use super::paper::Paper;
use super::{listed, talk, words};
use crate::model::Protocol;
use crate::snapshot::{Answers, ByHand, End, Finding, PairRow, Retransmits, Snapshot, ZeroWindows};
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::tui::subject::{EndKey, PairKey};
use crate::view::icmp_error;
use crate::view::units::exact;

/// A pair.
pub(super) fn pair(pair: &PairRow, board: &Board, context: &Context<'_>, width: usize) -> Vec<Line> {
    let snapshot = board.latest();
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, &talk::pair(pair));
    paper.heading("Ends");
    paper.field("client", &words::end(&pair.client));
    paper.field("server", &words::end(&pair.server));
    let service = pair.server.port.and_then(|port| crate::tui::board::service(pair.protocol, port));
    if let Some(service) = service {
        paper.field("service", &format!("the port is usually {service}'s"));
    }
    match &pair.network {
        Some(network) => paper.field("network", &words::network(network)),
        None => paper.toned(Tone::Faint, "network", "not known"),
    }
    match &pair.verdict {
        Some(verdict) => {
            let (tone, text) = words::verdict(verdict);
            paper.toned(tone, "verdict", &format!("{text} (the latest)"));
        }
        None => paper.toned(Tone::Faint, "verdict", "no rule says anything"),
    }
    paper.heading("Traffic, as the client sees it");
    words::rate(&mut paper, &board.pair(&PairKey::of(pair)), context);
    paper.field("sent", &words::counts(pair.traffic.sent));
    paper.field("received", &words::counts(pair.traffic.received));
    paper.field("conversations", &format!("{} opened", exact(pair.conversations)));
    if pair.protocol == Protocol::TCP {
        how_it_went(&mut paper, pair);
    }
    icmp_errors(&mut paper, pair);
    paper.field("last seen", &words::moment(pair.last_seen, context));
    handshake(&mut paper, pair.handshake.as_ref(), "between them");
    where_it_went(&mut paper, pair, snapshot);
    findings(&mut paper, pair, snapshot);
    paper.looks(&by_hand(pair, snapshot).looks());
    paper.lines()
}

/// How TCP connections went.
pub(super) fn how_it_went(paper: &mut Paper, pair: &PairRow) {
    let Answers { answered, refused, reset, reset_by_client, reset_by_server, .. } = pair.answers;
    let [answered, refused, reset] = [answered, refused, reset].map(exact);
    paper.field("of these", &format!("{answered} answered, {refused} refused, {reset} reset"));
    if pair.answers.reset > 0 {
        let [client, server] = [reset_by_client, reset_by_server].map(exact);
        paper.field("reset by", &format!("the client {client}, the server {server}"));
    }
    let Retransmits { by_client, by_server } = pair.retransmits;
    if by_client + by_server > 0 {
        let [client, server] = [by_client, by_server].map(exact);
        paper.field("sent again", &format!("{client} segments by the client, {server} by the server"));
    }
    troubles(paper, pair);
}

/// What went wrong on connections that were answered.
fn troubles(paper: &mut Paper, pair: &PairRow) {
    let Answers { half_open, silent_client, silent_server, .. } = pair.answers;
    let ZeroWindows { by_client, by_server } = pair.zero_windows;
    if half_open > 0 {
        paper.field("half-open", &format!("{}: the client acknowledged nothing", exact(half_open)));
    }
    if silent_client + silent_server > 0 {
        let [client, server] = [silent_client, silent_server].map(exact);
        paper.field("went silent", &format!("the client {client}, the server {server}"));
    }
    if by_client + by_server > 0 {
        let [client, server] = [by_client, by_server].map(exact);
        paper.field("no room", &format!("{client} segments of the client, {server} of the server"));
    }
}

/// What ICMP told of its packets.
pub(super) fn icmp_errors(paper: &mut Paper, pair: &PairRow) {
    for row in &pair.icmp {
        if row.again > 0 {
            paper.toned(Tone::Warning, "wrong MTU", &icmp_error(row));
        } else {
            paper.field("ICMP error", &icmp_error(row));
        }
    }
}

/// What was found between its ends.
pub(super) fn findings(paper: &mut Paper, pair: &PairRow, snapshot: &Snapshot) {
    paper.heading("Findings");
    let is_same = |one: &End, other: &End| EndKey::of(one) == EndKey::of(other);
    let is_between = |finding: &&Finding| {
        let Finding { source, destination, .. } = finding;
        (is_same(source, &pair.client) && is_same(destination, &pair.server))
            || (is_same(source, &pair.server) && is_same(destination, &pair.client))
    };
    let found: Vec<&Finding> = snapshot.findings.iter().filter(is_between).collect();
    if found.is_empty() {
        paper.says(Tone::Faint, "none");
    }
    found.iter().take(listed::MOST).for_each(|finding| listed::finding(paper, finding));
    listed::more(paper, found.len());
}

/// Captures are at the interfaces by which both are on the pair's network.
fn by_hand<'a>(pair: &'a PairRow, snapshot: &'a Snapshot) -> ByHand<'a> {
    let interfaces = [&pair.client, &pair.server].into_iter().filter_map(|end| {
        let container = end.container.as_ref()?;
        let row = snapshot.containers.iter().find(|row| row.container.id == container.id)?;
        let here =
            row.memberships.iter().find(|membership| Some(&membership.network) == pair.network.as_ref())?;
        here.interface.as_ref().map(|(name, _)| name)
    });
    ByHand {
        source: &pair.client,
        destination: &pair.server,
        protocol: words::protocol(pair.protocol),
        port: pair.server.port,
        devices: interfaces.collect(),
        drop_reason: None,
        translated: None,
    }
}
