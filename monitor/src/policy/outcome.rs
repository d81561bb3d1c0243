//! What became of a conversation, and how that is known.

use crate::model::SafeText;
use serde::{Deserialize, Serialize};

/// What became of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Losses or an unwatched end forbid a judgement.
    Unknown,
    /// It left its source; nothing is decided yet.
    Attempted,
    /// Not seen arriving, and nothing was lost where it should have.
    Undelivered,
    /// A drop, or the host's own reject, proves that it was stopped.
    Blocked,
    /// Handed to the destination's device.
    Delivered,
    /// A reply left the destination.
    Answered,
}

impl Outcome {
    /// Its name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Attempted => "attempted",
            Self::Undelivered => "undelivered",
            Self::Blocked => "blocked",
            Self::Delivered => "delivered",
            Self::Answered => "answered",
        }
    }

    /// Whether nothing that is seen later can change it for the worse.
    #[must_use]
    pub const fn reached(self) -> bool {
        matches!(self, Self::Delivered | Self::Answered)
    }
}

/// One thing that was seen, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where: a device's name, or `host`.
    pub at: SafeText,
    /// What was seen there, in a few words.
    pub saw: String,
}

impl Evidence {
    pub(super) fn new(at: impl AsRef<str>, saw: impl Into<String>) -> Self {
        Self { at: SafeText::new(at.as_ref()), saw: saw.into() }
    }
}

/// Why an outcome is unknown. Fixed words: they are part of the JSON.
pub mod why {
    /// The destination's interface is not watched, or was not all the time.
    pub const DESTINATION_NOT_WATCHED: &str = "destination_not_watched";
    /// Packets at the destination's interface were in no flow.
    pub const FLOWS_NOT_RECORDED: &str = "flows_not_recorded";
    /// A generation of flows could not be read.
    pub const FLOWS_LOST: &str = "flows_lost";
    /// Drops were not recorded.
    pub const DROPS_LOST: &str = "drops_lost";
    /// The kernel's drops are not watched.
    pub const DROPS_NOT_WATCHED: &str = "drops_not_watched";
    /// The destination is outside, or the host itself: what arrives there is not seen.
    pub const OUT_OF_SIGHT: &str = "out_of_sight";
}

/// A conversation's outcome with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is unknown; one of [`why`].
    pub reason: Option<&'static str>,
    /// The kernel's reason for a drop.
    pub drop_reason: Option<SafeText>,
    /// What was seen, from the source on.
    pub evidence: Vec<Evidence>,
}

/// Evidence as it is found, if anybody wants it: making sentences costs more than judging.
#[derive(Debug)]
pub(super) struct Notes {
    wanted: bool,
    pub(super) all: Vec<Evidence>,
}

impl Notes {
    /// For an outcome alone.
    pub(super) const fn none() -> Self {
        Self { wanted: false, all: Vec::new() }
    }

    /// For a finding.
    pub(super) const fn wanted() -> Self {
        Self { wanted: true, all: Vec::new() }
    }

    pub(super) fn add(&mut self, note: impl FnOnce() -> Evidence) {
        if self.wanted {
            self.all.push(note());
        }
    }
}
