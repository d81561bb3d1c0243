//! What is looked back at.

use super::{Kinds, kinds};
use crate::cli::{self, Command, Wanted, When, Who};
use std::time::Duration;

/// A look back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// At what.
    pub of: PastOf,
    /// From when; from the beginning, if absent.
    pub since: Option<When>,
    /// Until when; until now, if absent.
    pub until: Option<When>,
    /// Of whom.
    pub name: Option<String>,
}

/// At what is looked back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastOf {
    /// What each container did.
    Containers,
    /// What one of them did, by parts of this length.
    Course(Option<Duration>),
    /// Who talked to whom.
    Pairs,
    /// Where the traffic of networks went.
    Networks,
    /// How long services took to answer each other.
    Latency,
    /// What failed between services.
    Failures,
    /// How connections were spread over replicas.
    Services,
    /// Names that were asked for.
    Names,
    /// Findings of these kinds.
    Findings(Kinds),
    /// All between two ends, whoever of them asked.
    Between(Who, Wanted),
}

impl From<cli::History> for Past {
    fn from(typed: cli::History) -> Self {
        let cli::History { name, since, until, step } = typed;
        let of = if name.is_some() { PastOf::Course(step) } else { PastOf::Containers };
        Self { of, since: Some(since), until, name }
    }
}

impl Past {
    /// What a command asks to look back at, if it does.
    pub(super) fn understand(command: &Command) -> Option<Self> {
        let nobody = None;
        let (of, past, name) = match command {
            Command::Containers(typed) => (PastOf::Containers, &typed.past, &nobody),
            Command::Networks(typed) => (PastOf::Networks, &typed.past, &nobody),
            Command::Pairs(typed) => (PastOf::Pairs, &typed.table.past, &typed.container),
            Command::Latency(typed) => (PastOf::Latency, &typed.past, &typed.name),
            Command::Failures(typed) => (PastOf::Failures, &typed.past, &typed.name),
            Command::Services(typed) => (PastOf::Services, &typed.past, &typed.name),
            Command::Dns(typed) => (PastOf::Names, &typed.past, &typed.container),
            Command::Why(why) => (PastOf::Between(why.from.clone(), why.to.clone()), &why.past, &nobody),
            Command::Violations(typed) => (PastOf::Findings(kinds(&typed.kind)), &typed.past, &nobody),
            _ => return None,
        };
        let cli::Past { since, until } = *past;
        past.is_asked().then(|| Self { of, since, until, name: name.clone() })
    }
}
