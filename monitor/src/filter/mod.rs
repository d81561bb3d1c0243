//! The filter: `net:front port:5432 state:answered web` — every word has to hold of a row. What may be typed is in
//! `docs/top.md`.
//!
//! A word is read once, when it is typed; asking a row allocates nothing, but for names that several containers share.

mod end;
mod needle;
mod parse;
mod place;
mod word;

pub use end::{serves, shares};

use std::net::IpAddr;
use word::Word;

/// What a word of the filter may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Anything that is text: a word without a field.
    Any,
    /// A container by name, or by the beginning of its id.
    Container,
    /// A service of Compose or Swarm, or a name that several containers share on a network.
    Service,
    /// A Compose project.
    Project,
    /// A Docker network.
    Network,
    /// A port, or a range of them.
    Port,
    /// An address, or a subnet.
    Address,
    /// A protocol.
    Protocol,
    /// What became of it, or the state of a container or of a connection.
    State,
    /// A kind of finding.
    Kind,
    /// A severity.
    Severity,
    /// A rule.
    Rule,
    /// An image.
    Image,
}

/// What is asked of a text that a row has.
pub type IsText<'a> = &'a mut dyn FnMut(&str) -> bool;

/// A row that can be filtered.
pub trait Filterable {
    /// Whether any text that the row has for `field` is taken by `is_it`. For [`Field::Any`]: all its texts.
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool;
    /// Whether any container's id is taken.
    fn ids(&self, _is_it: IsText<'_>) -> bool {
        false
    }
    /// Whether any of its ports is taken.
    fn ports(&self, _is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        false
    }
    /// Whether any of its addresses is taken.
    fn addresses(&self, _is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        false
    }
}

/// A filter that was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    words: Vec<Word>,
    text: String,
}

impl Filter {
    /// Reads what was typed. A word that says nothing yet (`port:`, `-`) holds of everything.
    ///
    /// # Errors
    /// What is wrong, in a few words: an unknown field with the nearest one, a port or an address that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = parse::words(text)?;
        Ok(Self { words, text: text.to_owned() })
    }

    /// Reads a word of a command line, where one that says nothing is a mistake.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn typed(text: &str) -> Result<Self, String> {
        let filter = Self::parse(text)?;
        if filter.is_empty() { Err("it says nothing".into()) } else { Ok(filter) }
    }

    /// A filter of all words of these.
    #[must_use]
    pub fn all(filters: Vec<Self>) -> Self {
        let text = filters.iter().map(Self::as_str).collect::<Vec<_>>().join(" ");
        Self { words: filters.into_iter().flat_map(|filter| filter.words).collect(), text }
    }

    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether every word holds of the row.
    pub fn takes(&self, row: &dyn Filterable) -> bool {
        self.words.iter().all(|word| word.holds(row))
    }
}

#[cfg(test)]
mod tests;
