//! What is wrong in a file, all of it, with its place.

use crate::model::SafeText;
use std::fmt::{self, Display};
use std::ops::Range;

/// The most mistakes of one file that are told; of more, only how many.
const MOST_TOLD: usize = 1_000;

/// Something in a file that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What was found.
    pub message: SafeText,
    /// What was expected there; empty where the message says it already.
    pub expected: SafeText,
}

impl Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, expected } = self;
        write!(formatter, "{line}:{column}: {message}")?;
        if expected.as_str().is_empty() { Ok(()) } else { write!(formatter, "; expected {expected}") }
    }
}

/// The mistakes found so far.
#[derive(Debug)]
pub struct Mistakes<'t> {
    text: &'t str,
    /// Where each line starts.
    lines: Vec<usize>,
    found: Vec<(usize, SafeText, SafeText)>,
    more: usize,
    /// Whether parts of the file could not be read: what is missing may be there.
    torn: bool,
}

impl<'t> Mistakes<'t> {
    /// Those of a text, none yet.
    #[must_use]
    pub fn of(text: &'t str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { text, lines, found: Vec::new(), more: 0, torn: false }
    }

    /// Notes one.
    pub fn add(&mut self, at: &Range<usize>, message: impl Display, expected: impl Display) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let safe = |text: &dyn Display| SafeText::new(&text.to_string());
        self.found.push((at.start, safe(&message), safe(&expected)));
    }

    /// Notes that something is missing, unless it may be in a part that could not be read.
    pub fn missing(&mut self, at: &Range<usize>, message: impl Display, expected: impl Display) {
        if !self.torn {
            self.add(at, message, expected);
        }
    }

    /// Notes what keeps a part of the file from being read.
    pub fn tear(&mut self, at: &Range<usize>, message: impl Display, expected: impl Display) {
        self.torn = true;
        self.add(at, message, expected);
    }

    /// Whether no more of them are told, only counted: looking for what was meant is then in vain.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.found.len() == MOST_TOLD
    }

    /// The line of a place.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    /// The line of a place and its column in characters, both from 1.
    #[must_use]
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn finish(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|(at, ..)| *at);
        // TOML's reader says for each of many brackets that it is not closed.
        self.found.dedup();
        let mut told: Vec<Mistake> = Vec::with_capacity(self.found.len());
        for (at, message, expected) in &self.found {
            let (line, column) = self.place(*at);
            told.push(Mistake { line, column, message: message.clone(), expected: expected.clone() });
        }
        if self.more > 0 {
            let message = SafeText::new(&format!("{} more mistakes", self.more));
            let (line, column) = self.place(self.text.len());
            told.push(Mistake { line, column, message, expected: SafeText::new("none") });
        }
        told
    }
}
