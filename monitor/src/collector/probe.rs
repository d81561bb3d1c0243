//! What this host offers, as plain data: for `doctor`, and to refuse early with a clear reason. Changes nothing.

use super::attacher::namespace;
use super::bpf;
use super::device::{DeviceKind, Link};
use super::netlink::Netlink;
use super::pins::folder;
use crate::model::SafeText;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::statfs;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities as held_capabilities, move_into_link_name_space,
};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The oldest kernel that will do.
const OLDEST: (u32, u32) = (5, 15);
/// The one from which on a map that is open may be read without a right.
const MAPS_ARE_FREE: (u32, u32) = (5, 19);
/// The loopback device of every namespace.
const LOOPBACK: u32 = 1;
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: i64 = 0x6367_7270;
/// Where Docker and `ip netns` keep namespaces by name.
const NAMED: [&str; 2] = ["/run/docker/netns", "/run/netns"];
/// The most named namespaces that are looked into.
const MOST_NAMESPACES: usize = 512;

/// The kernel's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Major and minor number; absent if the release does not begin with them.
    pub version: Option<(u32, u32)>,
}

impl Report {
    /// Whether devices in containers' namespaces can be watched; else what is missing.
    ///
    /// # Errors
    /// What is missing, for a person.
    pub fn can_watch_inside(&self) -> Result<(), &'static str> {
        match self {
            Self { may_enter: false, .. } => Err("the right to enter them, CAP_SYS_ADMIN, is missing"),
            Self { tcx: false, .. } => Err("this kernel has no TCX, which Linux 6.6 has"),
            Self { btf: false, .. } => Err("this kernel does not describe its types"),
            Self { .. } => Ok(()),
        }
    }
}

impl Kernel {
    /// Whether it is new enough: 5.15.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.version.is_some_and(|version| version >= OLDEST)
    }
}

/// What the process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Of those that matter, the ones it has.
    pub held: Vec<&'static str>,
    /// Those it needs and does not have.
    pub missing: Vec<&'static str>,
}

/// How control groups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// Version 2 alone.
    V2,
    /// Version 1, with version 2 beside it.
    Hybrid,
    /// Version 1 alone.
    V1,
    /// Not at `/sys/fs/cgroup`.
    None,
}

/// A named network namespace with bridges or their ports: what crosses them cannot be seen from this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its file.
    pub path: PathBuf,
    /// Bridges in it.
    pub bridges: Vec<SafeText>,
    /// veths that are ports there.
    pub ports: Vec<SafeText>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The kernel.
    pub kernel: Kernel,
    /// What the process may do.
    pub capabilities: Capabilities,
    /// Whether the kernel describes its own types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// Whether programs are compiled; absent if that cannot be read.
    pub jit: Option<bool>,
    /// Whether TCX is there.
    pub tcx: bool,
    /// How control groups are mounted.
    pub cgroups: Cgroups,
    /// Whether the BPF file system is where an agent pins by default.
    pub bpf_fs: bool,
    /// The limit of locked memory in bytes; absent: none. It does not bind on supported kernels.
    pub memlock: Option<u64>,
    /// Whether it may enter the network namespaces of containers.
    pub may_enter: bool,
    /// What cannot be seen from here.
    pub elsewhere: Vec<Elsewhere>,
    /// Named namespaces that could not be looked into: there may be more in them.
    pub unreadable: Vec<PathBuf>,
}

/// Looks at everything.
#[must_use]
pub fn report() -> Report {
    let (elsewhere, unreadable) = elsewhere();
    Report {
        kernel: kernel(),
        capabilities: capabilities(),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        jit: jit(),
        tcx: has_tcx(),
        cgroups: cgroups(),
        bpf_fs: folder::is_bpf(Path::new(folder::USUAL)),
        memlock: getrlimit(Resource::Memlock).current,
        may_enter: held_capabilities(None).is_ok_and(|it| it.effective.contains(CapabilitySet::SYS_ADMIN)),
        elsewhere,
        unreadable,
    }
}

/// Whether who holds a map may read it without a right.
#[must_use]
pub fn maps_are_free() -> bool {
    kernel().version.is_none_or(|version| version >= MAPS_ARE_FREE)
}

/// The kernel's version.
#[must_use]
pub fn kernel() -> Kernel {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Kernel { version: version(&release), release }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What the process may do, and what it may not but must.
#[must_use]
pub fn capabilities() -> Capabilities {
    let effective = held_capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    judge(effective)
}

fn judge(effective: CapabilitySet) -> Capabilities {
    // CAP_SYS_ADMIN was the older name for the first two, and the kernel still takes it.
    let needs = [
        ("CAP_BPF", CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
        ("CAP_PERFMON", CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ];
    let (held, missing): (Vec<_>, Vec<_>) =
        needs.into_iter().partition(|(_, any)| effective.intersects(*any));
    let name = |(name, _)| name;
    Capabilities {
        held: held.into_iter().map(name).collect(),
        missing: missing.into_iter().map(name).collect(),
    }
}

/// Whether the kernel has TCX. Without the right to ask, it seems not to.
#[must_use]
pub fn has_tcx() -> bool {
    bpf::has_tcx(LOOPBACK)
}

fn jit() -> Option<bool> {
    let setting = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok()?;
    Some(setting.trim() != "0")
}

fn cgroups() -> Cgroups {
    let is_v2 = |path: &str| statfs(path).map(|filesystem| filesystem.f_type == CGROUP2);
    match (is_v2("/sys/fs/cgroup"), is_v2("/sys/fs/cgroup/unified")) {
        (Ok(true), _) => Cgroups::V2,
        (Ok(false), Ok(true)) => Cgroups::Hybrid,
        (Ok(false), _) => Cgroups::V1,
        (Err(_), _) => Cgroups::None,
    }
}

/// Named namespaces other than our own that have bridges or ports, and those that could not be looked into.
fn elsewhere() -> (Vec<Elsewhere>, Vec<PathBuf>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let files = NAMED.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    for file in files.take(MOST_NAMESPACES) {
        let path = file.path();
        // A file that is no namespace is left over from one.
        let Ok(namespace) = namespace::open_other(&path) else { continue };
        match links_in(namespace) {
            Ok(links) => found.extend(bridged(path, &links)),
            Err(_) => unreadable.push(path),
        }
    }
    (found, unreadable)
}

fn links_in(namespace: OwnedFd) -> io::Result<Vec<Link>> {
    // A thread of its own: which namespace one is in is a property of the thread.
    let links = std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Netlink::open()?.links()
    });
    links.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}

fn bridged(path: PathBuf, links: &[Link]) -> Option<Elsewhere> {
    let names =
        |wanted: fn(&&Link) -> bool| links.iter().filter(wanted).map(|link| link.name.clone()).collect();
    let bridges: Vec<_> = names(|link| link.kind == DeviceKind::Bridge);
    let ports: Vec<_> = names(|link| link.kind == DeviceKind::Veth && link.master.is_some());
    (!bridges.is_empty() || !ports.is_empty()).then_some(Elsewhere { path, bridges, ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(release: &str, version: Option<(u32, u32)>, supported: bool) {
        let kernel = Kernel { release: release.into(), version: super::version(release) };
        assert_eq!((kernel.version, kernel.is_supported()), (version, supported), "{release}");
    }

    #[test]
    fn releases_are_read() {
        check("6.18.44", Some((6, 18)), true);
        check("5.15.0-91-generic", Some((5, 15)), true);
        check("5.10.223", Some((5, 10)), false);
        check("7.3-rc1", Some((7, 3)), true);
        check("linux", None, false);
        check("", None, false);
    }

    #[test]
    fn missing_capabilities_are_named() {
        let check = |effective, missing: &[&str]| assert_eq!(judge(effective).missing, missing);
        check(CapabilitySet::empty(), &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        check(CapabilitySet::NET_ADMIN, &["CAP_BPF", "CAP_PERFMON"]);
        check(CapabilitySet::NET_ADMIN | CapabilitySet::BPF | CapabilitySet::PERFMON, &[]);
        check(CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN, &[]);
        check(CapabilitySet::SYS_ADMIN, &["CAP_NET_ADMIN"]);
    }

    #[test]
    fn a_report_can_always_be_made() {
        let report = report();
        assert!(!report.kernel.release.is_empty());
        assert_eq!(report.capabilities.held.len() + report.capabilities.missing.len(), 3);
    }
}
