//! The control group of a container: where it is, and the programs on it.

use super::Attacher;
use super::rights::{Answer, Request};
use crate::model::{ContainerId, InterfaceNumber};
use monitor_common::interface::InterfaceEntry;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open as open_path};
use std::io;

/// Where version 2 of control groups is: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;

/// Characters of a container's whole id.
const FULL_ID: usize = 64;

/// A control group that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its directory.
    pub(super) directory: OwnedFd,
    /// The id by which programs know it.
    pub(super) id: u64,
}

/// Opens the control group of a container with this process.
///
/// # Errors
/// When there is no such process, it is not in a control group that bears the container's id, or there is no version 2.
pub(super) fn open(container: &ContainerId, pid: u32) -> io::Result<Found> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = path_of(&listed, container).ok_or_else(|| {
        io::Error::other("its processes are in no control group of version 2 that bears its id")
    })?;
    let root = MOUNTS.into_iter().find(|mount| is_version_2(mount));
    let root = root.ok_or_else(|| io::Error::other("control groups of version 2 are not mounted"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open_path(format!("{root}{path}"), flags, Mode::empty())?;
    Ok(Found { id: fstat(&directory)?.st_ino, directory })
}

fn is_version_2(mount: &str) -> bool {
    let open = open_path(mount, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let kind = open.and_then(|directory| fstatfs(directory.as_fd())).map(|it| u64::try_from(it.f_type));
    kind == Ok(Ok(CGROUP2))
}

/// The path of a container's group below the root, of the list in `/proc/PID/cgroup`: up to the part that bears its id, since
/// processes may make groups of their own below.
fn path_of<'a>(listed: &'a str, container: &ContainerId) -> Option<&'a str> {
    let path = listed.lines().find_map(|line| line.strip_prefix("0::"))?;
    // A part of an id may be in the name of anybody's group.
    if container.as_str().len() != FULL_ID
        || !path.starts_with('/')
        || path.split('/').any(|part| part == "..")
    {
        return None;
    }
    let begins = path.find(container.as_str())?;
    let rest = &path[begins..];
    Some(&path[..begins + rest.find('/').unwrap_or(rest.len())])
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
        pid: u32,
        number: InterfaceNumber,
        slot: u32,
    ) -> io::Result<Group> {
        let id = match (self.call)(Request::Group { container: container.clone(), pid }).0 {
            Answer::Group(id) => id,
            other => return Err(other.done().err().unwrap_or_else(|| io::ErrorKind::InvalidData.into())),
        };
        self.maps.totals.zero(slot)?;
        // Before the programs are there to look.
        self.maps.groups.update(&id, &InterfaceEntry { ifindex: 0, number: number.0, slot, flags: 0 })?;
        let request = Request::AttachGroup { container: container.clone(), pid, group: id };
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
    use super::{open, path_of};
    use crate::model::ContainerId;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn check(listed: &str, expected: Option<&str>) {
        let listed = listed.replace("ID", ID);
        let expected = expected.map(|path| path.replace("ID", ID));
        assert_eq!(path_of(&listed, &ContainerId::new(ID).unwrap()), expected.as_deref(), "{listed}");
    }

    #[test]
    fn the_group_is_the_one_that_bears_the_id() {
        check("0::/docker/ID\n", Some("/docker/ID"));
        check("12:cpu:/docker/ID\n0::/docker/ID\n", Some("/docker/ID"));
        check("0::/system.slice/docker-ID.scope\n", Some("/system.slice/docker-ID.scope"));
        check("0::/docker/ID/init.scope/deeper\n", Some("/docker/ID"));
        check("0::/system.slice/docker-ID.scope/a\n", Some("/system.slice/docker-ID.scope"));
    }

    #[test]
    fn other_groups_are_nobodys() {
        check("", None);
        check("12:cpu:/docker/ID\n", None);
        check("0::/\n", None);
        check("0::/docker/fedc\n", None);
        check("0::/../docker/ID\n", None);
        check("0::docker/ID\n", None);
        assert_eq!(path_of("0::/docker/x\n", &ContainerId::new("docker").unwrap()), None);
    }

    #[test]
    fn a_process_that_is_in_no_such_group_is_refused() {
        let id = ContainerId::new(ID).unwrap();
        assert!(open(&id, std::process::id()).unwrap_err().to_string().contains("bears its id"));
        assert!(open(&id, 0).is_err());
    }
}
