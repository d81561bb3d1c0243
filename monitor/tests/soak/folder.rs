//! Where an agent has its socket and its records, and whether the records are whole.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// The size of a file, in bytes and as it is told: the short form fills some dozens.
const SIZE: (u64, &str) = (2_000_000, "2MB");
/// Ended files that stay.
const KEEP: usize = 3;

/// A folder that is gone when dropped.
pub(crate) struct Folder(PathBuf);

/// The number of a line.
#[derive(Deserialize)]
struct Numbered {
    sequence: u64,
}

/// What the files that are left tell of all that was written.
pub(crate) struct Kept {
    /// Lines, and numbers without a line, from the first one that is left.
    pub(crate) lines: u64,
    pub(crate) gaps: u64,
    /// Lines and gaps since the agent began.
    pub(crate) all: u64,
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, gaps, all } = self;
        write!(formatter, "{all}, of which the last {lines} are kept, with {gaps} missing between them")
    }
}

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-soak-{}", std::process::id()));
        fs::create_dir(&folder).context("making the agent's folder")?;
        Ok(Self(folder))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    /// How the agent is told.
    pub(crate) fn settings(&self) -> Vec<String> {
        let (socket, records) = (self.socket(), self.0.join("records.jsonl"));
        let (socket, records) = (socket.display(), records.display());
        vec![
            format!("--socket={socket}"),
            format!("--records-file={records}"),
            format!("--records-rotate-size={}", SIZE.1),
            format!("--records-keep={KEEP}"),
        ]
    }

    /// Reads the records that are left, once the agent has ended.
    ///
    /// # Errors
    /// Files that should have gone are there, one is too large, or a line was written twice or is none of ours.
    pub(crate) fn kept(&self) -> Result<Kept> {
        let listed = fs::read_dir(&self.0).context("listing the records")?;
        let mut ended: Vec<PathBuf> =
            listed.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        let prefix = self.0.join("records.jsonl.").to_string_lossy().into_owned();
        ended.retain(|path| path.to_string_lossy().starts_with(&prefix));
        ended.sort();
        ensure!(ended.len() == KEEP, "{KEEP} ended files should be left: {ended:?}");
        ended.push(self.0.join("records.jsonl"));
        let mut next = None;
        let mut kept = Kept { lines: 0, gaps: 0, all: 0 };
        for path in &ended {
            ensure!(path.metadata()?.len() <= SIZE.0, "{} is too large", path.display());
            for number in numbers(path)? {
                let number = number?;
                kept.gaps += number.checked_sub(next.unwrap_or(number)).context("a line is there twice")?;
                (kept.lines, next) = (kept.lines + 1, Some(number + 1));
            }
        }
        kept.all = next.context("there are no lines")?;
        Ok(kept)
    }
}

/// The number of each line.
fn numbers(path: &Path) -> Result<impl Iterator<Item = Result<u64>>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(BufReader::new(file).lines().map(|line| Ok(serde_json::from_str::<Numbered>(&line?)?.sequence)))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}
