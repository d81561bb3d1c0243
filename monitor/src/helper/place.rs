//! The file of the agent's socket: made so that at no moment anybody may open it who should not, and removed at the end.

use super::message::Identity;
use crate::store::{self, Unusable};
use anyhow::{Context as _, anyhow, bail, ensure};
use nix::unistd::Group;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, chownat, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect, listen, socket_with, sockopt::socket_peercred};
use rustix::process::{getegid, geteuid};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The longest path of a socket, in bytes.
const LONGEST: usize = 107;
/// Connections that may wait to be taken.
const BACKLOG: i32 = 128;
/// Its directory: everybody may look for the file.
const DIRECTORY: u32 = 0o755;
/// For the owner alone, until it has its group.
const CLOSED: Mode = Mode::RUSR.union(Mode::WUSR);
/// Owner and group may ask.
const OPEN: u32 = 0o660;

/// A file that is ours. Dropping it removes the file, unless another one is there by now.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The file itself. What is at the path may be another one: who may write to the folder may put it there.
    file: File,
    identity: Identity,
    /// Whether it goes with this.
    is_kept: bool,
}

impl Place {
    /// The file that was just made.
    fn new(path: &Path) -> anyhow::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let about = file.metadata()?;
        let is_ours = about.file_type().is_socket() && about.uid() == geteuid().as_raw();
        ensure!(is_ours, "somebody put another file in its place");
        Ok(Self { path: path.to_owned(), file, identity: identity(&about), is_kept: false })
    }

    /// One that was made before and left; absent if another file is there by now.
    pub(super) fn at(path: &Path, identity: Identity) -> Option<Self> {
        let mut place = Self::new(path).ok()?;
        place.is_kept = true;
        (place.identity == identity).then_some(place)
    }

    /// Leaves it where it is; gives back by what it is found again.
    pub(super) fn leave(mut self) -> Identity {
        self.is_kept = true;
        self.identity
    }

    /// Removes it, unless another one is there by now.
    pub(super) fn remove(mut self) {
        self.is_kept = false;
    }

    /// Whether the file is where it was made.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|there| identity(&there) == self.identity)
    }

    /// Whether whoever opens the path comes here, and those of this group may.
    pub(super) fn is_for(&self, group: &str) -> bool {
        let group = known_group(group).map(|group| group.unwrap_or_else(own_group));
        let has_group = |group| self.file.metadata().is_ok_and(|file| file.gid() == group);
        self.is_there() && group.is_ok_and(has_group)
    }

    /// Lets another group ask, and the one before no longer.
    ///
    /// # Errors
    /// When the group cannot be looked up, or the file is not ours to give.
    pub(super) fn give_to(&self, group: &str) -> anyhow::Result<()> {
        let given = group_id(group).and_then(|group| self.give(group));
        given.with_context(|| format!("the socket {}", self.path.display()))
    }

    /// Gives the file to a group, or to that of this process.
    fn give(&self, group: Option<u32>) -> anyhow::Result<()> {
        let group = Gid::from_raw(group.unwrap_or_else(own_group));
        chownat(&self.file, "", None, Some(group), AtFlags::EMPTY_PATH)
            .context("its group cannot be set; the agent has to be in it, or needs CAP_CHOWN")
    }

    /// Lets its group ask. Linux before 6.6 has no other way to set the mode of a file that is no more than known.
    fn open(&self) -> anyhow::Result<()> {
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        fs::set_permissions(file, Permissions::from_mode(OPEN)).context("its mode cannot be set")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept
            && self.is_there()
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("{} could not be removed: {error}", self.path.display());
        }
    }
}

fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// Makes the file and listens there.
///
/// # Errors
/// When somebody answers there already, something else is there, or the file or its directory cannot be made.
pub(super) fn make(path: &Path, group: &str) -> anyhow::Result<(OwnedFd, Place)> {
    let length = path.as_os_str().as_bytes().len();
    ensure!(length <= LONGEST, "its path has {length} bytes, and that of a socket has {LONGEST} at most");
    let group = group_id(group)?;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY).create(directory);
        made.with_context(|| format!("the directory {} cannot be made", directory.display()))?;
        tell_if_closed(directory, group)?;
    }
    stale(path)?;
    let _alone = alone(path)?;
    make_room(path)?;
    let socket = new_socket()?;
    // The file gets the mode that its socket has. Nobody can connect before it listens, whatever the mode.
    fchmod(&socket, CLOSED)?;
    bind(&socket, &SocketAddrUnix::new(path)?).context("it cannot be made")?;
    let place = Place::new(path)?;
    place.give(group)?;
    place.open()?;
    listen(&socket, BACKLOG)?;
    Ok((socket, place))
}

/// Keeps other agents from the same place until it is taken: one that does not listen yet looks as if it were dead.
///
/// # Errors
/// When another one is about to take it, or everybody may write to the directory.
fn alone(path: &Path) -> anyhow::Result<File> {
    let lock: OsString = [path.as_os_str(), ".lock".as_ref()].into_iter().collect();
    let locked = store::lock_file(Path::new(&lock));
    locked.map_err(|unusable| match unusable {
        Unusable::Taken => anyhow!("another agent is starting there"),
        unusable => anyhow!(unusable).context(format!("its lock {}", lock.display())),
    })
}

/// Says so where the group may ask, but may not enter the directory.
fn tell_if_closed(directory: &Path, group: Option<u32>) -> anyhow::Result<()> {
    let Some(group) = group else { return Ok(()) };
    let there = fs::metadata(directory)?;
    let enters = if there.gid() == group { 0o010 } else { 0o001 };
    if there.mode() & enters == 0 {
        log::warn!("group {group} may not enter {}: only root can ask the agent", directory.display());
    }
    Ok(())
}

/// Whether a socket is there, which may be that of a dead agent.
///
/// # Errors
/// When something else is there.
fn stale(path: &Path) -> anyhow::Result<bool> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    ensure!(file.file_type().is_socket(), "something else is there, and is not removed");
    Ok(true)
}

/// Removes what a dead agent left.
fn make_room(path: &Path) -> anyhow::Result<()> {
    if !stale(path)? {
        return Ok(());
    }
    let socket = new_socket()?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => {}
        Ok(()) => match socket_peercred(&socket) {
            Ok(other) => bail!("process {} answers there already", other.pid.as_raw_nonzero()),
            Err(_) => bail!("another process answers there already"),
        },
        // So many wait that it cannot be asked.
        Err(Errno::AGAIN) => bail!("another process listens there already"),
        Err(error) => {
            return Err(anyhow!(error).context("it cannot be told whether another process listens there"));
        }
    }
    fs::remove_file(path).context("what a dead process left there cannot be removed")
}

fn new_socket() -> anyhow::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// A group by its name or number; absent where there is none, which is said: root alone may ask then.
fn group_id(name: &str) -> anyhow::Result<Option<u32>> {
    let group = known_group(name)?;
    if group.is_none() {
        log::warn!("there is no group {name}: only root may ask at the socket");
    }
    Ok(group)
}

fn known_group(name: &str) -> anyhow::Result<Option<u32>> {
    // Where there is no list of groups, no group is in it.
    let group = match Group::from_name(name) {
        Err(nix::errno::Errno::ENOENT) => None,
        found => found.with_context(|| format!("group {name}"))?,
    };
    Ok(group.map(|group| group.gid.as_raw()).or_else(|| number(name)))
}

/// The highest number means none to the system.
fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number| *number != u32::MAX)
}

fn own_group() -> u32 {
    getegid().as_raw()
}

#[cfg(test)]
mod tests;
