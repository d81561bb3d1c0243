//! `--record FILE`: what the engine takes in, written by a thread of its own.

use super::failure::Failure;
use crate::engine::{Tap, Tapping};
use crate::model::SafeText;
use crate::recording::{self, Header, Written};
use anyhow::{Context as _, anyhow};
use std::fs::File;
use std::io;
use std::path::Path;
use tokio::task::JoinHandle;

/// A recording that is being made.
#[derive(Debug)]
pub(super) struct Record {
    name: SafeText,
    writer: JoinHandle<io::Result<Written>>,
}

impl Record {
    /// Starts to record into a new file, which is made by `create`.
    ///
    /// # Errors
    /// When the file exists, or cannot be made.
    pub(super) fn start(
        file: &Path,
        create: impl FnOnce(&Path) -> io::Result<File>,
        header: Header,
    ) -> Result<(Self, Tap), Failure> {
        let name = SafeText::new(&file.to_string_lossy());
        let opened = create(file);
        let opened = opened.with_context(|| format!("make the recording {name}")).map_err(Failure::wrong)?;
        let (tap, tapping) = Tap::new(header.started);
        let writer = tokio::task::spawn_blocking({
            let name = name.clone();
            move || write(&name, &header, tapping, opened)
        });
        Ok((Self { name, writer }, tap))
    }

    /// Waits until everything is written, after the engine has ended.
    ///
    /// # Errors
    /// When not all of it could be written.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Self { name, writer } = self;
        let written = writer.await.context("write the recording")?;
        match written.with_context(|| format!("the recording {name} is not complete"))? {
            Written { is_complete: true, .. } => Ok(()),
            Written { steps, .. } => Err(anyhow!(
                "the recording {name} ends after {steps} steps: more came at once than could be written"
            )
            .into()),
        }
    }
}

fn write(name: &SafeText, header: &Header, tapping: Tapping, target: File) -> io::Result<Written> {
    let written = recording::write(header, tapping, target);
    if let Err(error) = &written {
        log::error!("the recording {name} ends here: {error}");
    }
    written
}
