//! Folders for records, and what is in them afterwards.

use anyhow::{Context, Result, ensure};
use lab::{Container, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// What one that was killed left.
pub(crate) const HALF: &str = "{\"schema\":";

/// A folder of the test's own, removed with all that is in it.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    is_mounted: bool,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vw-records-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path, is_mounted: false })
    }

    /// A disk of its own, of this size.
    pub(crate) fn small(name: &str, size: &str) -> Result<Self> {
        let mut folder = Self::new(name)?;
        let options = format!("size={size},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "vw-records"]).arg(&folder.path);
        text(&mut mount, PATIENCE)?;
        folder.is_mounted = true;
        Ok(folder)
    }

    /// The file that is written to.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join("records.jsonl")
    }

    /// The ended files, oldest first.
    pub(crate) fn ended(&self) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| file.to_string_lossy().contains("/records.jsonl.2"));
        files.sort();
        Ok(files)
    }

    /// All lines, oldest first.
    pub(crate) fn lines(&self) -> Result<Vec<Value>> {
        let mut files = self.ended()?;
        files.push(self.file());
        files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>().map(|lines| lines.concat())
    }

    /// The lines about a container that can be read while somebody writes: files may go meanwhile, and lines be halves.
    pub(crate) fn so_far(&self, about: &Container) -> Result<Vec<Value>> {
        let mut files = self.ended()?;
        files.push(self.file());
        let texts: Vec<String> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains(&about.id));
        Ok(lines.filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Makes a disk of its own larger.
    pub(crate) fn grow(&self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.path);
        text(&mut mount, PATIENCE).map(drop)
    }
}

/// The lines of a file; each must be whole.
pub(crate) fn read(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    ensure!(text.is_empty() || text.ends_with('\n'), "{} ends in half a line", file.display());
    let lines = text.lines().filter(|line| *line != HALF);
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// How many numbers are missing between the first line and the last, and from 0 on.
pub(crate) fn gaps(lines: &[Value]) -> Result<u64> {
    let numbers = lines.iter().map(|line| line["sequence"].as_u64().context("a line has a number"));
    let numbers = numbers.collect::<Result<Vec<_>>>()?;
    let different: BTreeSet<_> = numbers.iter().collect();
    ensure!(different.len() == numbers.len(), "a number is there twice");
    ensure!(numbers.is_sorted(), "the lines are not in order");
    let last = numbers.last().context("there are lines")?;
    Ok(last + 1 - numbers.len() as u64)
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_mounted {
            let mut umount = Command::new("umount");
            if let Err(error) = text(umount.arg(&self.path), PATIENCE) {
                eprintln!("{error:#}");
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}
