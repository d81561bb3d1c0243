//! Where a capture is written.

use crate::model::SafeText;
use crate::run::failure::Failure;
use crate::run::output::Output;
use crate::settings::WriteTo;
use anyhow::{Context as _, anyhow};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Seek as _, Write, stdout};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Only who captures may read it: it has what was said.
const MODE: u32 = 0o600;

/// Opens it.
///
/// # Errors
/// When standard output is a terminal, or the file cannot be made.
pub(super) fn open(target: &WriteTo) -> Result<Output, Failure> {
    match target {
        WriteTo::Standard if stdout().is_terminal() => Err(Failure::wrong(anyhow!(
            "--write - is for a pipe or a file, and standard output is a terminal"
        ))),
        WriteTo::Standard => Ok(Output::to(WholeBlocks(stdout().as_fd().try_clone_to_owned()?.into()))),
        WriteTo::File(path) => {
            let name = SafeText::new(&path.to_string_lossy());
            let opened = create(path).with_context(|| format!("make the capture {name}"));
            Ok(Output::called(name.as_str(), WholeBlocks(opened.map_err(Failure::wrong)?)))
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)
}

/// A file that ends where a block ends, even where there is no room for more: what is written at once are whole blocks,
/// and a part of these is taken back.
struct WholeBlocks(File);

impl Write for WholeBlocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.0.stream_position();
        self.0.write_all(bytes).inspect_err(|_| {
            // What is no regular file has no position, and what was written to it stays written.
            if let Ok(before) = before
                && let Err(error) = self.0.set_len(before)
            {
                log::warn!("the end of the capture could not be taken back to a whole block: {error}");
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
