//! A file that is ended when it is large or old, and begun anew.

use super::file::Current;
use super::{Keeper, Unusable, whole};
use crate::model::WallTime;
use std::time::Duration;

/// When a file is ended, and how many ended ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The size in bytes that a file does not exceed, unless a single line does.
    pub size: u64,
    /// The age from which on the next line begins a new file.
    pub age: Duration,
    /// How many ended files are kept.
    pub keep: usize,
}

/// The file that has the place now. When another one has it, as after logrotate, that one is written to.
#[derive(Debug)]
pub(super) struct Rotated {
    keeper: Box<dyn Keeper>,
    rotation: Rotation,
    current: Option<Current>,
}

impl Rotated {
    pub(super) fn new(keeper: Box<dyn Keeper>, rotation: Rotation) -> Self {
        Self { keeper, rotation, current: None }
    }

    /// Opens the file, if it is not open.
    pub(super) fn open(&mut self) -> Result<(), Unusable> {
        self.current = Some(self.current()?);
        Ok(())
    }

    fn current(&mut self) -> Result<Current, Unusable> {
        match self.current.take().filter(|current| current.is_kept_by(&*self.keeper)) {
            Some(current) => Ok(current),
            None => Current::open(&*self.keeper),
        }
    }

    /// Writes lines; how many bytes of whole lines were written, and what went wrong.
    pub(super) fn write(&mut self, lines: &[u8], now: WallTime) -> (usize, Result<(), Unusable>) {
        let mut written = 0;
        while written < lines.len() {
            match self.write_some(&lines[written..], now) {
                Ok((length, Ok(()))) => written += length,
                Ok((length, Err(error))) => return (written + length, Err(error.into())),
                Err(unusable) => return (written, Err(unusable)),
            }
        }
        (written, Ok(()))
    }

    /// Writes what fits into one file, or ends one.
    fn write_some(&mut self, lines: &[u8], now: WallTime) -> Result<(usize, std::io::Result<()>), Unusable> {
        let mut current = self.current()?;
        let length = current.length()?;
        let fitting = whole::fitting(lines, self.rotation.size.saturating_sub(length), length == 0);
        if length > 0 && (fitting == 0 || current.age(now) >= self.rotation.age) {
            return self.keeper.end(now, self.rotation.keep).map(|()| (0, Ok(())));
        }
        let appended = current.append(&lines[..fitting], now);
        self.current = Some(current);
        Ok(appended)
    }
}
