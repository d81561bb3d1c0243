//! The BPF programs on a device or a control group, as the kernel tells them; old versions of `bpftool` do not know TCX.

use crate::{Container, Device, command};
use anyhow::{Context as _, Result, ensure};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Error;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The command of bpf(2) that asks for attached programs.
const BPF_PROG_QUERY: libc::c_long = 16;

/// Attach types of TCX.
const TCX: [(u32, &str); 2] = [(46, "ingress"), (47, "egress")];

/// Attach types of a control group.
const GROUP: [u32; 2] = [0, 1];

/// More than anybody attaches in one place.
const MOST: usize = 64;

/// The kernel's `union bpf_attr`, as this command reads it.
#[repr(C)]
#[derive(Default)]
struct Query {
    /// An ifindex, or the descriptor of a control group.
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
    attach_flags_of_each: u64,
    link_ids: u64,
    attach_flags_of_each_link: u64,
    revision: u64,
}

impl Device {
    /// A line for each program attached to it, by TCX or as a filter of clsact.
    ///
    /// # Errors
    /// The device is gone, this is not root, or there is no `tc`.
    pub fn programs(&self) -> Result<Vec<String>> {
        let mut programs = Vec::new();
        for (attach_type, place) in TCX {
            let ids = attached(self.ifindex, attach_type).with_context(|| format!("on {}", self.name))?;
            programs.extend(ids.into_iter().map(|id| format!("tcx {place}: program {id}")));
            let mut tc = Command::new("tc");
            let text = command::text(
                tc.args(["filter", "show", "dev", &self.name, place]),
                Duration::from_secs(10),
            )?;
            let filters = text.lines().filter(|line| line.contains(" bpf ") && line.contains("handle"));
            programs.extend(filters.map(|filter| format!("clsact {place}: {}", filter.trim())));
        }
        Ok(programs)
    }
}

impl Container {
    /// How many programs count what its control group sends and receives.
    ///
    /// # Errors
    /// It does not run, has no control group of version 2, or this is not root.
    pub fn group_programs(&self) -> Result<usize> {
        let listed = fs::read_to_string(format!("/proc/{}/cgroup", self.pid()?))?;
        let path = listed.lines().find_map(|line| line.strip_prefix("0::/")).context("a control group")?;
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let directory = mounts.map(|mount| mount.join(path)).into_iter().find(|directory| directory.exists());
        let directory = File::open(directory.context("its directory")?)?;
        let target = u32::try_from(directory.as_raw_fd())?;
        GROUP.into_iter().map(|attach_type| Ok(attached(target, attach_type)?.len())).sum()
    }
}

impl Container {
    /// How many programs are attached by TCX to a device in its own network namespace.
    ///
    /// # Errors
    /// It does not run, has no such device, or this is not root.
    pub fn own_programs(&self, device: &str) -> Result<usize> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid()?)).context("its namespace")?;
        let device = CString::new(device)?;
        let count = move || {
            // SAFETY: plain system call with a descriptor that is open; the thread ends in that namespace.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            ensure!(entered == 0, "entering it: {}", Error::last_os_error());
            // SAFETY: the name ends with a zero.
            let ifindex = unsafe { libc::if_nametoindex(device.as_ptr()) };
            ensure!(ifindex != 0, "it has no {device:?}");
            TCX.into_iter().map(|(attach_type, _)| Ok(attached(ifindex, attach_type)?.len())).sum()
        };
        std::thread::spawn(count).join().expect("the thread does not panic")
    }
}

/// Numbers of the programs that are attached there; none where the kernel has no such hook.
fn attached(target: u32, attach_type: u32) -> Result<Vec<u32>> {
    let mut ids = [0_u32; MOST];
    let mut query = Query {
        target,
        attach_type,
        ids: ids.as_mut_ptr() as u64,
        count: u32::try_from(MOST)?,
        ..Query::default()
    };
    // SAFETY: the pointer and the length describe `query`; the kernel writes at most `count` numbers to `ids`,
    // which has that many.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of::<Query>()) };
    if result < 0 {
        let error = Error::last_os_error();
        // EINVAL: this kernel knows no such attach type. ENOENT: nothing was ever attached there.
        ensure!(
            matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)),
            "asking what is attached: {error}"
        );
        return Ok(Vec::new());
    }
    Ok(ids.into_iter().take(usize::try_from(query.count)?).collect())
}
