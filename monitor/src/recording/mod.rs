//! Recordings: what the engine took in, as JSON lines, and what it finds when it takes that in again.
//!
//! The first line is the [`Header`], each further one a [`Step`](crate::model::Step), the last one says how many there
//! are and whether that is all. A file without that line was cut off. The engine's state is made of nothing but its
//! settings and its steps, so a recording replays exactly, without a kernel and without Docker.

mod read;
mod replay;
mod write;

pub use read::{LONGEST_LINE, Recording, Unreadable};
pub use replay::Replay;
pub use write::{Written, create, write};

use crate::engine::Settings;
use crate::model::{HostId, KernelTime, SafeText, WallTime};
use crate::policy::file::Policy;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Name and version of the format.
pub const SCHEMA: &str = "vethwatch-recording/1";

/// The first line: where and with which settings it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program that recorded.
    pub version: SafeText,
    /// Host name.
    pub host: SafeText,
    /// The id of its boot.
    pub boot_id: SafeText,
    /// The wall clock when the kernel's began.
    pub booted: WallTime,
    /// When the watch began.
    pub started: KernelTime,
    /// Nanoseconds between two ticks.
    pub tick_ns: u64,
    /// Nanoseconds that rates are about.
    pub window_ns: u64,
    /// The content of the policy file, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Header {
    /// The host.
    #[must_use]
    pub fn host(&self) -> HostId {
        HostId { name: self.host.clone(), boot_id: self.boot_id.as_str().into() }
    }

    /// The engine's settings, with the rules of this policy.
    #[must_use]
    pub fn settings(&self, policy: Policy) -> Settings {
        Settings {
            window: Duration::from_nanos(self.window_ns),
            policy: Arc::new(policy),
            booted: self.booted,
            ..Settings::new(self.host())
        }
    }
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// Steps before it.
    steps: u64,
    /// Whether these are all; otherwise the engine took in more than could be recorded, from here on.
    is_complete: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndLine {
    end: End,
}

#[cfg(test)]
mod tests;
