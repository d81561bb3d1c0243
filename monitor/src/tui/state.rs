//! What keys change: which screen, which row, how it is ordered, and how numbers are written.

use super::back::Back;
use super::context::{Unit, Window};
use super::list::{Order, Table};
use super::screens::{Options, ScreenId};
use super::subject::Subject;
use crate::filter::Filter;

/// Where one screen's list stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The row that is selected; it follows the row, not the place.
    pub(super) subject: Option<Subject>,
    /// Where that row is.
    pub(super) at: usize,
    /// The first row in sight.
    pub(super) top: usize,
    /// Its order.
    pub(super) order: Order,
}

impl Place {
    /// Follows the selected row to where it is now. A row that is gone leaves the selection at its place. As long as
    /// nothing was selected by hand, the first row is.
    pub(super) fn follow(&mut self, table: &dyn Table) {
        match self.subject.as_ref().map(|subject| table.find(subject)) {
            Some(Some(at)) => self.at = at,
            Some(None) => {
                self.at = self.at.min(table.len().saturating_sub(1));
                self.subject = table.subject(self.at);
            }
            None => self.at = 0,
        }
    }

    /// Selects the first row, whichever it is from now on.
    pub(super) fn select_first(&mut self) {
        (self.subject, self.at) = (None, 0);
    }

    /// Selects another row.
    pub(super) fn select(&mut self, at: usize, table: &dyn Table) {
        self.at = at.min(table.len().saturating_sub(1));
        self.subject = table.subject(self.at);
    }
}

/// A filter while it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typing {
    /// What was typed so far.
    pub(super) text: String,
    /// What held before.
    pub(super) before: (String, Filter),
    /// What is wrong with what was typed so far.
    pub(super) error: Option<String>,
}

/// Something that was opened, over the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// What.
    pub(super) subject: Subject,
    /// The first line in sight.
    pub(super) top: usize,
}

/// The state of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The screen that is shown.
    pub(super) screen: ScreenId,
    /// Where each screen's list stands.
    pub(super) places: [Place; ScreenId::ALL.len()],
    /// The filter, one for all screens. While one is typed, the last text of it without a mistake.
    pub(super) filter_text: String,
    /// The same, read.
    pub(super) filter: Filter,
    /// Whether it is being typed.
    pub(super) typing: Option<Typing>,
    /// What rows are made by.
    pub(super) options: Options,
    /// How traffic is written.
    pub(super) unit: Unit,
    /// Whether totals are shown and not rates.
    pub(super) totals: bool,
    /// Over how long rates are taken.
    pub(super) window: Window,
    /// Whether the picture stays while data go on being taken in.
    pub(super) frozen: bool,
    /// Which time is looked back at, if one is.
    pub(super) back: Option<Back>,
    /// How often that was begun.
    pub(super) looks: u64,
    /// The help and its first line in sight, where it is shown.
    pub(super) help: Option<usize>,
    /// What was opened, the latest last.
    pub(super) opened: Vec<Open>,
}

impl State {
    /// The state at the start; `order` is how each screen is ordered at first.
    pub(super) fn new(order: impl Fn(ScreenId) -> Order) -> Self {
        let place = |screen| Place { subject: None, at: 0, top: 0, order: order(screen) };
        Self {
            screen: ScreenId::default(),
            places: ScreenId::ALL.map(place),
            filter_text: String::new(),
            filter: Filter::default(),
            typing: None,
            options: Options::default(),
            unit: Unit::default(),
            totals: false,
            window: Window::default(),
            frozen: false,
            back: None,
            looks: 0,
            help: None,
            opened: Vec::new(),
        }
    }

    /// Where the list that is shown stands.
    pub(super) fn place(&self) -> &Place {
        &self.places[self.screen.index()]
    }

    /// Where the list that is shown stands.
    pub(super) fn place_mut(&mut self) -> &mut Place {
        &mut self.places[self.screen.index()]
    }
}
