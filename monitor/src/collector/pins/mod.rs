//! Restarts without a gap: what is pinned under the BPF file system, and goes on counting while there is no agent.
//!
//! ```text
//! <pin_dir>/          its lock says whose it is
//!   maps/…            the programs' maps; and the book: journal, number, kept
//!   old/<number>/…    those of other layouts, until their totals are taken over: several, where that was cut short
//!   links/<ifindex>-in, -out
//! ```
//!
//! A link keeps its program, a program its maps: packets are counted on. (Filters on clsact stay by themselves.) The next
//! agent loads its programs on the same maps and puts them in the place of the old ones. What it has to know beside the maps is
//! in the book, which is made of maps too, since main may write to these when it has no right left: the journal says how far
//! the flows were handed over, kept is what each device's totals are about.
//!
//! Whoever wrote it may have been anybody by then: it is checked like all that comes from outside.

pub(super) mod adopt;
pub(super) mod book;
pub(super) mod folder;
pub(super) mod layout;

pub use folder::remove;

use book::Book;
use folder::Folder;
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// A folder of the BPF file system, which is made.
    pub dir: PathBuf,
    /// Whether all of it stays at a clean stop too.
    pub keep: bool,
}

/// What is pinned, held by this agent alone.
#[derive(Debug)]
pub(super) struct Pins {
    pub(super) folder: Folder,
    pub(super) before: Before,
}

/// What was there.
#[derive(Debug)]
pub(super) enum Before {
    /// Nothing that can be gone on with.
    Nothing,
    /// Maps with the layout of ours.
    Same(Book),
    /// Maps with another one, of which only totals are read, and their number among such.
    Other(Book, u32),
}

impl Pins {
    /// The book of the agent before.
    pub(super) fn book(&self) -> Option<&Book> {
        match &self.before {
            Before::Nothing => None,
            Before::Same(book) | Before::Other(book, _) => Some(book),
        }
    }
}
