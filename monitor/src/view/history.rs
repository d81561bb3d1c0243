//! The tables of a look back: containers, the course of one of them, and names.

use super::failures::went_no_further;
use super::header::past;
use super::names;
use super::page::{nothing, page};
use super::style::{Frame, Line, Tone, wrap};
use super::table::Column;
use super::units::{bytes, count, duration, exact, plural};
use crate::model::{DnsOutcome, Protocol, SafeText};
use crate::snapshot::{Connections, ContainerSpan, NameSpan, Others, PairRow, Past, Point, Traced};
use crate::wire::wall_time_of_day;

/// Pairs that are followed hook by hook.
const MOST_TRACED: usize = 6;
/// Columns before what was seen of one.
const INDENT: usize = 2;
/// What is told of a container, in each table.
const COUNTED: [Column; 10] = [
    Column::number("SENT", 8, 0),
    Column::number("RECEIVED", 8, 0),
    Column::number("PKT SENT", 8, 9),
    Column::number("PKT RCVD", 8, 8),
    Column::number("OPENED", 7, 3),
    Column::number("FAILED", 6, 1),
    Column::number("ACCEPTED", 8, 4),
    Column::number("FAILED", 6, 2),
    Column::number("DROPPED", 7, 6),
    Column::number("NOT FOUND", 9, 5),
];

const BETWEEN: [Column; 12] = [
    Column::name("CLIENT", 14, 40, 0),
    Column::name("SERVER", 18, 46, 0),
    Column::name("PROTO", 5, 10, 5),
    Column::number("SENT", 8, 3),
    Column::number("RECEIVED", 8, 4),
    Column::number("OPENED", 6, 0),
    Column::number("ANSWERED", 8, 1),
    Column::number("REFUSED", 7, 0),
    Column::number("RESET", 5, 2),
    Column::number("p50", 7, 8),
    Column::number("MAX", 7, 7),
    Column::name("VERDICT", 10, 17, 6),
];

const NAMES: [Column; 10] = [
    Column::name("CONTAINER", 14, 40, 0),
    Column::name("NAME", 16, 60, 0),
    Column::name("TYPE", 5, 8, 5),
    Column::number("ASKED", 6, 0),
    Column::number("NXDOMAIN", 8, 1),
    Column::number("SERVFAIL", 8, 2),
    Column::number("OTHER", 6, 4),
    Column::number("NONE", 6, 3),
    Column::number("p50", 7, 7),
    Column::number("MAX", 7, 6),
];

/// Draws what each container did, the busiest first.
#[must_use]
pub fn past_containers(past: &Past, frame: &Frame) -> Vec<Line> {
    let columns =
        [&[Column::name("CONTAINER", 20, 40, 0), Column::name("SERVICE", 10, 24, 7)][..], &COUNTED].concat();
    let sees_drops = past.sees_drops();
    let cells = |row: &ContainerSpan| {
        let who = [row.container.name.to_string(), names::or_dash(row.container.service.as_ref())];
        who.into_iter().chain(counted(row, sees_drops)).collect()
    };
    let cells: Vec<Vec<String>> = past.containers.iter().map(cells).collect();
    let told = |place: usize| past.containers.get(place).map(went_wrong).unwrap_or_default();
    page(&past.snapshot, frame, &columns, &cells, "nothing was counted", told)
}

/// Draws the course of one, a line for each part of the time.
#[must_use]
pub fn course(past: &Past, name: &str, frame: &Frame) -> Vec<Line> {
    let columns = [
        &[Column::name("FROM (UTC)", 10, 10, 0), Column::number("FOR", 6, 10)][..],
        &COUNTED,
        &[Column::name("FINDINGS", 10, 40, 0)],
    ]
    .concat();
    let sees_drops = past.sees_drops();
    let cells = |point: &Point| {
        let when = [wall_time_of_day(point.start), duration(point.length)];
        when.into_iter().chain(counted(&point.span, sees_drops)).chain([findings(point)]).collect()
    };
    let cells: Vec<Vec<String>> = past.points.iter().map(cells).collect();
    let told = |place: usize| past.points.get(place).map(|point| went_wrong(&point.span)).unwrap_or_default();
    let mut lines = page(&past.snapshot, frame, &columns, &cells, "nothing was counted", told);
    if let Some(first) = lines.first_mut() {
        first.push(Tone::Strong, format!("  {}", SafeText::new(name)));
    }
    lines
}

/// Draws names that were asked for, those that failed most first.
#[must_use]
pub fn past_names<'a>(past: &Past, wanted: impl Iterator<Item = &'a NameSpan>, frame: &Frame) -> Vec<Line> {
    let cells = |row: &NameSpan| {
        let took = row.took.percentiles();
        let of = |outcome| count(row.outcomes.of(outcome));
        let other = row.outcomes.of(DnsOutcome::Refused) + row.outcomes.of(DnsOutcome::Other);
        let mark = if row.forwarded { "↳ " } else { "" };
        vec![
            row.container.name.to_string(),
            format!("{mark}{}", row.name),
            row.record_type.to_string(),
            count(row.outcomes.sum()),
            of(DnsOutcome::NoSuchName),
            of(DnsOutcome::ServerFailed),
            count(other),
            of(DnsOutcome::None),
            took.map_or_else(|| "-".to_owned(), |took| duration(took.p50)),
            took.map_or_else(|| "-".to_owned(), |took| duration(took.max)),
        ]
    };
    let cells: Vec<Vec<String>> = wanted.map(cells).collect();
    page(&past.snapshot, frame, &NAMES, &cells, "no name was asked for", nothing)
}

/// Draws what was between two ends; findings may follow.
#[must_use]
pub fn past_between(past: &Past, pairs: Vec<&PairRow>, frame: &Frame) -> Vec<Line> {
    let cells = |row: &PairRow| {
        let (answers, is_tcp) = (row.answers, row.protocol == Protocol::TCP);
        let of_tcp = |number: u64| if is_tcp { count(number) } else { "-".to_owned() };
        let took = row.handshake;
        let verdict = row.verdict.as_ref().map(|verdict| verdict.outcome.name().to_owned());
        vec![
            names::end(&row.client),
            names::end_and_port(&row.server),
            row.protocol.name().into_owned(),
            bytes(row.traffic.sent.bytes),
            bytes(row.traffic.received.bytes),
            count(row.conversations),
            of_tcp(answers.answered),
            of_tcp(answers.refused),
            of_tcp(answers.reset),
            took.map_or_else(|| "-".to_owned(), |took| duration(took.p50)),
            took.map_or_else(|| "-".to_owned(), |took| duration(took.max)),
            verdict.unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let cells: Vec<Vec<String>> = pairs.iter().copied().map(cells).collect();
    let mut lines = page(&past.snapshot, frame, &BETWEEN, &cells, "nothing was seen between them", nothing);
    lines.extend(pairs.iter().take(MOST_TRACED).flat_map(|pair| traced(pair, past, frame)));
    let more = pairs.len().saturating_sub(MOST_TRACED) as u64;
    if more > 0 {
        lines.push(Line::of(Tone::Faint, format!("and {} that are not followed here", plural(more, "pair"))));
    }
    lines
}

/// How far the conversations of a pair came, hook by hook.
fn traced(pair: &PairRow, past: &Past, frame: &Frame) -> Vec<Line> {
    let Traced { evidence, course } = Traced::of(pair, &past.snapshot.findings, past.told.start.kernel);
    let (client, server) = (names::end(&pair.client), names::end_and_port(&pair.server));
    let heading = format!("{client} → {server} over {}", pair.protocol.name());
    let texts = [(Tone::Strong, 0, heading), (Tone::Plain, INDENT, course)].into_iter();
    let seen = evidence.iter().map(|one| (Tone::Faint, INDENT, format!("{}: {}", one.at, one.saw)));
    let lines = texts.chain(seen).flat_map(|(tone, indent, text)| {
        let lines = wrap(&text, frame.width.saturating_sub(indent).max(1));
        lines.into_iter().map(move |text| Line::of(tone, format!("{}{text}", " ".repeat(indent))))
    });
    std::iter::once(Line::default()).chain(lines).collect()
}

/// What a look back leaves out, if it does.
#[must_use]
pub fn left_out(others: &Others) -> Option<String> {
    let Others { pairs, counts, services, handshakes, names, networks, reach, findings, standing, .. } =
        others;
    let traffic = counts.traffic.sent.bytes.saturating_add(counts.traffic.received.bytes);
    let failed = match counts.failed() {
        0 => String::new(),
        failed => format!(", {} failed", exact(failed)),
    };
    let parts = [
        (*pairs, format!("{} ({}{failed})", plural(*pairs, "pair"), bytes(traffic))),
        (
            *services,
            format!(
                "latency of {} of services ({})",
                plural(*services, "pair"),
                plural(*handshakes, "handshake")
            ),
        ),
        (*names, plural(*names, "name")),
        (*networks, format!("{} ({})", plural(*networks, "network"), bytes(reach.bytes()))),
        (*findings, plural(*findings, "finding")),
        (*standing, plural(*standing, "finding of the configuration")),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| format!("not told one by one, for want of room: {}", parts.join(", ")))
}

/// The time that is told of, for a line above what has no table.
#[must_use]
pub fn past_heading(told: &Past, frame: &Frame) -> Vec<Line> {
    past(&told.snapshot, frame)
}

fn counted(span: &ContainerSpan, sees_drops: bool) -> [String; 10] {
    let failed = |of: &Connections| count(of.answers.refused + of.answers.reset);
    let (sent, received) = (span.traffic.sent, span.traffic.received);
    [
        bytes(sent.bytes),
        bytes(received.bytes),
        count(sent.packets),
        count(received.packets),
        count(span.asked.opened),
        failed(&span.asked),
        count(span.served.opened),
        failed(&span.served),
        if sees_drops { count(span.dropped) } else { "-".to_owned() },
        count(span.names_failed()),
    ]
}

/// What is told of a container's connections beside its figures.
fn went_wrong(span: &ContainerSpan) -> Vec<Line> {
    let of = [("opened: ", span.asked), ("accepted: ", span.served)];
    of.into_iter().flat_map(|(whose, connections)| went_no_further(whose, connections.answers)).collect()
}

/// `2 violations, 1 crossing`.
fn findings(point: &Point) -> String {
    let [violations, broken, crossings] = point.findings;
    let all = [
        (violations, plural(violations, "violation")),
        (broken, format!("{} broken", exact(broken))),
        (crossings, plural(crossings, "crossing")),
    ];
    let all: Vec<String> = all.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    all.join(", ")
}
