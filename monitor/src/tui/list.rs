//! Rows of a screen, filtered and in order.

use super::board::Board;
use super::column::{Align, Cell};
use super::context::Context;
use super::line::Line;
use super::rank::keys;
use super::screens::{Options, Screen};
use super::subject::Subject;
use crate::filter::Filter;
use std::sync::Arc;

/// What is said of a time in which there is no row.
const NOTHING_THEN: &str = "Nothing of this was counted in that time.";

/// How rows are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// By which column.
    pub(super) column: usize,
    /// Whether the greatest come first.
    pub(super) descending: bool,
}

/// What is known of a column without its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// Its heading.
    pub(super) title: &'static str,
    /// Where its text stands.
    pub(super) align: Align,
    /// It is never narrower.
    pub(super) least: usize,
    /// It is never wider.
    pub(super) most: usize,
    /// Columns with a greater number are left out first; 0 never is.
    pub(super) leave_out: u8,
    /// Whether the greatest come first when it is chosen to order by.
    pub(super) greatest_first: bool,
}

/// The list of a screen, whatever its rows are.
pub(super) trait Table: std::fmt::Debug {
    /// Makes its rows anew.
    fn fill(&mut self, board: &Board, options: &Options, context: &Context<'_>);
    /// Filters and orders its rows.
    fn arrange(&mut self, filter: &Filter, order: Order, context: &Context<'_>);
    /// Lets go of its rows, so that the board can change them and need not copy them. What they are about is known until
    /// it is filled again.
    fn let_go(&mut self);
    /// Its columns.
    fn headings(&self) -> Vec<Heading>;
    /// How many rows pass the filter.
    fn len(&self) -> usize;
    /// How many rows there are.
    fn all(&self) -> usize;
    /// What the row at a place is about.
    fn subject(&self, at: usize) -> Option<Subject>;
    /// Where a row is.
    fn find(&self, subject: &Subject) -> Option<usize>;
    /// What a column shows of the row at a place.
    fn cell(&self, at: usize, column: usize, context: &Context<'_>) -> Cell;
    /// How it is ordered at first.
    fn first_order(&self) -> Order;
    /// What is said where there is no row: of now, or of a time that is over.
    fn empty(&self, is_past: bool) -> &'static str;
    /// Whether its rows can be gathered.
    fn gathers(&self) -> bool;
    /// Lines above the list.
    fn summary(&self, board: &Board, context: &Context<'_>) -> Vec<Line>;
}

/// The rows of a screen. They are made and ordered when data, filter or order change, and never to be drawn.
pub(super) struct Sheet<S: Screen> {
    /// In the order of their names, so that names decide where all else is equal.
    items: Vec<Arc<S::Item>>,
    /// Those that pass the filter, in the order that was asked for.
    order: Vec<usize>,
    /// What the rows in this order are about, once they are let go.
    gone: Vec<Subject>,
}

impl<S: Screen> Default for Sheet<S> {
    fn default() -> Self {
        Self { items: Vec::new(), order: Vec::new(), gone: Vec::new() }
    }
}

impl<S: Screen> std::fmt::Debug for Sheet<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sheet").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl<S: Screen> Sheet<S> {
    fn item(&self, at: usize) -> Option<&S::Item> {
        self.order.get(at).and_then(|index| self.items.get(*index)).map(Arc::as_ref)
    }
}

impl<S: Screen> Table for Sheet<S> {
    fn fill(&mut self, board: &Board, options: &Options, context: &Context<'_>) {
        self.order.clear();
        self.gone.clear();
        let is_kept = board.then().is_none() || S::NOT_KEPT.is_none();
        self.items = if is_kept { S::items(board, options) } else { Vec::new() };
        let Some(name) = S::COLUMNS.first() else { return };
        let names = keys(self.items.iter().map(|item| (name.rank)(item, context)), false);
        let mut named: Vec<_> = names.into_iter().zip(self.items.drain(..)).collect();
        named.sort_by_key(|(name, _)| *name);
        self.items.extend(named.into_iter().map(|(_, item)| item));
    }

    fn arrange(&mut self, filter: &Filter, order: Order, context: &Context<'_>) {
        let Some(by) = S::COLUMNS.get(order.column).or(S::COLUMNS.first()) else { return };
        let takes = |at: &usize| filter.is_empty() || filter.takes(self.items[*at].as_ref());
        let taken: Vec<usize> = (0..self.items.len()).filter(takes).collect();
        // Each row's rank is asked for once: it can be a sum over a minute.
        let ranks = taken.iter().map(|at| (by.rank)(&self.items[*at], context));
        let mut ordered: Vec<_> = keys(ranks, order.descending).into_iter().zip(taken).collect();
        ordered.sort_by_key(|(key, _)| *key);
        self.order = ordered.into_iter().map(|(_, at)| at).collect();
    }

    fn let_go(&mut self) {
        if self.items.is_empty() {
            return;
        }
        self.gone = (0..self.order.len()).filter_map(|at| self.item(at).map(S::subject)).collect();
        self.items.clear();
        self.order.clear();
    }

    fn headings(&self) -> Vec<Heading> {
        let heading = |column: &super::column::Column<S::Item>| Heading {
            title: column.title,
            align: column.align,
            least: column.least,
            most: column.most,
            leave_out: column.leave_out,
            greatest_first: column.greatest_first,
        };
        S::COLUMNS.iter().map(heading).collect()
    }

    fn len(&self) -> usize {
        self.order.len().max(self.gone.len())
    }

    fn all(&self) -> usize {
        self.items.len()
    }

    fn subject(&self, at: usize) -> Option<Subject> {
        self.item(at).map(S::subject).or_else(|| self.gone.get(at).cloned())
    }

    fn find(&self, subject: &Subject) -> Option<usize> {
        (0..self.order.len()).find(|at| self.item(*at).is_some_and(|item| S::is(item, subject)))
    }

    fn cell(&self, at: usize, column: usize, context: &Context<'_>) -> Cell {
        match (self.item(at), S::COLUMNS.get(column)) {
            (Some(item), Some(column)) => (column.cell)(item, context),
            _ => Cell::absent(),
        }
    }

    fn first_order(&self) -> Order {
        let (column, descending) = S::ORDER;
        Order { column, descending }
    }

    fn empty(&self, is_past: bool) -> &'static str {
        if is_past { S::NOT_KEPT.unwrap_or(NOTHING_THEN) } else { S::EMPTY }
    }

    fn gathers(&self) -> bool {
        S::GROUPS
    }

    fn summary(&self, board: &Board, context: &Context<'_>) -> Vec<Line> {
        S::summary(board, context)
    }
}
