//! Containers, busiest first, and the watched interfaces that have no container.

mod row;

use super::shape::{minute, name, number, rank_of_time, time_cell};
use super::{Options, Screen};
use crate::model::{ContainerId, SafeText};
use crate::snapshot::{Finding, Kind, Snapshot};
use crate::tui::board::Board;
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::Way;
use crate::tui::subject::{Group, Subject};
use crate::view::units;
use row::Row;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The screen.
pub(super) struct Containers;

impl Screen for Containers {
    type Item = Row;
    const COLUMNS: &'static [Column<Row>] = &[
        name("CONTAINER", [11, 40], 0, |row, _| Rank::Name(&row.name), |row, _| row.name_cell()),
        name(
            "STATE",
            [9, 10],
            8,
            |row, _| Rank::Name(row.state.word),
            |row, _| Cell::Text(row.state.tone, row.state.word.to_owned()),
        ),
        number(
            "SENT/s",
            8,
            1,
            |row, context| row.rank(context, Way::Sent),
            |row, context| row.traffic(context, Way::Sent),
        ),
        number(
            "RCVD/s",
            8,
            2,
            |row, context| row.rank(context, Way::Received),
            |row, context| row.traffic(context, Way::Received),
        ),
        minute(6, |row, context| Rank::Number(row.minute(context)), |row, context| row.bars(context)),
        number(
            "TOTAL",
            8,
            11,
            |row, _| Rank::Number(row.total(Way::Both)),
            |row, context| context.bytes_cell(row.total(Way::Both)),
        ),
        number("CONN", 6, 4, |row, _| Rank::Number(row.alive()), |row, _| count(row.alive(), Tone::Plain)),
        number(
            "P50",
            7,
            9,
            |row, _| rank_of_time(row.handshake.map(|handshake| handshake.p50)),
            |row, _| time_cell(row.handshake.map(|handshake| handshake.p50)),
        ),
        number(
            "P99",
            7,
            7,
            |row, _| rank_of_time(row.handshake.map(|handshake| handshake.p99)),
            |row, _| time_cell(row.handshake.map(|handshake| handshake.p99)),
        ),
        number("DROPS", 6, 5, |row, _| Rank::Number(row.dropped), |row, _| count(row.dropped, Tone::Warning)),
        number(
            "VIOL",
            4,
            3,
            |row, _| Rank::Number(row.violations),
            |row, _| count(row.violations, Tone::Critical),
        ),
        name(
            "SERVICE",
            [8, 20],
            10,
            |row, _| Rank::name(row.service.as_ref()),
            |row, _| text(row.service.as_ref()),
        ),
        name("NETWORK", [8, 28], 12, |row, _| Rank::name(row.networks.first()), |row, _| row.network_cell()),
        name(
            "PROJECT",
            [8, 16],
            13,
            |row, _| Rank::name(row.project.as_ref()),
            |row, _| text(row.project.as_ref()),
        ),
    ];
    const ORDER: (usize, bool) = (4, true);
    const EMPTY: &'static str = "No container is running, and no interface is watched.";
    const GROUPS: bool = true;

    fn items(board: &Board, options: &Options) -> Vec<Arc<Row>> {
        let snapshot = board.latest();
        let violations = violations(snapshot, board.then().is_some());
        let drops_are_seen = !snapshot.missing.contains_key("drops");
        let containers = snapshot.containers.iter().map(|row| {
            let violations = violations.get(&row.container.id).copied().unwrap_or_default();
            let mut made = Row::of_container(row, board.container(&row.container.id), violations);
            made.dropped = made.dropped.filter(|_| drops_are_seen);
            if board.then().is_some() { made.of_then() } else { made }
        });
        let interfaces = snapshot.unattributed.iter();
        let interfaces =
            interfaces.map(|row| Row::of_interface(row, board.interface(row.observed_at.number)));
        match options.group {
            Group::Container => containers.chain(interfaces).map(Arc::new).collect(),
            group => {
                let mut together: BTreeMap<_, Row> = BTreeMap::new();
                for row in containers {
                    let key = row.gathered_by(group);
                    match together.get_mut(&key) {
                        Some(all) => all.gather(&row),
                        None => {
                            together.insert(key, row.alone(group));
                        }
                    }
                }
                together.into_values().chain(interfaces).map(Arc::new).collect()
            }
        }
    }

    fn subject(row: &Row) -> Subject {
        row.subject.clone()
    }
}

/// How many violations each container has a hand in: open ones, or all that were told in a time that is over.
fn violations(snapshot: &Snapshot, also_over: bool) -> HashMap<&ContainerId, u64> {
    let mut violations = HashMap::new();
    let is_one = |finding: &&Finding| (finding.is_open || also_over) && finding.kind == Kind::Violation;
    for finding in snapshot.findings.iter().filter(is_one) {
        let ends = [&finding.source, &finding.destination].map(|end| end.container.as_ref());
        let [source, destination] = ends.map(|container| container.map(|container| &container.id));
        for id in source.into_iter().chain(destination.filter(|id| Some(*id) != source)) {
            *violations.entry(id).or_default() += 1;
        }
    }
    violations
}

fn text(text: Option<&SafeText>) -> Cell {
    text.map_or_else(Cell::absent, |text| Cell::plain(text.to_string()))
}

/// A count that stands out where it is not zero.
fn count(count: Option<u64>, tone: Tone) -> Cell {
    match count {
        None => Cell::absent(),
        Some(0) => Cell::Text(Tone::Faint, "0".to_owned()),
        Some(count) => Cell::Text(tone, units::count(count)),
    }
}
