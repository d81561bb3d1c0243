//! The number of a network namespace, from a path that somebody else named; and what our own is known by.

use crate::collector::netlink::{Netlink, Request, attributes_after, i32_at, kind};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open, stat};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// `NSFS_MAGIC`.
const NSFS: u64 = 0x6e73_6673;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// What a network namespace is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The number that the host's namespace knows it by; `None` when it has none, is the host's own, or there is none at the
    /// path.
    pub number: Option<i32>,
    /// The number that the whole system knows it by (`ns.inum`).
    pub inode: Option<u32>,
}

/// What the network namespace at an absolute path is known by.
pub(super) fn find(path: &str) -> Found {
    let Some(namespace) = open_other(Path::new(path)) else { return Found::default() };
    let inode = fstat(&namespace).ok().and_then(|about| u32::try_from(about.st_ino).ok());
    Found { number: number(&namespace), inode }
}

fn number(namespace: &OwnedFd) -> Option<i32> {
    let request = Request::new(kind::GET_NAMESPACE, 0, &[0; 4])
        .attribute(NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes());
    let mut number = None;
    let read = Netlink::open().and_then(|mut netlink| {
        netlink.ask(request, |message| {
            if message.kind == kind::NEW_NAMESPACE {
                number = attributes_after(message.body, 4)
                    .find(|(kind, _)| *kind == NETNSA_NSID)
                    .and_then(|(_, value)| i32_at(value, 0));
            }
        })
    });
    read.ok()?;
    number.filter(|number| *number >= 0)
}

/// The cookie of the calling thread's network namespace (`SO_NETNS_COOKIE`): no other has it until the next boot.
///
/// # Errors
/// What the kernel says.
pub(in crate::collector) fn cookie() -> io::Result<u64> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None)?;
    let (mut cookie, mut length) = (0_u64, libc::socklen_t::try_from(size_of::<u64>()).unwrap_or_default());
    // SAFETY: the value is alive and as long as said.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// Opens a namespace's file, if it is not our own namespace.
pub(in crate::collector) fn open_other(path: &Path) -> Option<OwnedFd> {
    let namespace = open_namespace(path)?;
    let own = stat("/proc/self/ns/net").ok()?;
    let asked = fstat(&namespace).ok()?;
    ((own.st_dev, own.st_ino) != (asked.st_dev, asked.st_ino)).then_some(namespace)
}

/// Opens a namespace's file and nothing else: what is there is looked at before it is opened for reading, since
/// opening a device or a fifo may do or wait for something.
fn open_namespace(path: &Path) -> Option<OwnedFd> {
    if !path.is_absolute() {
        return None;
    }
    let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let filesystem = u64::try_from(fstatfs(place.as_fd()).ok()?.f_type).ok()?;
    if filesystem != NSFS {
        return None;
    }
    let place = format!("/proc/self/fd/{}", place.as_raw_fd());
    open(place, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, is_namespace: bool) {
        assert_eq!(open_namespace(Path::new(path)).is_some(), is_namespace, "{path:?}");
    }

    #[test]
    fn only_absolute_paths_of_namespaces_are_opened() {
        check("/proc/self/ns/net", true);
        check("proc/self/ns/net", false);
        check("", false);
        check("/", false);
        check("/dev/null", false);
        check("/etc/hostname", false);
        check("/proc/self/status", false);
        check("/no/such/file", false);
        check("/proc/self/ns/net\0", false);
    }

    #[test]
    fn a_fifo_does_not_block() {
        let fifo = std::env::temp_dir().join(format!("vw-fifo-{}", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        check(fifo.to_str().unwrap(), false);
        std::fs::remove_file(&fifo).unwrap();
    }

    #[test]
    fn the_hosts_own_namespace_and_other_kinds_have_no_number() {
        assert_eq!(find("/proc/self/ns/net"), Found::default());
        assert_eq!(find("/proc/self/ns/mnt").number, None);
    }
}
