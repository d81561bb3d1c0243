//! The control group of a container: where it is, and the programs on it.

use super::Attacher;
use super::rights::{Answer, Request};
use crate::collector::flags::flags;
use crate::model::{ContainerId, InterfaceKind, InterfaceNumber};
use monitor_common::interface::InterfaceEntry;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open as open_path};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where version 2 of control groups is: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;
/// Characters of a container's whole id.
pub(super) const FULL_ID: usize = 64;
/// How deep below the root a container's group may be; programs look as deep.
pub(super) const DEEPEST: usize = 8;
/// The most groups that are looked at to find one.
pub(super) const MOST_GROUPS: usize = 16_384;

/// A control group that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its directory.
    pub(super) directory: OwnedFd,
    /// The id by which programs know it.
    pub(super) id: u64,
}

/// Opens the control group of a container.
///
/// # Errors
/// When no control group bears its id, or there is no version 2.
pub(super) fn open(container: &ContainerId) -> io::Result<Found> {
    let path = find(&root()?, container)
        .ok_or_else(|| io::Error::other("no control group of version 2 bears its id"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open_path(path, flags, Mode::empty())?;
    Ok(Found { id: fstat(&directory)?.st_ino, directory })
}

/// Where control groups of version 2 are.
///
/// # Errors
/// When they are not mounted.
pub(super) fn root() -> io::Result<PathBuf> {
    let root = MOUNTS.into_iter().find(|mount| is_version_2(mount)).map(PathBuf::from);
    root.ok_or_else(|| io::Error::other("control groups of version 2 are not mounted"))
}

fn is_version_2(mount: &str) -> bool {
    let open = open_path(mount, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let kind = open.and_then(|directory| fstatfs(directory.as_fd())).map(|it| u64::try_from(it.f_type));
    kind == Ok(Ok(CGROUP2))
}

/// The directory that bears a container's whole id in its name: where Docker makes it by default, else the one that is
/// nearest to the root, since processes may make groups of their own below.
fn find(root: &Path, container: &ContainerId) -> Option<PathBuf> {
    let id = container.as_str();
    // A part of an id may be in anybody's name.
    if id.len() != FULL_ID {
        return None;
    }
    let usual = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")];
    let usual = usual.map(|path| root.join(path)).into_iter().find(|path| path.is_dir());
    usual.or_else(|| search(root, id))
}

fn search(root: &Path, id: &str) -> Option<PathBuf> {
    let (mut level, mut left) = (vec![root.to_owned()], MOST_GROUPS);
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for group in level {
            for entry in fs::read_dir(group).ok()?.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if entry.file_name().to_string_lossy().contains(id) {
                    return Some(entry.path());
                }
                left = left.checked_sub(1)?;
                below.push(entry.path());
            }
        }
        level = below;
    }
    None
}

/// The programs on a container's control group; dropped without [`Attacher::detach_group`], they go, but not what tells them
/// whose it is.
#[derive(Debug)]
pub(in crate::collector) struct Group {
    id: u64,
    links: Vec<OwnedFd>,
}

impl Attacher {
    /// Puts both programs on the control group of a container, and counts it under `number`, in the totals' `slot`.
    ///
    /// # Errors
    /// When it cannot be found or the kernel refuses. Nothing is left behind.
    pub(in crate::collector) fn attach_group(
        &self,
        container: &ContainerId,
        number: InterfaceNumber,
        slot: u32,
    ) -> io::Result<Group> {
        let id = match (self.call)(Request::Group { container: container.clone() }).0 {
            Answer::Group(id) => id,
            other => return Err(other.done().err().unwrap_or_else(|| io::ErrorKind::InvalidData.into())),
        };
        self.maps.totals.zero(slot)?;
        // Before the programs are there to look.
        let flags = flags(InterfaceKind::Cgroup, false);
        self.maps.groups.update(&id, &InterfaceEntry { ifindex: 0, number: number.0, slot, flags })?;
        let request = Request::AttachGroup { container: container.clone(), group: id };
        let (answer, links) = (self.call)(request);
        let group = Group { id, links };
        match answer.done() {
            Ok(()) => Ok(group),
            Err(error) => {
                self.detach_group(group);
                Err(error)
            }
        }
    }

    /// Takes both programs off.
    pub(in crate::collector) fn detach_group(&self, group: Group) {
        let Group { id, links } = group;
        drop(links);
        if let Err(error) = self.maps.groups.delete(&id) {
            log::warn!("the entry of control group {id} could not be removed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{find, open};
    use crate::model::ContainerId;
    use std::fs;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Which of these groups is found, each with the id for `ID`.
    fn check(groups: &[&str], id: &str, expected: Option<&str>) {
        let root = std::env::temp_dir().join(format!("vw-groups-{}", std::process::id()));
        groups.iter().for_each(|group| fs::create_dir_all(root.join(group.replace("ID", ID))).unwrap());
        let found = find(&root, &ContainerId::new(id).unwrap());
        fs::remove_dir_all(&root).unwrap();
        let expected = expected.map(|path| root.join(path.replace("ID", ID)));
        assert_eq!(found, expected, "{groups:?}");
    }

    #[test]
    fn the_group_is_the_nearest_to_the_root_that_bears_the_whole_id() {
        check(&["docker/ID"], ID, Some("docker/ID"));
        check(&["system.slice/docker-ID.scope"], ID, Some("system.slice/docker-ID.scope"));
        check(&["a/b/ID/c/ID", "d"], ID, Some("a/b/ID"));
        check(&["a/libpod-ID.scope/x"], ID, Some("a/libpod-ID.scope"));
        check(&["docker/other"], ID, None);
        check(&["docker/ID"], "docker", None);
        check(&["docker/ID"], &ID[..63], None);
    }

    #[test]
    fn a_container_that_is_not_there_has_none() {
        assert!(open(&ContainerId::new(ID).unwrap()).is_err());
    }
}
