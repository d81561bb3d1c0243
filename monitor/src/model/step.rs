//! What the engine takes in, one after the other: a recording is a list of these.

use super::{Change, KernelTime, Observation};
use serde::{Deserialize, Serialize};

/// One thing that the engine takes in. The same steps in the same order bring about the same state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The inventory told something.
    Change(Change),
    /// The collector saw something.
    Observation {
        /// When the engine took it in.
        at: KernelTime,
        /// What.
        seen: Observation,
    },
    /// What time alone brings about was looked after.
    Housekeeping(KernelTime),
    /// A snapshot was made, which draws conclusions from what changed.
    Snapshot(KernelTime),
    /// Nothing more would come.
    Finish(KernelTime),
}
