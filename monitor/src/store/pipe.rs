//! Standard output, or what stands for it: a pipe, a terminal, a file that somebody else looks after.

use super::{Unusable, whole};
use std::fs::File;

/// It cannot be cut: half a line is ended before the next one.
#[derive(Debug)]
pub(super) struct Pipe {
    file: File,
    torn: bool,
}

impl Pipe {
    pub(super) fn new(file: File) -> Self {
        Self { file, torn: false }
    }

    /// Writes lines; how many bytes of whole lines were written, and what went wrong.
    pub(super) fn write(&mut self, lines: &[u8]) -> (usize, Result<(), Unusable>) {
        if self.torn {
            if let (_, Err(error)) = whole::write_all(&mut self.file, b"\n") {
                return (0, Err(error.into()));
            }
            self.torn = false;
        }
        let (written, result) = whole::write_all(&mut self.file, lines);
        let kept = whole::length(&lines[..written]);
        self.torn = kept < written;
        (kept, result.map_err(Unusable::from))
    }
}
