//! Columns of a list: what each says of a row, and how rows are ordered by it.

use super::context::Context;
use crate::model::SafeText;

/// Where a cell's text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
    /// Bars: at the left, and as wide as names leave room for.
    Bars,
}

/// How much a piece of text stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// As all else.
    #[default]
    Plain,
    /// A heading or a name.
    Strong,
    /// What can be passed over.
    Faint,
    /// What goes well.
    Good,
    /// What must not be passed over.
    Warning,
    /// What is to be acted on.
    Critical,
}

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Text.
    Text(Tone, String),
    /// A line of bars, oldest first, drawn against the greatest of them.
    Spark(Vec<u64>),
}

impl Cell {
    /// Plain text.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::Text(Tone::Plain, text.into())
    }

    /// What was not measured: absent is not zero.
    pub(super) fn absent() -> Self {
        Self::Text(Tone::Faint, "-".to_owned())
    }
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank<'a> {
    /// A name, ordered by its letters.
    Name(&'a str),
    /// A number; absent comes last whichever way the order goes.
    Number(Option<u64>),
}

impl<'a> Rank<'a> {
    /// A name that may be absent.
    pub(super) fn name(name: Option<&'a SafeText>) -> Self {
        Self::Name(name.map_or("", SafeText::as_str))
    }
}

/// One column of a list of rows `R`.
pub(super) struct Column<R: ?Sized> {
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
    /// Whether the first press of its sort key puts the greatest first.
    pub(super) greatest_first: bool,
    /// What rows are ordered by; cheap, since it is asked of every row.
    pub(super) rank: for<'r> fn(&'r R, &Context<'_>) -> Rank<'r>,
    /// What it shows; asked of rows in sight only.
    pub(super) cell: fn(&R, &Context<'_>) -> Cell,
}
