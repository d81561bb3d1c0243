//! A standing finding.

use super::PostureRule;
use crate::attribution::{ContainerRef, NetworkRef};
use crate::model::{KernelTime, SafeText, WallTime};
use crate::policy::Severity;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a standing finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A container.
    Container(Arc<ContainerRef>),
    /// A network.
    Network(NetworkRef),
}

impl Subject {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SafeText {
        match self {
            Self::Container(container) => &container.name,
            Self::Network(network) => &network.name,
        }
    }
}

/// A standing finding, as of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The same for what is found again: rule and subject make it.
    pub id: u64,
    /// Counted up each time it is told.
    pub revision: u32,
    /// Whether it still stands.
    pub is_open: bool,
    /// How much it matters.
    pub severity: Severity,
    /// The rule that finds it.
    pub rule: PostureRule,
    /// What it is about.
    pub subject: Subject,
    /// What exactly, as Docker writes it: ports, rights, or names of networks or of a container; the first 16.
    pub what: Vec<SafeText>,
    /// How many there are.
    pub what_count: usize,
    /// When the container was started, if that is known.
    pub since: Option<WallTime>,
    /// When it was found first.
    pub first_seen: KernelTime,
    /// When it was found as it is told here; of one that is over, when that was found.
    pub last_seen: KernelTime,
    /// All of it in a sentence or two, with what to do about it.
    pub explanation: String,
}
