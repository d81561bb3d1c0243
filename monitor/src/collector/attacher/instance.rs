//! This process among all that put filters on clsact qdiscs of this host.
//!
//! Each holds a lock on a file of its own, `tc-<n>.lock` in the state directory, as long as it lives. Its filters
//! carry n in their handle and the lock's path in their name: a filter whose lock is free was left by a process
//! that was killed. The file lists the devices whose clsact qdisc that process made, a line each: the cookie of their
//! network namespace, their ifindex there, and [`STAYS`] where the qdisc is not taken from a device in use. Where filters
//! are to stay until the next agent, a line with [`PINS`] names the folder that has its pins: as long as they are there, the
//! lock is nobody else's.

use super::{clsact, namespace};
use crate::collector::netlink::Netlink;
use crate::collector::pins::folder::has_book;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, ftruncate, open};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The upper part of our filters' handles; the instance's number is below.
const HANDLE: u32 = 0x7677_0000;
/// The highest number of an instance.
const INSTANCES: u16 = 255;
/// The most bytes a lock file is read.
const LONGEST_LIST: u64 = 1 << 20;
/// Ends the line of a device that keeps its qdisc while it is in use.
const STAYS: &str = "stays";

/// Begins the line that names the folder with the pins.
const PINS: &str = "pins ";
/// How often, and how soon, it is looked whether a killed agent's helper has let go of its lock.
const LOOKS: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What becomes of the qdisc of a device in use when nothing is on it any more. (While one is grafted or taken off, the
/// kernel drops what is sent on the device.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenInUse {
    /// It is removed all the same.
    Removed,
    /// It stays until the device is gone or no longer in use.
    Stays,
}

/// A held lock.
#[derive(Debug)]
pub(super) struct Instance {
    number: u16,
    path: PathBuf,
    file: File,
    /// The cookie of our network namespace.
    namespace: u64,
    /// Devices of our namespace whose qdisc we made and which may still have it.
    qdiscs: BTreeMap<u32, WhenInUse>,
    /// Lines about devices of other namespaces, which are theirs to look at.
    others: Vec<String>,
    /// The folder with the pins of the agent whose filters these are.
    pins: Option<PathBuf>,
}

impl Instance {
    /// Takes the first free lock in `state_dir`, which is made if it does not exist.
    ///
    /// # Errors
    /// When the directory or the file cannot be had, or all locks are held.
    pub(super) fn acquire(state_dir: &Path) -> io::Result<Self> {
        // The agent's socket is there too, which others than root may look for; the locks are root's alone.
        fs::DirBuilder::new().recursive(true).mode(0o755).create(state_dir)?;
        for number in 1..=INSTANCES {
            if let Some(mut instance) = Self::take(state_dir, number)?.filter(|taken| !taken.is_pinned()) {
                instance.pins = None;
                return Ok(instance);
            }
        }
        let message = format!("all {INSTANCES} locks in {} are held", state_dir.display());
        Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
    }

    /// Takes the lock with this number, whose filters are those of the agent before, or else the first free one; its
    /// filters stay as long as the folder has pins.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub(super) fn acquire_again(state_dir: &Path, number: u16, pins: &Path) -> io::Result<Self> {
        let mut again = None;
        if (1..=INSTANCES).contains(&number) && state_dir.is_dir() {
            for _ in 0..LOOKS {
                again = Self::take(state_dir, number)?;
                if again.is_some() {
                    break;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        let mut instance = again.map_or_else(|| Self::acquire(state_dir), Ok)?;
        instance.pins = Some(pins.to_owned());
        instance.write()?;
        Ok(instance)
    }

    /// Its number.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Whether its filters are to stay until the next agent.
    pub(super) fn is_pinned(&self) -> bool {
        self.pins.as_deref().is_some_and(has_book)
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
        let namespace = namespace::cookie()?;
        let (qdiscs, others) = (BTreeMap::new(), Vec::new());
        let mut instance = Self { number, path, file, namespace, qdiscs, others, pins: None };
        instance.read_again();
        Ok(Some(instance))
    }

    /// Reads the list of devices anew: another process that shares the lock may have written it.
    pub(super) fn read_again(&mut self) {
        let mut list = String::new();
        // What is no such list was not written by us and is forgotten.
        let _ = self.file.rewind().and_then(|()| (&self.file).take(LONGEST_LIST).read_to_string(&mut list));
        self.qdiscs.clear();
        self.others.clear();
        self.pins = None;
        for line in list.lines() {
            if let Some(pins) = line.strip_prefix(PINS) {
                self.pins = Some(pins.into());
                continue;
            }
            match read_line(line) {
                Some((cookie, ifindex, when)) if cookie == self.namespace => {
                    self.qdiscs.insert(ifindex, when);
                }
                Some(_) => self.others.push(line.to_owned()),
                None => (),
            }
        }
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
    pub(super) fn note_qdisc(&mut self, ifindex: u32, when_in_use: WhenInUse) -> io::Result<()> {
        self.qdiscs.insert(ifindex, when_in_use);
        self.write()
    }

    /// Removes a device's qdisc if we made it and nothing is on it, unless it stays while the device is in use. Whether
    /// it was removed.
    pub(super) fn remove_qdisc(&mut self, netlink: &mut Netlink, ifindex: u32) -> bool {
        let Some(when_in_use) = self.qdiscs.get(&ifindex) else { return false };
        let stays = *when_in_use == WhenInUse::Stays && netlink.is_in_use(ifindex);
        let removed = match clsact::filters(netlink, ifindex) {
            Ok(filters) if filters.is_empty() && !stays => clsact::remove_qdisc(netlink, ifindex).is_ok(),
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
        self.qdiscs.keys().copied().collect()
    }

    /// From now on no qdisc stays because its device is in use.
    pub(super) fn let_none_stay(&mut self) {
        self.qdiscs.values_mut().for_each(|when_in_use| *when_in_use = WhenInUse::Removed);
    }

    fn write(&mut self) -> io::Result<()> {
        let own = self.qdiscs.iter().map(|(ifindex, when)| line(self.namespace, *ifindex, *when));
        let pins = self.pins.iter().map(|pins| format!("{PINS}{}", pins.display()));
        let list: String =
            pins.chain(own).chain(self.others.iter().cloned()).map(|line| line + "\n").collect();
        ftruncate(&self.file, 0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(list.as_bytes())
    }
}

/// A line of the list.
fn line(namespace: u64, ifindex: u32, when_in_use: WhenInUse) -> String {
    match when_in_use {
        WhenInUse::Removed => format!("{namespace} {ifindex}"),
        WhenInUse::Stays => format!("{namespace} {ifindex} {STAYS}"),
    }
}

/// Reads a line of the list: the namespace's cookie, the device's ifindex there, and what becomes of its qdisc.
fn read_line(line: &str) -> Option<(u64, u32, WhenInUse)> {
    let mut words = line.split(' ');
    let (namespace, ifindex) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let when_in_use = match (words.next(), words.next()) {
        (None, None) => WhenInUse::Removed,
        (Some(STAYS), None) => WhenInUse::Stays,
        _ => return None,
    };
    Some((namespace, ifindex, when_in_use))
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
        first.note_qdisc(77, WhenInUse::Stays).unwrap();
        drop(first);
        let again = Instance::acquire(&directory).unwrap();
        assert_eq!((again.number, again.qdiscs()), (1, vec![77]));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn devices_of_other_namespaces_stay_on_the_list_and_are_not_looked_at() {
        let directory = std::env::temp_dir().join(format!("vw-instance-others-{}", std::process::id()));
        let mut first = Instance::acquire(&directory).unwrap();
        let other = line(first.namespace + 1, 5, WhenInUse::Stays);
        first.others.push(other.clone());
        first.note_qdisc(77, WhenInUse::Removed).unwrap();
        drop(first);
        let mut again = Instance::acquire(&directory).unwrap();
        assert_eq!((again.qdiscs(), &again.others), (vec![77], &vec![other.clone()]));
        let mut netlink = Netlink::open().unwrap();
        assert!(!again.remove_qdisc(&mut netlink, 77), "there is no such device");
        drop(again);
        let file = fs::read_to_string(directory.join("tc-1.lock")).unwrap();
        assert_eq!(file, other + "\n");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for when_in_use in [WhenInUse::Removed, WhenInUse::Stays] {
            let written = line(u64::MAX, 7, when_in_use);
            assert_eq!(read_line(&written), Some((u64::MAX, 7, when_in_use)));
        }
        for line in ["", "7", "7 x", "7 8 y", "7 8 stays z", "-1 8", "7  8"] {
            assert_eq!(read_line(line), None, "{line:?}");
        }
    }
}
