//! The table of `containers`: who they are, where they are connected, and their totals.

use super::names;
use super::page::page;
use super::style::{Frame, Line, Tone};
use super::table::Column;
use super::units::{bytes, count};
use crate::snapshot::{ContainerRow, Membership, Snapshot, UnattributedRow};

const COLUMNS: [Column; 11] = [
    Column::name("CONTAINER", 20, 40, 0),
    Column::name("STATE", 7, 10, 4),
    Column::name("IMAGE", 12, 32, 9),
    Column::name("SERVICE", 10, 24, 7),
    Column::name("PROJECT", 8, 20, 8),
    Column::number("SENT", 8, 0),
    Column::number("RECEIVED", 8, 0),
    Column::number("PKT SENT", 8, 1),
    Column::number("PKT RCVD", 8, 1),
    Column::number("BEFORE WATCH", 12, 2),
    Column::number("UNACCOUNTED", 11, 5),
];

/// Draws all containers, each followed by its networks.
#[must_use]
pub fn containers(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let (containers, interfaces) = (&snapshot.containers, &snapshot.unattributed);
    let cells: Vec<Vec<String>> =
        containers.iter().map(cells).chain(interfaces.iter().map(interface_cells)).collect();
    page(snapshot, frame, &COLUMNS, &cells, "no containers", |place| {
        containers.get(place).into_iter().flat_map(|row| &row.memberships).map(membership)
    })
}

fn cells(row: &ContainerRow) -> Vec<String> {
    let container = &row.container;
    let (sent, received) = (row.totals.sent, row.totals.received);
    let before = row.before_watch.sent + row.before_watch.received;
    // What was not measured is not 0.
    let measured = |text: String| if row.watched { text } else { "-".to_owned() };
    vec![
        container.name.to_string(),
        format!("{:?}", row.state).to_lowercase(),
        names::or_dash(container.image.as_ref()),
        names::or_dash(container.service.as_ref()),
        names::or_dash(container.project.as_ref()),
        measured(bytes(sent.bytes)),
        measured(bytes(received.bytes)),
        measured(count(sent.packets)),
        measured(count(received.packets)),
        if row.is_at_group() { "-".to_owned() } else { measured(bytes(before.skb_bytes)) },
        row.unaccounted_bytes.map_or_else(|| "-".to_owned(), |difference| measured(bytes(difference))),
    ]
}

/// An interface whose container is not known.
fn interface_cells(row: &UnattributedRow) -> Vec<String> {
    let (sent, received) = (row.totals.sent, row.totals.received);
    let before = row.before_watch.sent + row.before_watch.received;
    let unknown = || "-".to_owned();
    vec![
        names::interface(row),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        bytes(sent.bytes),
        bytes(received.bytes),
        count(sent.packets),
        count(received.packets),
        bytes(before.skb_bytes),
        unknown(),
    ]
}

fn membership(membership: &Membership) -> Line {
    let addresses: Vec<String> = membership.addresses.iter().map(ToString::to_string).collect();
    let mut line = Line::of(Tone::Faint, "  on ");
    line.push(Tone::Plain, membership.network.name.to_string());
    line.push(Tone::Faint, format!(" ({})", membership.network.driver.name()));
    if !addresses.is_empty() {
        line.push(Tone::Plain, format!("  {}", addresses.join(", ")));
    }
    match &membership.interface {
        Some((name, 0)) => line.push(Tone::Faint, format!("  at the {name}")),
        Some((name, ifindex)) => line.push(Tone::Faint, format!("  at {name} ({ifindex})")),
        None => line.push(Tone::Faint, "  not watched"),
    }
    line
}
