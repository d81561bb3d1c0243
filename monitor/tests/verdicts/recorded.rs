//! What a row's vethwatch takes in is recorded, and must give the same findings when it is replayed.
//!
//! `VW_RECORD=FOLDER` keeps the recordings there, named as the rows, for `cargo xtask scenarios`.

use anyhow::{Context, Result, ensure};
use lab::Vethwatch;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A row's recording; removed when dropped, unless it is kept.
pub(crate) struct Recorded {
    file: String,
    is_kept: bool,
}

impl Recorded {
    /// For the row whose names start with this prefix, `vw-<row>-<pid>`.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let folder = std::env::var_os("VW_RECORD").map(PathBuf::from);
        let is_kept = folder.is_some();
        let file = folder.unwrap_or_else(std::env::temp_dir).join(format!("{prefix}.jsonl"));
        Ok(Self { file: file.into_os_string().into_string().ok().context("a path in UTF-8")?, is_kept })
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Replays it: word for word the findings that were told, but for the number of the line. Where so much goes on that
    /// the engine is behind when it is stopped, what it tells more than two seconds later is recorded, but not printed.
    pub(crate) fn must_replay(&self, told: &[Value]) -> Result<()> {
        let mode = std::fs::metadata(&self.file)?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "others may read the recording: {mode:o}");
        let words = ["replay", &self.file, "--json", "--kind", "violation,broken,crossing"];
        let replayed = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).json(&words)?;
        let (told, replayed) = (findings(told), findings(&replayed));
        ensure!(!told.is_empty(), "nothing was told");
        ensure!(told.len() <= replayed.len(), "{} told, {} replayed", told.len(), replayed.len());
        for (told, replayed) in told.iter().zip(&replayed) {
            ensure!(told == replayed, "told:     {told}\nreplayed: {replayed}");
        }
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may never have been made.
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

/// The findings among some lines, as text without their numbers.
fn findings(lines: &[Value]) -> Vec<String> {
    let findings = lines.iter().filter(|line| line["type"] == "finding").cloned().map(|mut line| {
        line["sequence"].take();
        line.to_string()
    });
    findings.collect()
}
