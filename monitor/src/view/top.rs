//! The screen of `top`: each container with its counts, rates and peers, and all that is not in them.

use super::footer::{footer, left_out};
use super::header::header;
use super::names;
use super::style::{Frame, Line, Tone, width};
use super::table::{Column, Layout};
use super::units::{bytes, count, per_second};
use crate::snapshot::{ContainerRow, Peer, Snapshot};
use std::time::Duration;

const COLUMNS: [Column; 11] = [
    Column::name("CONTAINER", 20, 40, 0),
    Column::name("SERVICE", 10, 24, 6),
    Column::name("PROJECT", 8, 20, 8),
    Column::name("NETWORK", 12, 32, 7),
    Column::number("SENT", 8, 0),
    Column::number("RECEIVED", 8, 0),
    Column::number("SENT/s", 8, 1),
    Column::number("RCVD/s", 8, 1),
    Column::number("PKT SENT", 8, 3),
    Column::number("PKT RCVD", 8, 3),
    Column::number("PKT/s", 7, 9),
];
const SERVICE: usize = 1;
const PROJECT: usize = 2;
const NETWORK: usize = 3;
/// Between two peers.
const GAP: &str = "   ";

/// Draws a snapshot. With a height, the least busy containers are left out so that the footer stays in sight.
#[must_use]
pub fn top(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let mut lines = header(snapshot, frame);
    lines.push(Line::default());
    let footer = footer(snapshot, frame);
    let watched: Vec<&ContainerRow> = snapshot.containers.iter().filter(|row| row.watched).collect();
    let room = frame.height.map(|rows| rows.saturating_sub(lines.len() + footer.len() + 2));
    lines.extend(table(&watched, snapshot, frame, room));
    lines.push(Line::default());
    lines.extend(footer);
    if let Some(height) = frame.height {
        lines.truncate(height);
    }
    lines
}

fn table(rows: &[&ContainerRow], snapshot: &Snapshot, frame: &Frame, room: Option<usize>) -> Vec<Line> {
    if rows.is_empty() {
        return vec![Line::of(Tone::Plain, "no container is watched")];
    }
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, snapshot.window)).collect();
    let layout = Layout::for_rows(&COLUMNS, &cells, frame.width);
    let mut lines = vec![layout.heading()];
    for (index, (row, cells)) in rows.iter().zip(&cells).enumerate() {
        let mut block = vec![layout.row(cells)];
        block.extend(details(row, &layout, snapshot.window, frame));
        let left = rows.len() - index;
        let needed = block.len() + usize::from(left > 1);
        if room.is_some_and(|room| lines.len() + needed > room) {
            lines.push(left_out(&rows[index..]));
            break;
        }
        lines.extend(block);
    }
    lines
}

fn cells(row: &ContainerRow, window: Duration) -> Vec<String> {
    let (sent, received) = (row.totals.sent, row.totals.received);
    let rate = |count: u64, text: fn(u64) -> String| per_second(count, window).map_or_else(dash, text);
    vec![
        row.container.name.to_string(),
        names::or_dash(row.container.service.as_ref()),
        names::or_dash(row.container.project.as_ref()),
        names::networks(row),
        bytes(sent.bytes),
        bytes(received.bytes),
        rate(row.window.sent.bytes, bytes),
        rate(row.window.received.bytes, bytes),
        count(sent.packets),
        count(received.packets),
        rate(row.window.sent.packets.saturating_add(row.window.received.packets), count),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

/// The lines below a container: what the table had no column for, and its busiest peers, as many as fit; one line
/// where both fit.
fn details(row: &ContainerRow, layout: &Layout<'_>, window: Duration, frame: &Frame) -> Vec<Line> {
    let place = place(row, layout);
    let mut line = Line::of(Tone::Faint, format!("  {place}"));
    let first =
        row.peers.first().map_or(0, |peer| GAP.len() + width(&names::peer(peer)) + rate(peer, window).len());
    let more = if row.peers.len() > 1 { GAP.len() + "+16 more".len() } else { 0 };
    let mut lines = Vec::new();
    if !place.is_empty() && line.width() + first + more > frame.width {
        lines.push(std::mem::replace(&mut line, Line::of(Tone::Faint, "  ")));
    }
    push_peers(&mut line, row, window, frame);
    lines.extend((line.width() > 2).then_some(line));
    lines
}

fn push_peers(line: &mut Line, row: &ContainerRow, window: Duration, frame: &Frame) {
    let mut shown = 0;
    for peer in &row.peers {
        let (name, rate) = (names::peer(peer), rate(peer, window));
        let gap = if line.width() > 2 { GAP } else { "" };
        let rest = row.peers.len() - shown - 1;
        let more = if rest > 0 { GAP.len() + format!("+{rest} more").len() } else { 0 };
        if shown > 0 && line.width() + gap.len() + width(&name) + rate.len() + more > frame.width {
            break;
        }
        line.push(Tone::Plain, format!("{gap}{name}"));
        line.push(Tone::Faint, rate);
        shown += 1;
    }
    if shown < row.peers.len() {
        line.push(Tone::Faint, format!("{GAP}+{} more", row.peers.len() - shown));
    }
}

/// Service, project and network, as far as the table has no column for them.
fn place(row: &ContainerRow, layout: &Layout<'_>) -> String {
    let container = &row.container;
    let service = container.service.as_ref().filter(|_| !layout.shows(SERVICE));
    let project = container.project.as_ref().filter(|_| !layout.shows(PROJECT));
    let of = match (project, service) {
        (Some(project), Some(service)) => format!("{project}/{service}"),
        (Some(one), None) | (None, Some(one)) => one.to_string(),
        (None, None) => String::new(),
    };
    let on = if layout.shows(NETWORK) { String::new() } else { names::networks(row) };
    match (of.is_empty(), on.is_empty()) {
        (false, false) => format!("{of} on {on}"),
        (true, false) => format!("on {on}"),
        (_, true) => of,
    }
}

/// Bytes a second with a peer, both ways; nothing while there is no window.
fn rate(peer: &Peer, window: Duration) -> String {
    let both = peer.window.sent.bytes.saturating_add(peer.window.received.bytes);
    per_second(both, window).map_or_else(String::new, |rate| format!(" {}/s", bytes(rate)))
}
