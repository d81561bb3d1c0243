//! Writing a recording.

use super::read::LONGEST_LINE;
use super::{End, EndLine, Header};
use crate::engine::Tapping;
use crate::model::Step;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Only who records may read it: it has names and addresses.
const MODE: u32 = 0o600;

/// Makes the file of a recording.
///
/// # Errors
/// When the file exists, or cannot be made.
pub fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(file)
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Steps.
    pub steps: u64,
    /// Whether that is all that the engine took in.
    pub is_complete: bool,
}

/// Writes what an engine takes in until it has ended. Blocks; the engine does not wait for it.
///
/// # Errors
/// When `target` takes no more, such as a full disk. What is there by then can be read.
pub fn write(header: &Header, mut tapping: Tapping, target: impl Write) -> io::Result<Written> {
    let mut target = BufWriter::new(target);
    line(&mut target, header)?;
    target.flush()?;
    let (mut steps, mut all_fit) = (0, true);
    for step in tapping.by_ref() {
        if !line(&mut target, &step)? {
            all_fit = false;
            break;
        }
        steps += 1;
        // A process that is killed leaves what it took in so far.
        if matches!(step, Step::Snapshot(_)) {
            target.flush()?;
        }
    }
    let written = Written { steps, is_complete: all_fit && tapping.lost() == 0 };
    line(&mut target, &EndLine { end: End { steps, is_complete: written.is_complete } })?;
    target.flush()?;
    Ok(written)
}

/// Writes a line, unless it would be too long to be read.
fn line(target: &mut impl Write, what: &impl Serialize) -> io::Result<bool> {
    let mut text = serde_json::to_vec(what)?;
    if text.len() >= LONGEST_LINE {
        return Ok(false);
    }
    text.push(b'\n');
    target.write_all(&text)?;
    Ok(true)
}
