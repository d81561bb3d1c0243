//! Docker's own resolver: its sockets are the engine's, so the programs that look at them are on the engine's control group.

use crate::collector::bpf::{self, GroupHook};
use crate::collector::programs::ProgramPair;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, open, statfs};
use rustix::net::sockopt::socket_peercred;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where control groups (version 2) are mounted, as a rule or beside those of version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;
/// Where systemd runs the engine. It is what listens in the engine's place then, so the socket does not tell.
const USUAL: &str = "/system.slice/docker.service";

/// Puts both on the control group of the engine that listens at `socket`; they are held by the links that are given back.
///
/// # Errors
/// When there is no such group, or the kernel refuses.
pub(super) fn attach(programs: &ProgramPair, socket: Option<&Path>) -> io::Result<Vec<OwnedFd>> {
    let group = open(group(socket)?, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(vec![
        bpf::group_attach(programs.received.as_fd(), group.as_fd(), GroupHook::Received)?,
        bpf::group_attach(programs.sent.as_fd(), group.as_fd(), GroupHook::Sent)?,
    ])
}

/// The engine's control group, which has to be its own: on that of others it would be looked at every packet of theirs.
fn group(socket: Option<&Path>) -> io::Result<PathBuf> {
    let mount = MOUNTS.into_iter().find(|mount| is_mount(mount));
    let mount = mount.ok_or_else(|| io::Error::other("there are no control groups of version 2 here"))?;
    let group = socket.and_then(of_listener).unwrap_or_else(|| USUAL.to_owned());
    let path = Path::new(mount).join(group.trim_start_matches('/'));
    if group == "/" {
        return Err(io::Error::other("Docker's engine is in no control group of its own"));
    }
    if !path.is_dir() {
        return Err(io::Error::other(format!("Docker's engine is not in {}", path.display())));
    }
    Ok(path)
}

fn is_mount(path: &str) -> bool {
    statfs(path).is_ok_and(|about| u64::try_from(about.f_type).is_ok_and(|kind| kind == CGROUP2))
}

/// The control group of who listens at a socket, if that is known and no service manager.
fn of_listener(socket: &Path) -> Option<String> {
    let pid = socket_peercred(UnixStream::connect(socket).ok()?).ok()?.pid.as_raw_nonzero().get();
    if pid == 1 {
        return None;
    }
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}
