//! This process among all that put filters on clsact qdiscs of this host.
//!
//! Each holds a lock on a file of its own, `tc-<n>.lock` in the state directory, as long as it lives. Its filters
//! carry n in their handle and the lock's path in their name: a filter whose lock is free was left by a process
//! that was killed. The file lists the devices whose clsact qdisc that process made.

use super::clsact;
use crate::collector::netlink::Netlink;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, ftruncate, open};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The upper part of our filters' handles; the instance's number is below.
const HANDLE: u32 = 0x7677_0000;
/// The highest number of an instance.
const INSTANCES: u16 = 255;
/// The most bytes a lock file is read.
const LONGEST_LIST: u64 = 1 << 20;

/// A held lock.
#[derive(Debug)]
pub(super) struct Instance {
    number: u16,
    path: PathBuf,
    file: File,
    /// Devices whose qdisc we made and which may still have it.
    qdiscs: BTreeSet<u32>,
}

impl Instance {
    /// Takes the first free lock in `state_dir`, which is made if it does not exist.
    ///
    /// # Errors
    /// When the directory or the file cannot be had, or all locks are held.
    pub(super) fn acquire(state_dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
        for number in 1..=INSTANCES {
            if let Some(instance) = Self::take(state_dir, number)? {
                return Ok(instance);
            }
        }
        let message = format!("all {INSTANCES} locks in {} are held", state_dir.display());
        Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
    }

    /// Takes one lock; `None` when its process lives.
    ///
    /// # Errors
    /// When the file cannot be had.
    pub(super) fn take(state_dir: &Path, number: u16) -> io::Result<Option<Self>> {
        let path = state_dir.canonicalize()?.join(format!("tc-{number}.lock"));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(open(&path, flags, Mode::RUSR | Mode::WUSR)?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut list = String::new();
        // What is not a list of numbers was not written by us and is forgotten.
        let _ = (&file).take(LONGEST_LIST).read_to_string(&mut list);
        let qdiscs = list.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Some(Self { number, path, file, qdiscs }))
    }

    /// The handle of our filters.
    pub(super) fn handle(&self) -> u32 {
        HANDLE | u32::from(self.number)
    }

    /// The name of a filter with this program.
    pub(super) fn filter_name(&self, program: &str) -> String {
        format!("{program}@{}", self.path.display())
    }

    /// Notes that we made a device's qdisc.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(super) fn note_qdisc(&mut self, ifindex: u32) -> io::Result<()> {
        self.qdiscs.insert(ifindex);
        self.write()
    }

    /// Removes a device's qdisc if we made it and nothing is on it. Whether it was removed.
    pub(super) fn remove_qdisc(&mut self, netlink: &mut Netlink, ifindex: u32) -> bool {
        if !self.qdiscs.contains(&ifindex) {
            return false;
        }
        let removed = match clsact::filters(netlink, ifindex) {
            Ok(filters) if filters.is_empty() => clsact::remove_qdisc(netlink, ifindex).is_ok(),
            // Somebody else's are on it: whoever looks for leftovers next removes it, if they are gone by then.
            Ok(_) => return false,
            // The device is gone, and its qdisc with it.
            Err(_) => false,
        };
        self.qdiscs.remove(&ifindex);
        if let Err(error) = self.write() {
            log::warn!("{} could not be written: {error}", self.path.display());
        }
        removed
    }

    /// Devices whose qdisc this instance made and has not removed.
    pub(super) fn qdiscs(&self) -> Vec<u32> {
        self.qdiscs.iter().copied().collect()
    }

    fn write(&mut self) -> io::Result<()> {
        let list: String = self.qdiscs.iter().map(|ifindex| format!("{ifindex}\n")).collect();
        ftruncate(&self.file, 0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(list.as_bytes())
    }
}

/// The instance a filter belongs to, if it is one of ours whose lock is in `state_dir` (canonical).
pub(super) fn owner(state_dir: &Path, programs: &[&str], filter: &clsact::Listed) -> Option<u16> {
    let handle = filter.filter.handle;
    let number = u16::try_from(handle & 0xffff).ok().filter(|number| (1..=INSTANCES).contains(number))?;
    let (program, path) = filter.name.split_once('@')?;
    let ours = handle & 0xffff_0000 == HANDLE
        && programs.contains(&program)
        && Path::new(path) == state_dir.join(format!("tc-{number}.lock"));
    ours.then_some(number)
}

/// Numbers of the lock files that are there.
pub(super) fn lock_files(state_dir: &Path) -> io::Result<Vec<u16>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_prefix("tc-")?.strip_suffix(".lock")?.parse().ok()
    };
    let numbers = fs::read_dir(state_dir)?.filter_map(name);
    Ok(numbers.filter(|number| (1..=INSTANCES).contains(number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clsact::{Filter, Hook, Listed};

    fn check(handle: u32, name: &str, expected: Option<u16>) {
        let filter = Filter { ifindex: 5, hook: Hook::Ingress, priority: 1, handle };
        let listed = Listed { filter, name: name.into() };
        assert_eq!(owner(Path::new("/run/x"), &["vethwatch_in"], &listed), expected, "{handle:x} {name}");
    }

    #[test]
    fn only_handle_name_and_lock_together_make_a_filter_ours() {
        check(0x7677_0003, "vethwatch_in@/run/x/tc-3.lock", Some(3));
        check(0x7677_0003, "vethwatch_in@/run/x/tc-4.lock", None);
        check(0x7677_0003, "vethwatch_in@/run/y/tc-3.lock", None);
        check(0x7677_0003, "vethwatch_in", None);
        check(0x7677_0003, "other@/run/x/tc-3.lock", None);
        check(0x0000_0003, "vethwatch_in@/run/x/tc-3.lock", None);
        check(0x7677_0000, "vethwatch_in@/run/x/tc-0.lock", None);
        check(0x7677_1000, "vethwatch_in@/run/x/tc-4096.lock", None);
    }

    #[test]
    fn a_lock_is_free_again_when_its_holder_is_gone() {
        let directory = std::env::temp_dir().join(format!("vw-instance-{}", std::process::id()));
        let mut first = Instance::acquire(&directory).unwrap();
        let second = Instance::acquire(&directory).unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert!(Instance::take(&directory, 1).unwrap().is_none());
        first.note_qdisc(77).unwrap();
        drop(first);
        let again = Instance::acquire(&directory).unwrap();
        assert_eq!((again.number, again.qdiscs()), (1, vec![77]));
        fs::remove_dir_all(&directory).unwrap();
    }
}
