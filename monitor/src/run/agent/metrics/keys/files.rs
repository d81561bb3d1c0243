//! Files with keys in them.

use crate::settings::sources::open_regular;
use anyhow::{Context as _, Result, ensure};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What all others may do with a file.
const OTHERS: u32 = 0o007;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Everybody.
    Public,
    /// Its owner and its group.
    Secret,
}

/// What tells that a file is another one, or has changed; absent is one that cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<[i64; 7]>);

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let seen = open_regular(path).and_then(|file| file.metadata()).ok();
        Self(seen.map(|seen| {
            [
                seen.dev().cast_signed(),
                seen.ino().cast_signed(),
                seen.len().cast_signed(),
                seen.mtime(),
                seen.mtime_nsec(),
                seen.ctime(),
                seen.ctime_nsec(),
            ]
        }))
    }
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// When it cannot be read, is no regular file, is longer, or is secret and others may do anything with it.
pub(super) fn read(path: &Path, secrecy: Secrecy, longest: u64) -> Result<Vec<u8>> {
    let read = || {
        let file = open_regular(path)?;
        if secrecy == Secrecy::Secret {
            let mode = file.metadata()?.mode() & 0o777;
            ensure!(mode & OTHERS == 0, "its mode is {mode:03o}: others must not have it (chmod o= FILE)");
        }
        let mut text = Vec::new();
        file.take(longest + 1).read_to_end(&mut text)?;
        ensure!(text.len() as u64 <= longest, "it is longer than {longest} bytes");
        Ok(text)
    };
    read().with_context(|| format!("{} cannot be used", path.display()))
}
