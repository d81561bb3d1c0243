//! Where a file is, and whether it may be written to: who runs as root must not be led to write elsewhere.

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A new file may be read by its group too: that is who reads logs.
const MODE: Mode = Mode::from_raw_mode(0o640);
/// The right to write that everybody has.
const WRITABLE_BY_ALL: u32 = 0o002;
/// In a folder with this bit nobody renames or removes the files of others.
const STICKY: u32 = 0o1000;

/// Why lines cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The path ends in no name.
    #[error("it names no file")]
    Nameless,
    /// Whoever can write to the folder can lead us elsewhere.
    #[error("everybody can write to its folder")]
    OpenFolder,
    /// A symbolic link.
    #[error("it is a symbolic link; name the file that it leads to")]
    Link,
    /// A pipe, a device, a folder.
    #[error("it is no regular file; `-` writes to standard output, whatever that is")]
    NoFile,
    /// Hard links: writing here writes elsewhere.
    #[error("it has other names too (hard links)")]
    ManyNames,
    /// Neither ours nor root's.
    #[error("it belongs to somebody else")]
    Foreign,
    /// Two writers would tear each other's lines.
    #[error("another process writes to it")]
    Taken,
    /// Who keeps it says so.
    #[error("{reason}")]
    Told {
        /// Why.
        reason: String,
        /// Whether it may pass by itself.
        may_pass: bool,
    },
    /// The system refuses.
    #[error(transparent)]
    Refused(#[from] io::Error),
}

impl From<rustix::io::Errno> for Unusable {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Refused(error.into())
    }
}

impl Unusable {
    /// Whether it may pass without anybody changing what was asked for: a disk that is full, read-only or ill.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let error = match self {
            Self::Refused(error) => error,
            Self::Told { may_pass, .. } => return *may_pass,
            _ => return false,
        };
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        ) || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
    }
}

/// Makes a file and locks it, as long as what is given back lives. It stays: removing it would let two have it.
///
/// # Errors
/// When it must not be made there, cannot be, or another process has it ([`Unusable::Taken`]).
pub fn lock_file(path: &Path) -> Result<File, Unusable> {
    let place = Place::new(path)?;
    let folder = place.folder()?;
    Ok(place.open_in(&folder)?.0)
}

/// A folder, and a name in it.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    name: OsString,
}

impl Place {
    /// Those of a path.
    ///
    /// # Errors
    /// When the path names no file.
    pub fn new(path: &Path) -> Result<Self, Unusable> {
        let name = path.file_name().ok_or(Unusable::Nameless)?.to_owned();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { folder, name })
    }

    /// The name in the folder.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The folder as it is now.
    pub(super) fn folder(&self) -> Result<OwnedFd, Unusable> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::open(&self.folder, flags, Mode::empty())?);
        let mode = folder.metadata()?.mode();
        if mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0 {
            return Err(Unusable::OpenFolder);
        }
        Ok(folder.into())
    }

    /// Opens the file for appending, makes it if it is not there, and locks it against others of us.
    pub(super) fn open_in(&self, folder: &OwnedFd) -> Result<(File, Metadata), Unusable> {
        // NONBLOCK: a pipe without a reader is an error, not a wait. Regular files know no such thing.
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(folder, &self.name, flags, MODE) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::LOOP) => return Err(Unusable::Link),
            Err(rustix::io::Errno::ISDIR | rustix::io::Errno::NXIO) => return Err(Unusable::NoFile),
            Err(error) => return Err(error.into()),
        };
        let about = file.metadata()?;
        check(&about)?;
        lock(&file)?;
        Ok((file, about))
    }
}

fn check(about: &Metadata) -> Result<(), Unusable> {
    if !about.is_file() {
        return Err(Unusable::NoFile);
    }
    if about.nlink() > 1 {
        return Err(Unusable::ManyNames);
    }
    if !is_ours(about.uid()) {
        return Err(Unusable::Foreign);
    }
    Ok(())
}

/// Whether what this user owns can be trusted.
pub(super) fn is_ours(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Where the file system has no locks, nothing is lost but this check.
fn lock(file: &File) -> Result<(), Unusable> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(Unusable::Taken),
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
    }
}
