//! Lines that are kept: in a file that is ended and begun anew as it grows, or handed to standard output.
//!
//! ```text
//! lines ─▶ Store ─▶ Rotated ─▶ the file ─renamed─▶ ended files, of which so many are kept
//!            │  └─▶ Pipe    ─▶ standard output
//!            └─ what cannot be written is counted, and tried again after a pause
//! ```
//!
//! A line is written whole or not at all. Nothing here waits but for the disk or for who reads the pipe: it is for a
//! thread of its own.

mod ended;
mod file;
mod keeper;
mod outage;
mod pipe;
mod place;
mod rotated;
mod whole;

pub use keeper::Keeper;
pub use place::{Place, Unusable, lock_file};
pub use rotated::Rotation;

use crate::model::{KernelTime, WallTime};
use outage::Outage;
use pipe::Pipe;
use rotated::Rotated;
use std::fs::File;
use std::path::Path;

/// Where lines are kept, and how it goes.
#[derive(Debug)]
pub struct Store {
    target: Target,
    outage: Outage,
    lost: u64,
}

#[derive(Debug)]
enum Target {
    File(Rotated),
    Pipe(Pipe),
}

impl Store {
    /// Lines in the file of this name, which its keeper opens with the first one: made if it is not there, and appended to
    /// if it is.
    #[must_use]
    pub fn in_file(keeper: Box<dyn Keeper>, name: &Path, rotation: Rotation) -> Self {
        Self::of(Target::File(Rotated::new(keeper, rotation)), name.display().to_string())
    }

    /// The same, opened at once.
    ///
    /// # Errors
    /// When the file must not be written to, or cannot be. What may pass by itself, as a full disk, is none: lines are
    /// lost until it does.
    pub fn in_free_file(keeper: Box<dyn Keeper>, name: &Path, rotation: Rotation) -> Result<Self, Unusable> {
        let mut file = Rotated::new(keeper, rotation);
        match file.open() {
            Err(unusable) if !unusable.may_pass() => Err(unusable),
            // The first line finds it again, and says so.
            Ok(()) | Err(_) => Ok(Self::of(Target::File(file), name.display().to_string())),
        }
    }

    /// Lines to standard output or what stands for it, which is neither rotated nor cut.
    #[must_use]
    pub fn in_pipe(pipe: File) -> Self {
        Self::of(Target::Pipe(Pipe::new(pipe)), "standard output".to_owned())
    }

    fn of(target: Target, name: String) -> Self {
        Self { target, outage: Outage::none(name), lost: 0 }
    }

    /// How many lines were not written since the start.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether it is worth making a line now; else count it by [`Store::lose`].
    #[must_use]
    pub fn takes(&self, at: KernelTime) -> bool {
        !self.outage.pauses(at)
    }

    /// Counts lines that were not made.
    pub const fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }

    /// Writes lines, each ended by a line feed; those that could not be written are counted.
    pub fn write(&mut self, lines: &[u8], at: KernelTime, now: WallTime) {
        if lines.is_empty() {
            return;
        }
        let (written, result) = match &mut self.target {
            Target::File(file) => file.write(lines, now),
            Target::Pipe(pipe) => pipe.write(lines),
        };
        let before = self.lost;
        self.lost += whole::count(&lines[written..]);
        self.outage.note(result, at, before, self.lost);
    }
}

#[cfg(test)]
mod tests;
