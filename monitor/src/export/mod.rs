//! Metrics: what the snapshots tell, kept so that counters only grow, and written as OpenMetrics or Prometheus text.
//!
//! ```text
//! Snapshot, Finding ─▶ Ledger ─▶ Page ─▶ text
//! ```
//!
//! No label is an address or a port. `docs/metrics.md` lists every family; a test keeps it equal to [`families`].

mod containers;
pub mod families;
mod findings;
mod known;
mod labels;
mod latencies;
mod ledger;
mod names;
mod networks;
mod page;
mod pairs;
mod shelf;
#[cfg(test)]
mod tests;

pub use families::Family;
pub use ledger::Ledger;
pub use page::{Format, Page};

use crate::model::WallTime;

/// How it went when settings and policy were last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether everything was right.
    pub successful: bool,
    /// When it last was.
    pub success: WallTime,
}

/// How the clients of the agent's socket fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Those that are there.
    pub now: u64,
    /// Those that there was no room for, since the start.
    pub refused: u64,
    /// Records that clients did not get because they were slow, since the start.
    pub records_lost: u64,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most series of containers, networks, pairs and findings.
    pub most_series: usize,
    /// Whether pairs have series.
    pub pairs: bool,
    /// Whether containers have the series of cAdvisor as well.
    pub cadvisor: bool,
}
