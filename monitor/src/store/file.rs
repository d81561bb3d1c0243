//! The file that lines are appended to.

use super::{Keeper, Unusable, whole};
use crate::model::WallTime;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, SystemTime};

/// A file that is open. Others may cut it, rename it or remove it meanwhile.
#[derive(Debug)]
pub(super) struct Current {
    file: File,
    device: u64,
    inode: u64,
    /// When its first line was written; absent while it has none.
    began: Option<WallTime>,
    /// Whether it ends in half a line.
    torn: bool,
}

impl Current {
    /// Opens the file, or makes it.
    pub(super) fn open(keeper: &dyn Keeper) -> Result<Self, Unusable> {
        let file = keeper.open()?;
        let about = file.metadata()?;
        let length = about.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        // A file system that does not tell when a file was made has it begin with our first line.
        let began = about.created().ok().filter(|_| length > 0).and_then(wall);
        Ok(Self { file, device: about.dev(), inode: about.ino(), began, torn: last != *b"\n" })
    }

    /// Whether it still is what has this place.
    pub(super) fn is_kept_by(&self, keeper: &dyn Keeper) -> bool {
        keeper.there() == Some((self.device, self.inode))
    }

    /// Its length in bytes, with the line feed that it lacks.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len() + u64::from(self.torn))
    }

    /// How long ago it began.
    pub(super) fn age(&self, now: WallTime) -> Duration {
        let nanoseconds = self.began.map_or(0, |began| now.0.saturating_sub(began.0));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
    }

    /// Appends whole lines; how many bytes of whole lines are in the file, and what went wrong.
    pub(super) fn append(&mut self, lines: &[u8], now: WallTime) -> (usize, io::Result<()>) {
        match self.prepare(now) {
            Ok(before) => self.append_at(before, lines),
            Err(error) => (0, Err(error)),
        }
    }

    /// Ends a half line; the length then.
    fn prepare(&mut self, now: WallTime) -> io::Result<u64> {
        if std::mem::take(&mut self.torn)
            && let (_, Err(error)) = whole::write_all(&mut self.file, b"\n")
        {
            self.torn = true;
            return Err(error);
        }
        let length = self.file.metadata()?.len();
        if length == 0 || self.began.is_none() {
            self.began = Some(now);
        }
        Ok(length)
    }

    fn append_at(&mut self, before: u64, lines: &[u8]) -> (usize, io::Result<()>) {
        let (written, result) = whole::write_all(&mut self.file, lines);
        let kept = whole::length(&lines[..written]);
        if kept < written {
            self.torn = self.cut(before, written, kept).is_err();
        }
        (kept, result)
    }

    /// Takes half a line away, if the file still is as we left it.
    fn cut(&self, before: u64, written: usize, kept: usize) -> io::Result<()> {
        if self.file.metadata()?.len() != before + written as u64 {
            return Err(io::Error::other("somebody else has cut it"));
        }
        self.file.set_len(before + kept as u64)
    }
}

fn wall(time: SystemTime) -> Option<WallTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok().map(WallTime)
}
