//! Docker's networks: who is on them, and where their traffic goes.

use super::shape::{minute, name, number};
use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText};
use crate::snapshot::{ContainerRef, NetworkRow};
use crate::tui::board::{Board, Toward};
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::{Context, Way};
use crate::tui::recent::Recent;
use crate::tui::subject::Subject;
use crate::view::units::count;
use std::net::IpAddr;
use std::sync::Arc;

/// The screen.
pub(super) struct Networks;

/// A network.
#[derive(Debug)]
pub(super) struct Row {
    all: Arc<[NetworkRow]>,
    at: usize,
    /// By [`Toward`].
    recent: [Recent; Toward::ALL.len()],
    /// All of it.
    minute: Recent,
}

impl Row {
    fn of(&self) -> &NetworkRow {
        &self.all[self.at]
    }

    /// Bytes toward something: a second, or since the watch began.
    fn amount(&self, context: &Context<'_>, toward: Toward) -> Option<u64> {
        let network = self.of();
        if network.interfaces_watched == 0 && network.totals == crate::snapshot::Reach::default() {
            return None;
        }
        let total = Way::Both.of(toward.of(&network.totals).bytes);
        context.amount(&self.recent[toward as usize], Some(total), Way::Both)
    }

    /// Bytes both ways toward all.
    fn total(&self) -> u64 {
        let each = Toward::ALL.map(|toward| Way::Both.of(toward.of(&self.of().totals).bytes));
        each.into_iter().fold(0, u64::saturating_add)
    }

    fn subnet(&self) -> String {
        let subnets = self.of().subnets();
        let Some((address, length)) = subnets.first() else { return String::new() };
        match subnets.len() - 1 {
            0 => format!("{address}/{length}"),
            more => format!("{address}/{length} +{more}"),
        }
    }
}

impl Screen for Networks {
    type Item = Row;
    const COLUMNS: &'static [Column<Row>] = &[
        name(
            "NETWORK",
            [10, 36],
            0,
            |row, _| Rank::Name(row.of().network.name.as_str()),
            |row, _| Cell::Text(Tone::Strong, row.of().network.name.to_string()),
        ),
        name(
            "DRIVER",
            [7, 10],
            8,
            |row, _| Rank::Name(row.of().network.driver.name()),
            |row, _| {
                let internal = row.of().is_internal();
                Cell::plain(if internal { "internal" } else { row.of().network.driver.name() })
            },
        ),
        name(
            "SUBNET",
            [16, 28],
            7,
            |row, _| Rank::Number(row.of().subnets().first().map(|(address, _)| rank_of_address(*address))),
            |row, _| match row.subnet() {
                none if none.is_empty() => Cell::absent(),
                subnet => Cell::plain(subnet),
            },
        ),
        number(
            "MEMBERS",
            7,
            5,
            |row, _| Rank::Number(Some(row.of().members.len() as u64)),
            // Who was on it then is not kept.
            |row, context| match context.past {
                None => Cell::plain(count(row.of().members.len() as u64)),
                Some(_) => Cell::absent(),
            },
        ),
        number(
            "INSIDE/s",
            8,
            1,
            |row, context| Rank::Number(row.amount(context, Toward::Inside)),
            |row, context| context.bytes_cell(row.amount(context, Toward::Inside)),
        ),
        number(
            "HOST/s",
            8,
            3,
            |row, context| Rank::Number(row.amount(context, Toward::Host)),
            |row, context| context.bytes_cell(row.amount(context, Toward::Host)),
        ),
        number(
            "OUTSIDE/s",
            9,
            2,
            |row, context| Rank::Number(row.amount(context, Toward::Outside)),
            |row, context| context.bytes_cell(row.amount(context, Toward::Outside)),
        ),
        number(
            "NETS/s",
            8,
            4,
            |row, context| Rank::Number(row.amount(context, Toward::Networks)),
            |row, context| context.bytes_cell(row.amount(context, Toward::Networks)),
        ),
        number(
            "OTHER/s",
            8,
            9,
            |row, context| Rank::Number(row.amount(context, Toward::Other)),
            |row, context| context.bytes_cell(row.amount(context, Toward::Other)),
        ),
        number(
            "CROSS",
            5,
            1,
            |row, _| Rank::Number(Some(row.of().crossings as u64)),
            |row, _| match row.of().crossings {
                0 => Cell::Text(Tone::Faint, "0".to_owned()),
                crossings => Cell::Text(Tone::Warning, count(crossings as u64)),
            },
        ),
        minute(
            6,
            |row, context| Rank::Number(Some(context.lately(&row.minute, row.total()))),
            |row, context| context.spark(&row.minute),
        ),
    ];
    const ORDER: (usize, bool) = (10, true);
    const EMPTY: &'static str = "Docker has told of no network yet.";

    fn items(board: &Board, _options: &Options) -> Vec<Arc<Row>> {
        let all = &board.latest().networks;
        let item = |(at, network): (usize, &NetworkRow)| {
            let recent = Toward::ALL.map(|toward| board.network(&network.network.id, toward));
            let mut minute = Recent::default();
            recent.iter().for_each(|recent| minute.merge(recent));
            Arc::new(Row { all: Arc::clone(all), at, recent, minute })
        };
        all.iter().enumerate().map(item).collect()
    }

    fn subject(row: &Row) -> Subject {
        Subject::Network(row.of().network.id.clone())
    }
}

/// Addresses of one family by their value, version 4 first.
fn rank_of_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let [high, ..] = address.segments();
            u64::from(u32::MAX) + 1 + u64::from(high)
        }
    }
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let row = self.of();
        let mut of_members = |which: fn(&ContainerRef) -> Option<&str>| {
            row.members.iter().any(|member| which(member).is_some_and(&mut *is_it))
        };
        let service: fn(&ContainerRef) -> Option<&str> = |it| it.service.as_ref().map(|text| text.as_str());
        let project: fn(&ContainerRef) -> Option<&str> = |it| it.project.as_ref().map(|text| text.as_str());
        let name: fn(&ContainerRef) -> Option<&str> = |it| Some(it.name.as_str());
        match field {
            Field::Any => {
                of_members(name)
                    || of_members(service)
                    || of_members(project)
                    || is_it(row.network.name.as_str())
                    || is_it(row.network.driver.name())
            }
            Field::Network => is_it(row.network.name.as_str()),
            Field::Container => of_members(name),
            Field::Service => of_members(service),
            Field::Project => of_members(project),
            Field::Kind => is_it(row.network.driver.name()) || (row.is_internal() && is_it("internal")),
            _ => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        is_it(self.of().network.id.as_str()) || self.of().members.iter().any(|it| is_it(it.id.as_str()))
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.of().subnets().iter().any(|(address, _)| is_it(*address))
    }
}
