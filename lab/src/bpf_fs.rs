//! A BPF file system of a test's own: not every host has one, and what a test pins is nobody else's.

use crate::command::text;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A mounted one; it and all that is pinned in it are gone when dropped.
#[derive(Debug)]
pub struct BpfFs {
    path: PathBuf,
}

impl BpfFs {
    /// Mounts one.
    ///
    /// # Errors
    /// This is not root, or the kernel refuses.
    pub fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vw-{name}-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        let new = Self { path };
        text(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&new.path), PATIENCE)?;
        Ok(new)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        // What was never mounted cannot be unmounted; the folder says whether that is so.
        let unmounted = text(Command::new("umount").arg("--lazy").arg(&self.path), PATIENCE);
        if let Err(error) = fs::remove_dir(&self.path) {
            eprintln!("{} is left: {error}, {unmounted:?}", self.path.display());
        }
    }
}
