//! Flows: conversations that are alive, or were a moment ago.

use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText};
use crate::model::FlowPorts;
use crate::snapshot::{Expected, TcpState};
use crate::tui::board::{Board, FlowRow, service};
use crate::tui::column::{Align, Cell, Column, Rank, Tone};
use crate::tui::context::{Context, Way};
use crate::tui::subject::Subject;
use crate::view::units;
use std::net::IpAddr;
use std::sync::Arc;

/// The screen.
pub(super) struct FlowsScreen;

impl Screen for FlowsScreen {
    type Item = FlowRow;
    const COLUMNS: &'static [Column<FlowRow>] = &[
        Column {
            title: "FROM",
            align: Align::Left,
            least: 14,
            most: 36,
            leave_out: 0,
            greatest_first: false,
            rank: |row, _| Rank::Name(row.client.as_str()),
            cell: |row, _| Cell::Text(Tone::Strong, row.client.to_string()),
        },
        Column {
            title: "TO",
            align: Align::Left,
            least: 14,
            most: 36,
            leave_out: 0,
            greatest_first: false,
            rank: |row, _| Rank::Name(row.server.as_str()),
            cell: |row, _| Cell::Text(Tone::Strong, row.server.to_string()),
        },
        Column {
            title: "PORT",
            align: Align::Right,
            least: 5,
            most: 5,
            leave_out: 3,
            greatest_first: false,
            rank: |row, _| Rank::Number(row.server_end().port.map(u64::from)),
            cell: |row, _| port(row),
        },
        Column {
            title: "SERVICE",
            align: Align::Left,
            least: 8,
            most: 14,
            leave_out: 8,
            greatest_first: false,
            rank: |row, _| Rank::Name(service_of(row).unwrap_or_default()),
            cell: |row, _| service_of(row).map_or_else(Cell::absent, Cell::plain),
        },
        Column {
            title: "PROTO",
            align: Align::Left,
            least: 5,
            most: 9,
            leave_out: 7,
            greatest_first: false,
            rank: |row, _| Rank::Number(Some(u64::from(row.record.protocol.0))),
            cell: |row, _| Cell::plain(row.record.protocol.name()),
        },
        rate(
            "SENT/s",
            1,
            |row, context| Rank::Number(amount(row, context, Way::Sent)),
            |row, context| context.bytes_cell(amount(row, context, Way::Sent)),
        ),
        rate(
            "RCVD/s",
            2,
            |row, context| Rank::Number(amount(row, context, Way::Received)),
            |row, context| context.bytes_cell(amount(row, context, Way::Received)),
        ),
        rate(
            "BYTES",
            9,
            |row, _| Rank::Number(Some(Way::Both.of(row.counted.bytes))),
            |row, context| context.bytes_cell(Some(Way::Both.of(row.counted.bytes))),
        ),
        Column {
            title: "AGE",
            align: Align::Right,
            least: 6,
            most: 6,
            leave_out: 6,
            greatest_first: true,
            rank: |row, context| Rank::Number(Some(context.now.0.saturating_sub(row.record.first_seen.0))),
            cell: |row, context| Cell::plain(units::age(context.now.since(row.record.first_seen))),
        },
        Column {
            title: "STATE",
            align: Align::Left,
            least: 12,
            most: 12,
            leave_out: 5,
            greatest_first: false,
            rank: |row, _| Rank::Name(state(row).unwrap_or_default()),
            cell: |row, _| state_cell(row),
        },
        Column {
            title: "VERDICT",
            align: Align::Left,
            least: 14,
            most: 17,
            leave_out: 4,
            greatest_first: true,
            rank: |row, _| Rank::Number(badness(row)),
            cell: |row, _| verdict(row),
        },
        Column {
            title: "HANDSHAKE",
            align: Align::Right,
            least: 9,
            most: 9,
            leave_out: 11,
            greatest_first: true,
            rank: |row, _| {
                let nanoseconds = |took: std::time::Duration| u64::try_from(took.as_nanos());
                Rank::Number(row.handshake.map(|took| nanoseconds(took).unwrap_or(u64::MAX)))
            },
            cell: |row, _| row.handshake.map_or_else(Cell::absent, |took| Cell::plain(units::duration(took))),
        },
        Column {
            title: "NETWORK",
            align: Align::Left,
            least: 8,
            most: 24,
            leave_out: 10,
            greatest_first: false,
            rank: |row, _| Rank::name(row.record.network.as_ref().map(|network| &network.name)),
            cell: |row, _| {
                let network = row.record.network.as_ref();
                network.map_or_else(Cell::absent, |network| Cell::plain(network.name.to_string()))
            },
        },
    ];
    const ORDER: (usize, bool) = (6, true);
    const EMPTY: &'static str = "No conversation was seen yet.";
    const NOT_KEPT: Option<&'static str> =
        Some("Single flows are not kept: 4 has who talked to whom. n goes back to now.");

    fn items(board: &Board, options: &Options) -> Vec<Arc<FlowRow>> {
        let shown = |row: &&Arc<FlowRow>| options.both_ends || !row.is_second;
        board.flows().iter().filter(shown).cloned().collect()
    }

    fn subject(row: &FlowRow) -> Subject {
        Subject::Flow(row.id)
    }
}

/// A column of bytes.
const fn rate(
    title: &'static str,
    leave_out: u8,
    rank: for<'r> fn(&'r FlowRow, &Context<'_>) -> Rank<'r>,
    cell: fn(&FlowRow, &Context<'_>) -> Cell,
) -> Column<FlowRow> {
    Column { title, align: Align::Right, least: 8, most: 8, leave_out, greatest_first: true, rank, cell }
}

fn amount(row: &FlowRow, context: &Context<'_>, way: Way) -> Option<u64> {
    context.amount(&row.recent, Some(way.of(row.counted.bytes)), way)
}

fn port(row: &FlowRow) -> Cell {
    match (row.server_end().port, row.record.ports) {
        (Some(port), _) => Cell::plain(port.to_string()),
        (None, FlowPorts::LaterFragment) => Cell::Text(Tone::Faint, "frag".to_owned()),
        (None, _) => Cell::absent(),
    }
}

fn service_of(row: &FlowRow) -> Option<&'static str> {
    match row.record.ports {
        FlowPorts::Ports { .. } => service(row.record.protocol, row.server_end().port?),
        FlowPorts::Icmp { kind: 8 | 128, .. } => Some("echo"),
        FlowPorts::Icmp { .. } | FlowPorts::LaterFragment | FlowPorts::None => None,
    }
}

/// How its connection stands.
fn state(row: &FlowRow) -> Option<&'static str> {
    let Some(tcp) = row.record.tcp else { return row.record.last.then_some("ended") };
    Some(tcp.state.words())
}

fn state_cell(row: &FlowRow) -> Cell {
    let tone = match row.record.tcp.map(|tcp| tcp.state) {
        Some(TcpState::Reset | TcpState::Refused) => Tone::Warning,
        Some(TcpState::Closed) => Tone::Faint,
        _ if row.record.last => Tone::Faint,
        _ => Tone::Plain,
    };
    state(row).map_or_else(Cell::absent, |state| Cell::Text(tone, state.to_owned()))
}

/// How bad what became of it is: what is not to be and arrived, what is not to be, what is to be and did not arrive.
fn badness(row: &FlowRow) -> Option<u64> {
    let verdict = row.verdict.as_ref()?;
    Some(match (verdict.expected, verdict.outcome.reached()) {
        (Expected::Deny, true) => 3,
        (Expected::Deny, false) => 2,
        (Expected::Allow, false) => 1,
        (Expected::Allow, true) => 0,
    })
}

fn verdict(row: &FlowRow) -> Cell {
    let Some(verdict) = &row.verdict else { return Cell::absent() };
    let outcome = verdict.outcome.name();
    match badness(row) {
        Some(3) => Cell::Text(Tone::Critical, format!("deny! {outcome}")),
        Some(2) => Cell::Text(Tone::Warning, format!("deny: {outcome}")),
        _ => Cell::plain(outcome),
    }
}

impl Filterable for FlowRow {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let record = &self.record;
        let mut of_ends =
            |field| [&record.local, &record.remote].into_iter().any(|end| end.texts(field, is_it));
        match field {
            Field::Any => {
                of_ends(Field::Service)
                    || of_ends(Field::Project)
                    || [Field::Container, Field::Network, Field::Protocol, Field::State, Field::Rule]
                        .into_iter()
                        .any(|field| self.texts(field, is_it))
                    || service_of(self).is_some_and(is_it)
            }
            Field::Container => is_it(self.client.as_str()) || is_it(self.server.as_str()),
            Field::Service | Field::Project | Field::Image => of_ends(field),
            Field::Network => record.network.as_ref().is_some_and(|network| is_it(network.name.as_str())),
            Field::Protocol => is_it(&record.protocol.name()),
            Field::State => {
                state(self).is_some_and(&mut *is_it)
                    || self.verdict.as_ref().is_some_and(|verdict| is_it(verdict.outcome.name()))
            }
            Field::Rule => self.verdict.as_ref().is_some_and(|verdict| is_it(verdict.rule.as_str())),
            Field::Port | Field::Address | Field::Kind | Field::Severity => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        [&self.record.local, &self.record.remote].into_iter().any(|end| end.ids(is_it))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        [&self.record.local, &self.record.remote].into_iter().filter_map(|end| end.port).any(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        is_it(self.record.local.address) || is_it(self.record.remote.address)
    }
}
