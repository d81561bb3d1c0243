//! Why a command could not do its work, and the exit code that says so.

use crate::collector::StartError;
use std::fmt;

/// Not permitted, or the kernel, Docker or the system lacks something.
const LACKING: u8 = 3;

/// There are findings.
const FOUND: u8 = 1;
/// It cannot be told.
const BLIND: u8 = 4;

/// A command that could not do its work.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// Something is lacking, which was said already.
    #[must_use]
    pub fn lacking(error: anyhow::Error) -> Self {
        Self { code: LACKING, error }
    }

    /// What was looked for was found; the text says what.
    #[must_use]
    pub fn found(what: String) -> Self {
        Self { code: FOUND, error: anyhow::Error::msg(what) }
    }

    /// It cannot be told; the text says why.
    #[must_use]
    pub fn blind(why: String) -> Self {
        Self { code: BLIND, error: anyhow::Error::msg(why) }
    }

    /// Whether it is that this process may not watch.
    pub(super) fn is_not_permitted(&self) -> bool {
        matches!(self.error.downcast_ref(), Some(StartError::NotPermitted { .. }))
    }

    /// The same with something that is to be known about it.
    #[must_use]
    pub(super) fn noting(self, what: &str) -> Self {
        Self { error: anyhow::anyhow!("{self} ({what})"), ..self }
    }

    /// What was typed, or a file that was named, is wrong.
    #[must_use]
    pub(super) fn wrong(error: anyhow::Error) -> Self {
        Self { code: super::USAGE, error }
    }

    /// The process's exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::lacking(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::lacking(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::lacking(error.into())
    }
}
