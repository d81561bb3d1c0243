//! The table of `networks`: who is on each, and where its containers' traffic goes.

use super::page::{nothing, page};
use super::style::{Frame, Line, Tone, width};
use super::table::Column;
use super::units::{bytes, count, per_second, plural};
use crate::model::{Overlay, Traffic};
use crate::snapshot::{NetworkRow, Reach, Snapshot};

const COLUMNS: [Column; 12] = [
    Column::name("NETWORK", 12, 40, 0),
    Column::name("DRIVER", 6, 10, 8),
    Column::name("SUBNET", 13, 40, 7),
    Column::number("MEMBERS", 7, 5),
    Column::number("WATCHED", 7, 6),
    Column::number("INSIDE", 8, 0),
    Column::number("INSIDE/s", 8, 1),
    Column::number("HOST", 8, 2),
    Column::number("OUTSIDE", 8, 2),
    Column::number("NETWORKS", 8, 3),
    Column::number("OTHER", 8, 9),
    Column::number("CROSSINGS", 9, 1),
];

/// The columns of a time that is over: who was on a network then, and what of it was watched, is not kept.
const PAST: [Column; 8] = [
    Column::name("NETWORK", 12, 40, 0),
    Column::name("DRIVER", 6, 10, 7),
    Column::number("INSIDE", 8, 0),
    Column::number("HOST", 8, 2),
    Column::number("OUTSIDE", 8, 2),
    Column::number("NETWORKS", 8, 3),
    Column::number("OTHER", 8, 6),
    Column::number("CROSSINGS", 9, 1),
];

/// Draws where the traffic of networks went in a time that is over.
#[must_use]
pub fn past_networks<'a>(
    snapshot: &Snapshot,
    wanted: impl Iterator<Item = &'a NetworkRow>,
    frame: &Frame,
) -> Vec<Line> {
    let cells: Vec<Vec<String>> = wanted
        .map(|row| {
            let Reach { inside, host, outside, networks, other } = row.totals;
            let mut cells = vec![row.network.name.to_string(), row.network.driver.name().to_owned()];
            cells.push(bytes(inside.bytes));
            cells.extend([host, outside, networks, other].map(both));
            cells.push(count(row.crossings as u64));
            cells
        })
        .collect();
    page(snapshot, frame, &PAST, &cells, "nothing was counted on a network", nothing)
}

fn both(traffic: Traffic) -> String {
    bytes(traffic.sent.bytes.saturating_add(traffic.received.bytes))
}

/// Draws all networks, each followed by its members.
#[must_use]
pub fn networks(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let rows = &snapshot.networks;
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, snapshot)).collect();
    page(snapshot, frame, &COLUMNS, &cells, "no networks", |place| members(&rows[place], frame))
}

fn cells(row: &NetworkRow, snapshot: &Snapshot) -> Vec<String> {
    // What was not measured is not 0.
    let measured = |text: String| if row.is_measured() { text } else { "-".to_owned() };
    let rate = per_second(row.window.inside.bytes, snapshot.window).map_or_else(|| "-".to_owned(), bytes);
    let subnet = match row.subnets() {
        [] => "-".to_owned(),
        [(address, prefix)] => format!("{address}/{prefix}"),
        [(address, prefix), rest @ ..] => format!("{address}/{prefix} +{}", rest.len()),
    };
    vec![
        row.network.name.to_string(),
        row.network.driver.name().to_owned(),
        subnet,
        count(row.members.len() as u64),
        count(row.interfaces_watched as u64),
        measured(bytes(row.totals.inside.bytes)),
        measured(rate),
        measured(both(row.totals.host)),
        measured(both(row.totals.outside)),
        measured(both(row.totals.networks)),
        measured(both(row.totals.other)),
        count(row.crossings as u64),
    ]
}

/// Whether it has no way out, and what there is to an overlay network: `encrypted  VXLAN 4097  2 nodes  `.
fn kind(row: &NetworkRow) -> String {
    let mut words = Vec::new();
    if row.is_internal() {
        words.push("internal".to_owned());
    }
    if let Some(Overlay { vxlan_ids, encrypted, ingress, nodes }) = row.overlay() {
        words.extend(ingress.then(|| "ingress".to_owned()));
        words.extend(encrypted.then(|| "encrypted".to_owned()));
        words.extend(vxlan_ids.first().map(|id| format!("VXLAN {id}")));
        words.extend((!nodes.is_empty()).then(|| plural(nodes.len() as u64, "node")));
    }
    words.into_iter().map(|word| word + "  ").collect()
}

/// The members' names, as many as fit; before them, what kind of network it is.
fn members(row: &NetworkRow, frame: &Frame) -> Option<Line> {
    let mut names = row.members.iter().map(|member| member.name.to_string());
    let kind = kind(row);
    let mut line = Line::of(Tone::Faint, format!("  {kind}"));
    match names.next() {
        Some(first) => line.push(Tone::Plain, first),
        None => return (!kind.is_empty()).then_some(line),
    }
    let more = |rest: usize| if rest == 0 { String::new() } else { format!(", +{rest} more") };
    let mut shown = 1;
    for name in names {
        let rest = more(row.members.len() - shown - 1);
        if line.width() + 2 + width(&name) + rest.len() > frame.width {
            break;
        }
        line.push(Tone::Plain, format!(", {name}"));
        shown += 1;
    }
    line.push(Tone::Faint, more(row.members.len() - shown));
    Some(line)
}
