//! What the helper is asked for, and what it answers.

use crate::collector;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A path, whatever bytes it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name(Vec<u8>);

impl From<&Path> for Name {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl Name {
    /// The path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsStr::from_bytes(&self.0).to_owned())
    }
}

/// Device and inode of a file.
pub type Identity = (u64, u64);

/// What is asked for. Whatever names a file or an address has to name one that the settings do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Something of the kernel.
    Kernel(collector::Request),
    /// Read the settings again: what they name then may be asked for too.
    ReadSettings,
    /// Open a file to read: settings, policy, a key.
    Open(Name),
    /// Make the file to record into.
    MakeRecording(Name),
    /// Bind a TCP socket; `beside` another one at the same port, for a moment.
    Bind {
        /// The address.
        at: SocketAddr,
        /// Whether there is one.
        beside: bool,
    },
    /// Make the agent's socket for a group.
    MakeSocket(Name, String),
    /// Something about the agent's socket, which is this file.
    Socket(Name, Identity, AboutSocket),
    /// Something about the file of records.
    Records(Name, AboutRecords),
    /// Where Docker is.
    DockerHost,
    /// A connection by which one `GET` can be asked of Docker.
    Docker,
}

/// What is asked about the agent's socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AboutSocket {
    /// Whether it is where it was made.
    IsThere,
    /// Whether whoever opens the path comes there, and those of this group may.
    IsFor(String),
    /// Give it to this group.
    GiveTo(String),
    /// Remove it.
    Remove,
}

/// What is asked about the file of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AboutRecords {
    /// Open it, or make it.
    Open,
    /// Which file has its place.
    There,
    /// End it, and keep so many ended ones.
    End {
        /// The wall clock, in nanoseconds.
        now: i64,
        /// How many.
        keep: usize,
    },
}

/// What came of it. Descriptors come beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of the kernel.
    Kernel(collector::Answer),
    /// It is done.
    Done,
    /// Yes or no.
    Is(bool),
    /// A file, if there is one.
    File(Option<Identity>),
    /// A text.
    Text(String),
    /// It is not done.
    Refused {
        /// The number of the system's error, if it is one.
        code: Option<i32>,
        /// Why, for a person.
        reason: String,
        /// Whether it may pass by itself.
        may_pass: bool,
    },
}

impl Answer {
    /// That it is not done, and why.
    #[must_use]
    pub fn refused(error: &io::Error) -> Self {
        Self::Refused { code: error.raw_os_error(), reason: error.to_string(), may_pass: false }
    }

    /// That it is not done, and why.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self::Refused { code: None, reason: reason.into(), may_pass: false }
    }

    /// That it must not be.
    #[must_use]
    pub fn not_named() -> Self {
        Self::refused(&io::Error::from_raw_os_error(libc::EACCES))
    }
}
