//! Who has a file's place in a folder: opens what is there, looks at it, and ends it.

use super::place::Place;
use super::{Unusable, ended};
use crate::model::WallTime;
use rustix::fs::{AtFlags, statat};
use std::fmt::Debug;
use std::fs::File;

/// This process, or another that may do in the folder what this one may not.
pub trait Keeper: Debug + Send {
    /// Opens the file for appending, makes it if it is not there, and locks it.
    ///
    /// # Errors
    /// When it must not be written to, or cannot be.
    fn open(&self) -> Result<File, Unusable>;

    /// Device and inode of what has its place now.
    fn there(&self) -> Option<(u64, u64)>;

    /// Gives it the name of an ended one, and keeps so many of these.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn end(&self, now: WallTime, keep: usize) -> Result<(), Unusable>;
}

impl Keeper for Place {
    fn open(&self) -> Result<File, Unusable> {
        Ok(self.open_in(&self.folder()?)?.0)
    }

    fn there(&self) -> Option<(u64, u64)> {
        let there = statat(self.folder().ok()?, self.name(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((there.st_dev, there.st_ino))
    }

    fn end(&self, now: WallTime, keep: usize) -> Result<(), Unusable> {
        let (folder, name) = (self.folder()?, self.name());
        let mut ended = ended::list(&folder, name)?;
        ended.push(ended::end(&folder, name, ended.last().copied(), now)?);
        if let Err(unusable) = ended::prune(&folder, name, &ended, keep) {
            // No reason to lose lines; the next file that is ended finds it again.
            log::warn!("ended files of records stay, though they are too many: {unusable}");
        }
        Ok(())
    }
}
