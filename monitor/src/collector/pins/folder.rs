//! The folder of the BPF file system, and who has it.

use super::book::Book;
use super::layout::Layout;
use super::{Before, Pins};
use crate::collector::attacher::namespace;
use crate::collector::bpf::{self, TcxHook};
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat, statfs};
use rustix::io::Errno;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `BPF_FS_MAGIC`.
const BPF_FS: u64 = 0xcafe_4a11;
/// Where it usually is.
pub(in crate::collector) const USUAL: &str = "/sys/fs/bpf";
/// How often, and how soon, it is looked whether a killed agent's helper has let go of the folder: on a host that is busy it may
/// take seconds to end, and whoever does not wait for it has no pins.
const LOOKS: u32 = 500;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The folders in it.
const MAPS: &str = "maps";
const OLD: &str = "old";
const LINKS: &str = "links";

/// The folder, locked as long as any of the agent's processes lives.
#[derive(Debug)]
pub(in crate::collector) struct Folder {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Pins {
    /// Takes the folder, and looks what is there. What cannot be gone on with is removed.
    ///
    /// # Errors
    /// When another agent has it, or it cannot be had.
    pub(in crate::collector) fn open(dir: &Path, layout: &Layout) -> Result<Self> {
        let folder = Folder::take(dir)?;
        let before = folder.look(layout)?;
        if matches!(before, Before::Nothing) {
            folder.empty()?;
        }
        for inner in [MAPS, LINKS] {
            make(&folder.path.join(inner))?;
        }
        Ok(Self { folder, before })
    }
}

impl Folder {
    fn take(dir: &Path) -> Result<Self> {
        ensure!(dir.is_absolute(), "{} is not an absolute path", dir.display());
        let parent = dir.parent().with_context(|| format!("{} is no folder of its own", dir.display()))?;
        let parent = parent.canonicalize().with_context(|| format!("there is no {}", parent.display()))?;
        ensure!(is_bpf(&parent), "{} is not in a BPF file system", dir.display());
        let path = parent.join(dir.file_name().with_context(|| format!("{} has no name", dir.display()))?);
        let lock = lock(|| {
            make(&path)?;
            try_lock(&path)
        })?;
        Ok(Self { path, _lock: lock.with_context(|| format!("another agent has {}", dir.display()))? })
    }

    fn look(&self, layout: &Layout) -> Result<Before> {
        let olds = self.olds()?;
        if let Some(latest) = olds.last().filter(|latest| !Book::is_in(&self.maps()) && Book::is_in(latest)) {
            // An agent was killed between the two.
            remove_tree(&self.maps())?;
            fs::rename(latest, self.maps()).context("put the old maps back")?;
        }
        let Ok(book) = Book::open(&self.maps()) else { return Ok(Before::Nothing) };
        let journal = book.journal()?;
        let ours = namespace::cookie().context("ask for the network namespace's cookie")?;
        ensure!(
            journal.namespace == ours,
            "{} has what is of another network namespace",
            self.path.display()
        );
        if journal.layout == layout.fingerprint {
            return Ok(Before::Same(book));
        }
        // There are others, if the agent before was killed while it took over totals itself.
        let age = u32::try_from(self.olds()?.len())?;
        make(&self.old())?;
        fs::rename(self.maps(), self.old_maps(age)).context("put the old maps aside")?;
        Ok(Before::Other(book, age))
    }

    /// Where it is.
    pub(in crate::collector) fn path(&self) -> &Path {
        &self.path
    }

    /// The programs' maps and the book.
    pub(in crate::collector) fn maps(&self) -> PathBuf {
        self.path.join(MAPS)
    }

    /// Where those of other layouts are, until their totals are taken over.
    pub(in crate::collector) fn old(&self) -> PathBuf {
        self.path.join(OLD)
    }

    /// Those of one of them; the number that was given last is that of the latest.
    pub(in crate::collector) fn old_maps(&self, number: u32) -> PathBuf {
        self.old().join(number.to_string())
    }

    /// All of them, the latest last.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn olds(&self) -> io::Result<Vec<PathBuf>> {
        olds(&self.path)
    }

    /// Where a link is pinned.
    fn link(&self, ifindex: u32, hook: TcxHook) -> PathBuf {
        let hook = match hook {
            TcxHook::Ingress => "in",
            TcxHook::Egress => "out",
        };
        self.path.join(LINKS).join(format!("{ifindex}-{hook}"))
    }

    /// Pins a link.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn pin_link(
        &self,
        link: BorrowedFd<'_>,
        ifindex: u32,
        hook: TcxHook,
    ) -> io::Result<()> {
        bpf::pin(link, &self.link(ifindex, hook))
    }

    /// Opens a link, if it is one of this hook.
    ///
    /// # Errors
    /// `ENOENT` when there is none, `ENOLINK` when its device is gone.
    pub(in crate::collector) fn pinned_link(&self, ifindex: u32, hook: TcxHook) -> io::Result<OwnedFd> {
        let link = bpf::pinned(&self.link(ifindex, hook))?;
        match bpf::tcx_device(link.as_fd(), hook)? {
            Some(device) if device == ifindex => Ok(link),
            _ => Err(Errno::NOLINK.into()),
        }
    }

    /// Removes a device's pins; that there are none is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn unpin_links(&self, ifindex: u32) -> io::Result<()> {
        for hook in [TcxHook::Ingress, TcxHook::Egress] {
            gone(fs::remove_file(self.link(ifindex, hook)))?;
        }
        Ok(())
    }

    /// ifindexes of all devices that links are pinned for.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn linked(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path.join(LINKS))? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(|name| name.split_once('-')?.0.parse::<u32>().ok()));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes what is in it.
    fn empty(&self) -> Result<()> {
        // The book first: from then on it is known that the rest is of nobody.
        for inner in [MAPS, OLD, LINKS] {
            remove_tree(&self.path.join(inner)).with_context(|| format!("empty {}", self.path.display()))?;
        }
        Ok(())
    }

    /// Removes all that is in it, and the folder too, unless it was made for the agent by whoever runs it: then it is a mount of
    /// its own, or where it is cannot be written.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn remove(&self) -> io::Result<()> {
        self.empty().map_err(io::Error::other)?;
        match gone(fs::remove_dir(&self.path)) {
            Err(error) if matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::ReadOnlyFilesystem) => {
                Ok(())
            }
            removed => removed,
        }
    }
}

/// Removes the folder of an agent that is gone; ifindexes of the devices that links were pinned for, or `None` where there
/// is no such folder.
///
/// # Errors
/// When it cannot be removed. A folder of an agent that lives is left alone.
pub fn remove(dir: &Path) -> Result<Option<Vec<u32>>> {
    if !dir.is_dir() || !is_bpf(dir) {
        return Ok(None);
    }
    let Some(lock) = lock(|| try_lock(dir))? else { return Ok(None) };
    let folder = Folder { path: dir.to_owned(), _lock: lock };
    let linked = folder.linked().unwrap_or_default();
    folder.remove()?;
    Ok(Some(linked))
}

/// Whether an agent, killed or alive, has its book in this folder.
pub(in crate::collector) fn has_book(dir: &Path) -> bool {
    let olds = olds(dir).unwrap_or_default();
    olds.into_iter().chain([dir.join(MAPS)]).any(|maps| Book::is_in(&maps))
}

/// Those of other layouts in a folder: they are numbered.
fn olds(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let numbered = (0_u32..).map(|number| dir.join(OLD).join(number.to_string()));
    let there = numbered.map(|maps| maps.try_exists().map(|is_there| is_there.then_some(maps)));
    there.map_while(Result::transpose).collect()
}

/// Whether a path is in a BPF file system.
pub(in crate::collector) fn is_bpf(path: &Path) -> bool {
    statfs(path).is_ok_and(|about| u64::try_from(about.f_type).is_ok_and(|kind| kind == BPF_FS))
}

/// Tries for as long as a killed agent's helper may take to end. `None`: somebody else has it.
fn lock(mut try_it: impl FnMut() -> Result<Option<OwnedFd>>) -> Result<Option<OwnedFd>> {
    for _ in 0..LOOKS {
        if let Some(lock) = try_it()? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(None)
}

/// `None`: somebody else has it, or has just removed it.
fn try_lock(path: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = match open(path, flags, Mode::empty()) {
        Ok(lock) => lock,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(anyhow!(error).context(format!("open {}", path.display()))),
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(anyhow!(error).context(format!("lock {}", path.display()))),
    }
    let (there, ours) = (stat(path), fstat(&lock)?);
    Ok(there.is_ok_and(|there| there.st_ino == ours.st_ino).then_some(lock))
}

/// Makes a folder for root alone; that it is there is no error.
fn make(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(anyhow!(error).context(format!("make {}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Removes a folder of pins; that there is none is no error.
pub(in crate::collector) fn remove_tree(path: &Path) -> io::Result<()> {
    gone(fs::remove_dir_all(path))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
