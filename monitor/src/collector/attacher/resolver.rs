//! Docker's own resolver. Its sockets are the engine's, so the programs that look at them are on the engine's control group;
//! where that is the root, which is everybody's, they are on the groups that containers are in, at the other ends of the
//! same conversations.

use super::group::{self, DEEPEST, MOST_GROUPS};
use crate::collector::bpf::{self, GroupHook};
use crate::collector::programs::ProgramPair;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::net::sockopt::socket_peercred;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where systemd runs the engine. It is what listens in the engine's place then, so the socket does not tell.
const USUAL: &str = "/system.slice/docker.service";
/// The most groups with containers that are looked at.
const MOST: usize = 8;

/// Whose sockets are in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Engine,
    Containers,
}

/// Puts both programs on a control group where what the engine that listens at `socket` is asked can be seen, but for those
/// that are `known`: they are there. Gives back the id of the engine's group, and what holds the programs; nothing if there is
/// no further group.
///
/// # Errors
/// When there is no such group, or the kernel refuses.
pub(super) fn attach(
    programs: &ProgramPair,
    socket: Option<&Path>,
    known: &[u64],
) -> io::Result<(u64, Vec<OwnedFd>)> {
    let root = group::root()?;
    let engine = socket.and_then(of_listener).unwrap_or_else(|| USUAL.to_owned());
    let engine = root.join(engine.trim_start_matches('/'));
    if !engine.is_dir() {
        return Err(io::Error::other(format!("Docker's engine is not in {}", engine.display())));
    }
    let (groups, whose) = if engine == root {
        (with_containers(&root), Whose::Containers)
    } else {
        (vec![engine.clone()], Whose::Engine)
    };
    if groups.is_empty() {
        let why = "Docker's engine has no control group of its own, and no group with containers is found";
        return Err(io::Error::other(why));
    }
    let engine = fstat(open_group(&engine)?)?.st_ino;
    for group in groups {
        let group = open_group(&group)?;
        if !known.contains(&fstat(&group)?.st_ino) {
            return Ok((engine, put(programs, &group, whose)?.into()));
        }
    }
    Ok((engine, Vec::new()))
}

fn open_group(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// What the engine receives its containers have sent.
fn put(programs: &ProgramPair, group: &OwnedFd, whose: Whose) -> io::Result<[OwnedFd; 2]> {
    let (asked, answered) = match whose {
        Whose::Engine => (GroupHook::Received, GroupHook::Sent),
        Whose::Containers => (GroupHook::Sent, GroupHook::Received),
    };
    Ok([
        bpf::group_attach(programs.received.as_fd(), group.as_fd(), asked)?,
        bpf::group_attach(programs.sent.as_fd(), group.as_fd(), answered)?,
    ])
}

/// The groups in which there are containers', by their ids, as Docker names them without systemd. None is in another one: it
/// would be heard twice.
fn with_containers(root: &Path) -> Vec<PathBuf> {
    let (mut level, mut found, mut left) = (vec![root.to_owned()], Vec::new(), MOST_GROUPS);
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for group in level {
            let entries = fs::read_dir(&group).into_iter().flatten().flatten();
            let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let groups: Vec<_> = groups.take(left).collect();
            left -= groups.len();
            if group != root && groups.iter().any(|it| is_id(&it.file_name().to_string_lossy())) {
                found.push(group);
            } else {
                below.extend(groups.iter().map(fs::DirEntry::path));
            }
        }
        level = below;
    }
    found.sort_unstable();
    found.truncate(MOST);
    found
}

fn is_id(name: &str) -> bool {
    name.len() == group::FULL_ID && name.bytes().all(|byte| byte.is_ascii_hexdigit())
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

#[cfg(test)]
mod tests {
    use super::with_containers;
    use std::fs;

    /// In which of these groups there are containers, each with an id for `ID`.
    fn check(groups: &[&str], expected: &[&str]) {
        let root = std::env::temp_dir().join(format!("vw-resolver-{}", std::process::id()));
        let id = "0123456789abcdef".repeat(4);
        groups.iter().for_each(|group| fs::create_dir_all(root.join(group.replace("ID", &id))).unwrap());
        let found = with_containers(&root);
        fs::remove_dir_all(&root).unwrap();
        let expected: Vec<_> = expected.iter().map(|path| root.join(path)).collect();
        assert_eq!(found, expected, "{groups:?}");
    }

    #[test]
    fn groups_with_containers_are_found_and_none_in_another() {
        check(&["docker/ID", "user.slice/a"], &["docker"]);
        check(&["docker/ID/docker/ID", "x/y/ID", "x/z"], &["docker", "x/y"]);
        // Everybody is in the root.
        check(&["ID", "a/0123456789abcdef"], &[]);
    }
}
