//! Reading a recording, which may come from anybody: a line is bounded, and a mistake has its line number.

use super::{EndLine, Header, SCHEMA};
use crate::model::{SafeText, Step};
use std::io::{self, BufRead, Read as _};

/// The most bytes of a line, its line feed included. Readings of 65,536 interfaces are about half of it.
pub const LONGEST_LINE: usize = 64 << 20;
/// How the last line begins.
const END: &[u8] = b"{\"end\":";

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not a recording.
    #[error("not a recording: the first line is no header of {SCHEMA}: {0}")]
    NoHeader(SafeText),
    /// It is of another version.
    #[error("a recording of version {0}; this program reads {SCHEMA}")]
    Version(SafeText),
    /// A line is not what it should be.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        what: SafeText,
    },
    /// It could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A recording: an iterator over its steps.
#[derive(Debug)]
pub struct Recording<R> {
    header: Header,
    source: R,
    line: u64,
    text: Vec<u8>,
    is_over: bool,
    is_complete: bool,
}

impl<R: BufRead> Recording<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or of another version.
    pub fn open(mut source: R) -> Result<Self, Unreadable> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema: String,
        }
        let mut text = Vec::new();
        if !next_line(&mut source, &mut text)? {
            return Err(Unreadable::NoHeader(SafeText::new("it is longer than a line may be")));
        }
        let no_header = |error: serde_json::Error| Unreadable::NoHeader(SafeText::new(&error.to_string()));
        let Version { schema } = serde_json::from_slice(&text).map_err(no_header)?;
        if schema != SCHEMA {
            return Err(Unreadable::Version(SafeText::new(&schema)));
        }
        let header = serde_json::from_slice(&text).map_err(no_header)?;
        Ok(Self { header, source, line: 1, text, is_over: false, is_complete: false })
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether, once all steps were read, they are all that the engine took in. `false` for a file that was cut off.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn step(&mut self) -> Result<Option<Step>, Unreadable> {
        self.line += 1;
        if !next_line(&mut self.source, &mut self.text)? {
            return Err(self.wrong(format!("longer than {LONGEST_LINE} bytes")));
        }
        // A file that was cut off may end in the middle of a line.
        if !self.text.ends_with(b"\n") {
            return Ok(None);
        }
        if !self.text.starts_with(END) {
            let step = serde_json::from_slice(&self.text).map_err(|error| self.wrong(error))?;
            return Ok(Some(step));
        }
        let EndLine { end } = serde_json::from_slice(&self.text).map_err(|error| self.wrong(error))?;
        if end.steps != self.line - 2 {
            let found = self.line - 2;
            return Err(self.wrong(format!("{} steps were recorded, and {found} are there", end.steps)));
        }
        self.line += 1;
        if !self.source.fill_buf()?.is_empty() {
            return Err(self.wrong("behind the end"));
        }
        self.is_complete = end.is_complete;
        Ok(None)
    }

    fn wrong(&self, what: impl ToString) -> Unreadable {
        Unreadable::Line { line: self.line, what: SafeText::new(&what.to_string()) }
    }
}

impl<R: BufRead> Iterator for Recording<R> {
    type Item = Result<Step, Unreadable>;

    /// The next step. Nothing comes after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step().transpose();
        self.is_over = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Reads a line with its line feed, which the end of the file may lack; whether it was short enough.
fn next_line(source: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<bool> {
    text.clear();
    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    source.take(most).read_until(b'\n', text)?;
    Ok(text.len() < LONGEST_LINE || text.ends_with(b"\n"))
}
