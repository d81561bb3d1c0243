//! The BPF programs on a device, as the kernel tells them; old versions of `bpftool` do not know TCX.

use crate::{Device, command};
use anyhow::{Result, ensure};
use std::io::Error;
use std::process::Command;
use std::time::Duration;

/// The command of bpf(2) that asks for attached programs.
const BPF_PROG_QUERY: libc::c_long = 16;

/// Attach types of TCX.
const TCX: [(u32, &str); 2] = [(46, "ingress"), (47, "egress")];

/// More than anybody attaches in one place.
const MOST: usize = 64;

/// The kernel's `union bpf_attr`, as this command reads it.
#[repr(C)]
#[derive(Default)]
struct Query {
    ifindex: u32,
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
            let ids = self.attached(attach_type)?;
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

    /// Numbers of the programs that are attached by TCX; none where the kernel has no TCX.
    fn attached(&self, attach_type: u32) -> Result<Vec<u32>> {
        let mut ids = [0_u32; MOST];
        let mut query = Query {
            ifindex: self.ifindex,
            attach_type,
            ids: ids.as_mut_ptr() as u64,
            count: u32::try_from(MOST)?,
            ..Query::default()
        };
        // SAFETY: the pointer and the length describe `query`; the kernel writes at most `count` numbers to `ids`,
        // which has that many.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of::<Query>()) };
        if result < 0 {
            let error = Error::last_os_error();
            // EINVAL: this kernel knows no such attach type. ENOENT: nothing was ever attached there.
            ensure!(
                matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)),
                "asking what is on {}: {error}",
                self.name
            );
            return Ok(Vec::new());
        }
        Ok(ids.into_iter().take(usize::try_from(query.count)?).collect())
    }
}
