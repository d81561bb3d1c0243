//! The table of `failures`: what fails between services.

use super::names::end;
use super::page::page;
use super::style::{Frame, Line, Tone};
use super::table::Column;
use super::units::count;
use crate::model::Protocol;
use crate::snapshot::{Answers, FailureRow, IcmpRow, Snapshot, ZeroWindows};

/// Kinds of errors of a row that are shown.
const MOST: usize = 8;

const COLUMNS: [Column; 10] = [
    Column::name("CLIENT", 14, 40, 0),
    Column::name("SERVER", 18, 46, 0),
    Column::number("CONNS", 6, 1),
    Column::number("REFUSED", 7, 0),
    Column::number("NO ANSWER", 9, 0),
    Column::number("RST CLIENT", 10, 2),
    Column::number("RST SERVER", 10, 2),
    Column::number("RE-SENT CLIENT", 14, 3),
    Column::number("RE-SENT SERVER", 14, 3),
    Column::name("", 12, 12, 4),
];

/// Draws the rows that are wanted.
#[must_use]
pub fn failures(snapshot: &Snapshot, wanted: &[FailureRow], frame: &Frame) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted.iter().map(cells).collect();
    let told = |place: usize| wanted.get(place).map(told).unwrap_or_default();
    page(snapshot, frame, &COLUMNS, &cells, "nothing was seen to fail", told)
}

fn cells(row: &FailureRow) -> Vec<String> {
    let is_tcp = row.protocol == Protocol::TCP;
    let server = match row.port {
        Some(port) => format!("{}:{port}", row.server),
        None => row.server.to_string(),
    };
    let server = if is_tcp { server } else { format!("{server}/{}", row.protocol.name()) };
    let seen = |segments: Option<u64>| segments.map_or_else(|| "-".to_owned(), count);
    let of_tcp = |figure| seen(Some(figure).filter(|_| is_tcp));
    vec![
        row.client.to_string(),
        server,
        of_tcp(row.connections),
        of_tcp(row.answers.refused),
        of_tcp(row.unanswered()),
        of_tcp(row.answers.reset_by_client),
        of_tcp(row.answers.reset_by_server),
        seen(row.sent_again_by_client),
        seen(row.sent_again_by_server),
        row.word().to_owned(),
    ]
}

/// What is told of a row beside its figures, each on a line of its own.
fn told(row: &FailureRow) -> Vec<Line> {
    let ZeroWindows { by_client, by_server } = row.zero_windows;
    let mut said = those_that_are([
        (by_client, "segments of the client with a window of 0: it has no room"),
        (by_server, "segments of the server with a window of 0: it has no room"),
    ]);
    said.extend(row.icmp.iter().filter_map(disobeyed).take(MOST));
    said.extend(row.icmp.iter().take(MOST).map(error));
    let others = row.icmp.iter().skip(MOST).map(|row| row.packets).fold(row.icmp_others, u64::saturating_add);
    if others > 0 {
        said.push(format!("{} more ICMP errors of other kinds", count(others)));
    }
    went_no_further("", row.answers).into_iter().chain(lines(&said)).collect()
}

/// What is told of connections that were answered and went no further, each on a line of its own that begins with `whose`.
pub(super) fn went_no_further(whose: &str, answers: Answers) -> Vec<Line> {
    let Answers { half_open, silent_client, silent_server, .. } = answers;
    let said = those_that_are([
        (half_open, "half-open: answered, and the client acknowledged nothing"),
        (silent_client, "on which the client went silent while the server sent on"),
        (silent_server, "on which the server went silent while the client sent on"),
    ]);
    let said: Vec<String> = said.iter().map(|text| format!("{whose}{text}")).collect();
    lines(&said).collect()
}

/// Figures that are not 0, with what they are.
fn those_that_are<const N: usize>(figures: [(u64, &str); N]) -> Vec<String> {
    let said = figures.into_iter().filter(|(figure, _)| *figure > 0);
    said.map(|(figure, what)| format!("{} {what}", count(figure))).collect()
}

fn lines(said: &[String]) -> impl Iterator<Item = Line> {
    said.iter().map(|text| Line::of(Tone::Faint, format!("  {text}")))
}

/// One kind of errors; who sent it comes last, since that may be long.
pub(crate) fn error(row: &IcmpRow) -> String {
    let mut text = format!("ICMP {} to the {}: {}", row.kind.reason(), whose(row), count(row.packets));
    if row.kind.is_too_big() {
        let mtu = row.mtu.map_or_else(|| "not told".to_owned(), |mtu| mtu.to_string());
        text += &format!(", MTU {mtu}, up to {} bytes", row.largest);
    }
    text + &format!(", by {}", end(&row.sender))
}

/// That an MTU was not obeyed.
fn disobeyed(row: &IcmpRow) -> Option<String> {
    let mtu = row.mtu.filter(|_| row.again > 0)?;
    let (whose, again) = (whose(row), count(row.again));
    Some(format!("wrong MTU: the {whose} was told {mtu} and later sent {again} that are bigger"))
}

const fn whose(row: &IcmpRow) -> &'static str {
    if row.of_client { "client" } else { "server" }
}
