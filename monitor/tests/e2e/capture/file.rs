//! Captures as a reader sees them: blocks by the format, packets by tshark.

use anyhow::{Context, Result, ensure};
use lab::text;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A file in a folder of the test's own, which goes with it.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    is_mounted: bool,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vw-capture-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path, is_mounted: false })
    }

    /// A disk of its own, of this size.
    pub(crate) fn small(name: &str, size: &str) -> Result<Self> {
        let mut folder = Self::new(name)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "vw-capture"]).arg(&folder.path);
        text(&mut mount, PATIENCE)?;
        folder.is_mounted = true;
        Ok(folder)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_mounted
            && let Err(error) = text(Command::new("umount").arg(&self.path), PATIENCE)
        {
            eprintln!("{error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

/// What a statistics block says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) delivered: u64,
}

/// The last statistics of each interface, by its number in the file. All of the file has to be blocks.
pub(crate) fn statistics(path: &str) -> Result<Vec<Statistics>> {
    let file = fs::read(path)?;
    let mut rest = file.as_slice();
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..at + 4).context("a block that is cut off")?;
        anyhow::Ok(u32::from_le_bytes(word.try_into()?))
    };
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (kind, length) = (word(rest, 0)?, word(rest, 4)? as usize);
        let block = rest.get(..length).context("a block that is cut off")?;
        ensure!(word(block, length - 4)? as usize == length, "a block with two lengths");
        rest = &rest[length..];
        match kind {
            1 => all.push(Statistics::default()),
            5 => {
                let interface = word(block, 8)? as usize;
                *all.get_mut(interface).context("of an interface that is described")? =
                    options(&block[20..])?;
            }
            _ => {}
        }
    }
    Ok(all)
}

fn options(mut rest: &[u8]) -> Result<Statistics> {
    let mut statistics = Statistics::default();
    while let Some(([a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
        let (code, length) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
        if code == 0 {
            break;
        }
        let value = behind.get(..length).context("an option that is cut off")?;
        let number = || anyhow::Ok(u64::from_le_bytes(value.try_into()?));
        match code {
            4 => statistics.received = number()?,
            5 => statistics.dropped = number()?,
            8 => statistics.delivered = number()?,
            _ => {}
        }
        rest = &behind[length.next_multiple_of(4)..];
    }
    Ok(statistics)
}

/// Fields of the packets that a display filter takes, as tshark reads them.
pub(crate) fn fields(path: &str, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-r", path, "-Y", filter, "-T", "fields"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let lines = text(&mut tshark, PATIENCE)?;
    Ok(lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// A packet's time in nanoseconds and its bytes.
pub(crate) type Frame = (u64, Vec<u8>);

/// The packets that a display filter takes, by way of tshark and the classic format (24 bytes of header, and 16 before
/// each frame).
pub(crate) fn frames(path: &str, filter: &str) -> Result<Vec<Frame>> {
    let classic = format!("{path}.classic");
    text(
        Command::new("tshark").args(["-n", "-r", path, "-Y", filter, "-F", "nsecpcap", "-w", &classic]),
        PATIENCE,
    )?;
    let file = fs::read(&classic)?;
    fs::remove_file(&classic)?;
    let mut frames = Vec::new();
    let mut rest = file.get(24..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (frame, behind) = behind.split_at_checked(word(8) as usize).context("a frame that is cut off")?;
        frames.push((u64::from(word(0)) * 1_000_000_000 + u64::from(word(4)), frame.to_vec()));
        rest = behind;
    }
    Ok(frames)
}

/// Whether an interface is described in a file that is being written.
pub(crate) fn describes(path: impl AsRef<Path>, name: &str) -> bool {
    let name = name.as_bytes();
    fs::read(path).is_ok_and(|file| file.windows(name.len()).any(|window| window == name))
}
