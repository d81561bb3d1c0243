//! The screens: each is a list of rows with columns. A screen says what its rows are, what its columns show of them,
//! and what a row is about; order, filter, selection, keys and drawing are the same for all.

mod containers;
mod failures;
mod findings;
mod flows;
pub(super) mod health;
mod names;
mod networks;
pub(super) mod pairs;
mod shape;

use super::board::Board;
use super::column::Column;
use super::context::Context;
use super::line::Line;
use super::list::{Sheet, Table};
use super::news::News;
use super::subject::{Group, Subject};
use crate::filter::Filterable;
use crate::snapshot::Record;
use std::sync::Arc;

/// What rows are made by, beside the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// What they are gathered by, on screens that gather.
    pub(super) group: Group,
    /// Whether a conversation between two containers is shown at both interfaces.
    pub(super) both_ends: bool,
}

/// A list of rows.
pub(super) trait Screen {
    /// A row. Its first column is its name, which decides where all else is equal.
    type Item: Filterable + 'static;
    /// Its columns. The title of a column of rates ends with `/s`, which is left out while totals are shown.
    const COLUMNS: &'static [Column<Self::Item>];
    /// The column that it is ordered by at first, and whether the greatest come first.
    const ORDER: (usize, bool);
    /// What is said where there is no row.
    const EMPTY: &'static str;
    /// Why there is none of a time that is over, where such rows are not kept.
    const NOT_KEPT: Option<&'static str> = None;
    /// Whether rows can be gathered by service and project.
    const GROUPS: bool = false;
    /// Its rows, in any order.
    fn items(board: &Board, options: &Options) -> Vec<Arc<Self::Item>>;
    /// What a row is about.
    fn subject(item: &Self::Item) -> Subject;
    /// Whether that is what a row is about; asked of every row.
    fn is(item: &Self::Item, subject: &Subject) -> bool {
        Self::subject(item) == *subject
    }
    /// Lines above the list.
    fn summary(_board: &Board, _context: &Context<'_>) -> Vec<Line> {
        Vec::new()
    }
}

/// Which screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum ScreenId {
    /// Containers.
    #[default]
    Containers,
    /// Flows.
    Flows,
    /// Docker networks.
    Networks,
    /// Who talks to whom.
    Pairs,
    /// What a person should know.
    Findings,
    /// What was not seen, and how the agent is.
    Health,
    /// Names that are asked for.
    Names,
    /// What fails.
    Failures,
}

impl ScreenId {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 8] = [
        Self::Containers,
        Self::Flows,
        Self::Networks,
        Self::Pairs,
        Self::Findings,
        Self::Health,
        Self::Names,
        Self::Failures,
    ];

    /// Its title.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Containers => "Containers",
            Self::Flows => "Flows",
            Self::Networks => "Networks",
            Self::Pairs => "Pairs",
            Self::Findings => "Findings",
            Self::Health => "Losses & health",
            Self::Names => "DNS",
            Self::Failures => "Failures",
        }
    }

    /// Its place in [`ScreenId::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The one that is `step` further, round and round.
    pub(super) fn step(self, step: isize) -> Self {
        let count = Self::ALL.len();
        Self::ALL[(self.index() + count).saturating_add_signed(step) % count]
    }

    /// Whether its rows are not what they would be with a newer snapshot.
    pub(super) fn is_behind(self, news: &News) -> bool {
        match self {
            // Flows come as records; a reading moves the seconds that rates are about, and ends flows.
            Self::Flows => news.reading,
            Self::Pairs => news.reading || news.pairs,
            Self::Failures => news.pairs || news.data,
            Self::Names => news.names || news.data,
            // It says for how long there was a watch.
            Self::Health => news.is_seen(),
            Self::Containers | Self::Networks | Self::Findings => news.reading || news.data,
        }
    }

    /// Whether its rows are not what they would be with a record.
    pub(super) fn is_behind_record(self, record: &Record) -> bool {
        match record {
            Record::Flow(_) => self == Self::Flows,
            Record::Lost(_) => self == Self::Health,
            // The snapshot has them all.
            Record::Finding(_) | Record::Standing(_) | Record::Sample(_) | Record::Name(_) => false,
        }
    }

    /// Its list.
    pub(super) fn table(self) -> Box<dyn Table> {
        match self {
            Self::Containers => Box::new(Sheet::<containers::Containers>::default()),
            Self::Flows => Box::new(Sheet::<flows::FlowsScreen>::default()),
            Self::Networks => Box::new(Sheet::<networks::Networks>::default()),
            Self::Pairs => Box::new(Sheet::<pairs::Pairs>::default()),
            Self::Findings => Box::new(Sheet::<findings::Findings>::default()),
            Self::Names => Box::new(Sheet::<names::Names>::default()),
            Self::Failures => Box::new(Sheet::<failures::Failures>::default()),
            Self::Health => Box::new(Sheet::<health::Health>::default()),
        }
    }
}
