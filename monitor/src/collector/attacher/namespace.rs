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
    /// The number that the host's namespace knows it by; `None` when it has none.
    pub number: Option<i32>,
    /// The number that the whole system knows it by (`ns.inum`).
    pub inode: Option<u32>,
}

/// What the network namespace at an absolute path is known by.
///
/// # Errors
/// `ENOENT` when nothing is there; else why what is there is not looked into.
pub(super) fn find(path: &str) -> io::Result<Found> {
    let namespace = open_other(Path::new(path))?;
    let inode = u32::try_from(fstat(&namespace)?.st_ino).ok();
    Ok(Found { number: number(&namespace)?, inode })
}

fn number(namespace: &OwnedFd) -> io::Result<Option<i32>> {
    let request = Request::new(kind::GET_NAMESPACE, 0, &[0; 4])
        .attribute(NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes());
    let mut number = None;
    Netlink::open()?.ask(request, |message| {
        if message.kind == kind::NEW_NAMESPACE {
            number = attributes_after(message.body, 4)
                .find(|(kind, _)| *kind == NETNSA_NSID)
                .and_then(|(_, value)| i32_at(value, 0));
        }
    })?;
    Ok(number.filter(|number| *number >= 0))
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
///
/// # Errors
/// `ENOENT` when nothing is there; else why it is not opened.
pub(in crate::collector) fn open_other(path: &Path) -> io::Result<OwnedFd> {
    let namespace = open_namespace(path)?;
    let own = stat("/proc/self/ns/net")?;
    let asked = fstat(&namespace)?;
    if (own.st_dev, own.st_ino) == (asked.st_dev, asked.st_ino) {
        return Err(io::Error::other("it is the host's own"));
    }
    Ok(namespace)
}

/// Opens a namespace's file and nothing else: what is there is looked at before it is opened for reading, since
/// opening a device or a fifo may do or wait for something.
fn open_namespace(path: &Path) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(io::Error::other("its path does not begin at the root"));
    }
    let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if u64::try_from(fstatfs(place.as_fd())?.f_type) != Ok(NSFS) {
        return Err(io::Error::other("what is there is no namespace"));
    }
    let place = format!("/proc/self/fd/{}", place.as_raw_fd());
    Ok(open(place, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "what is there is no namespace";

    fn check(path: &str, refused: Option<&str>) {
        let opened = open_namespace(Path::new(path));
        assert_eq!(opened.err().map(|error| error.to_string()).as_deref(), refused, "{path:?}");
    }

    #[test]
    fn only_absolute_paths_of_namespaces_are_opened_and_of_others_it_is_said_why_not() {
        check("/proc/self/ns/net", None);
        check("proc/self/ns/net", Some("its path does not begin at the root"));
        check("", Some("its path does not begin at the root"));
        check("/", Some(NONE));
        check("/dev/null", Some(NONE));
        check("/etc/hostname", Some(NONE));
        check("/proc/self/status", Some(NONE));
        check("/no/such/file", Some("No such file or directory (os error 2)"));
        check("/proc/self/ns/net\0", Some("Invalid argument (os error 22)"));
        check("/etc/hostname/net", Some("Not a directory (os error 20)"));
    }

    #[test]
    fn a_fifo_does_not_block() {
        let fifo = std::env::temp_dir().join(format!("vw-fifo-{}", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        check(fifo.to_str().unwrap(), Some(NONE));
        std::fs::remove_file(&fifo).unwrap();
    }

    #[test]
    fn the_hosts_own_namespace_and_other_kinds_have_no_number() {
        assert_eq!(find("/proc/self/ns/net").unwrap_err().to_string(), "it is the host's own");
        assert!(find("/proc/self/ns/mnt").is_err());
    }
}
