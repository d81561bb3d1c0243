//! The screen of `top`: each container with its counts, rates and peers, and all that is not in them.

use super::findings::worst;
use super::footer::{footer, left_out};
use super::header::header;
use super::names;
use super::peers::{least_width, push_peers};
use super::standing::posture;
use super::style::{Frame, Line, Tone, width};
use super::table::{Column, Layout};
use super::units::{bytes, count, per_second};
use crate::model::{SafeText, Traffic};
use crate::snapshot::{ContainerRow, Peer, Snapshot, UnattributedRow};
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

/// Draws a snapshot. With a height, the least busy containers are left out so that the footer stays in sight.
#[must_use]
pub fn top(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let mut lines = header(snapshot, frame);
    lines.extend(worst(snapshot, frame));
    lines.extend(posture(snapshot));
    lines.push(Line::default());
    let footer = footer(snapshot, frame);
    let room = frame.height.map(|rows| rows.saturating_sub(lines.len() + footer.len() + 2));
    lines.extend(table(&entries(snapshot), snapshot.window, frame, room));
    lines.push(Line::default());
    lines.extend(footer);
    if let Some(height) = frame.height {
        lines.truncate(height);
    }
    lines
}

/// One row: a container, or an interface whose container has no name (yet).
struct Entry<'a> {
    name: String,
    service: Option<&'a SafeText>,
    project: Option<&'a SafeText>,
    networks: Vec<&'a str>,
    totals: Traffic,
    window: Traffic,
    peers: &'a [Peer],
}

/// The containers that are watched, busiest first, then the interfaces without a name.
fn entries(snapshot: &Snapshot) -> Vec<Entry<'_>> {
    let containers = snapshot.containers.iter().filter(|row| row.watched).map(Entry::of_container);
    containers.chain(snapshot.unattributed.iter().map(Entry::of_interface)).collect()
}

impl<'a> Entry<'a> {
    fn of_container(row: &'a ContainerRow) -> Self {
        Self {
            name: row.container.name.to_string(),
            service: row.container.service.as_ref(),
            project: row.container.project.as_ref(),
            networks: names::networks(row),
            totals: row.totals,
            window: row.window,
            peers: &row.peers,
        }
    }

    fn of_interface(row: &'a UnattributedRow) -> Self {
        let network = row.network.as_ref();
        Self {
            name: names::interface(row),
            service: None,
            project: None,
            networks: network.map(|network| network.name.as_str()).into_iter().collect(),
            totals: row.totals,
            window: row.window,
            peers: &[],
        }
    }

    fn cells(&self, window: Duration) -> Vec<String> {
        let dash = || "-".to_owned();
        let rate = |count: u64, text: fn(u64) -> String| per_second(count, window).map_or_else(dash, text);
        let (sent, received) = (self.totals.sent, self.totals.received);
        vec![
            self.name.clone(),
            names::or_dash(self.service),
            names::or_dash(self.project),
            self.network_cell(),
            bytes(sent.bytes),
            bytes(received.bytes),
            rate(self.window.sent.bytes, bytes),
            rate(self.window.received.bytes, bytes),
            count(sent.packets),
            count(received.packets),
            rate(self.window.sent.packets.saturating_add(self.window.received.packets), count),
        ]
    }

    /// All its networks where they fit the column at its widest; else the first, and how many more.
    fn network_cell(&self) -> String {
        let all = self.networks.join(", ");
        match self.networks.as_slice() {
            [] => "-".to_owned(),
            [first, rest @ ..] if width(&all) > COLUMNS[NETWORK].most => format!("{first} +{}", rest.len()),
            _ => all,
        }
    }

    /// The lines below it: what the table had no column for, and its busiest peers; one line where both fit.
    fn details(&self, layout: &Layout<'_>, window: Duration, frame: &Frame) -> Vec<Line> {
        let place = self.place(layout);
        let mut line = Line::of(Tone::Faint, format!("  {place}"));
        let mut lines = Vec::new();
        if !place.is_empty() && line.width() + least_width(self.peers, window) > frame.width {
            lines.push(std::mem::replace(&mut line, Line::of(Tone::Faint, "  ")));
        }
        push_peers(&mut line, self.peers, window, frame);
        lines.extend((line.width() > 2).then_some(line));
        lines
    }

    /// Service, project and network, as far as the table has no column for them.
    fn place(&self, layout: &Layout<'_>) -> String {
        let service = self.service.filter(|_| !layout.shows(SERVICE));
        let project = self.project.filter(|_| !layout.shows(PROJECT));
        let of = match (project, service) {
            (Some(project), Some(service)) => format!("{project}/{service}"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => String::new(),
        };
        let on = if layout.shows(NETWORK) { String::new() } else { self.networks.join(", ") };
        match (of.is_empty(), on.is_empty()) {
            (false, false) => format!("{of} on {on}"),
            (true, false) => format!("on {on}"),
            (_, true) => of,
        }
    }
}

fn table(entries: &[Entry<'_>], window: Duration, frame: &Frame, room: Option<usize>) -> Vec<Line> {
    if entries.is_empty() {
        return vec![Line::of(Tone::Plain, "no container is watched")];
    }
    let cells: Vec<Vec<String>> = entries.iter().map(|entry| entry.cells(window)).collect();
    let layout = Layout::for_rows(&COLUMNS, &cells, frame.width);
    let mut lines = vec![layout.heading()];
    for (index, (entry, cells)) in entries.iter().zip(&cells).enumerate() {
        let mut block = vec![layout.row(cells)];
        block.extend(entry.details(&layout, window, frame));
        let left = entries.len() - index;
        let needed = block.len() + usize::from(left > 1);
        if room.is_some_and(|room| lines.len() + needed > room) {
            lines.push(left_out(left));
            break;
        }
        lines.extend(block);
    }
    lines
}
