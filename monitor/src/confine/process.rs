//! What other processes hold, as the kernel tells everybody.

use super::capabilities::names;
use rustix::thread::CapabilitySet;
use std::fs;

/// What the helper of an agent is called.
pub const HELPER: &str = "vw-helper";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// As whom it runs, by number.
    pub user: u32,
    /// Capabilities that it may have.
    pub held: Vec<&'static str>,
    parent: u32,
}

/// Each agent's main process on this host, with its helper. A process that goes meanwhile is left out.
#[must_use]
pub fn agents() -> Vec<(Process, Process)> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let agent = |pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let helper = (name.trim() == HELPER).then(|| process(pid)).flatten()?;
        let guard = process(helper.parent)?;
        Some((process(guard.parent)?, helper))
    };
    pids.filter_map(agent).collect()
}

fn process(pid: u32) -> Option<Process> {
    read(pid, &fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn read(pid: u32, status: &str) -> Option<Process> {
    let value = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next())
    };
    let held = u64::from_str_radix(value("CapPrm")?, 16).ok()?;
    Some(Process {
        pid,
        user: value("Uid")?.parse().ok()?,
        held: names(CapabilitySet::from_bits_truncate(held)),
        parent: value("PPid")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Process, read};

    #[test]
    fn a_status_says_who_it_is_and_what_it_holds() {
        let status =
            "Name:\tx\nPPid:\t7\nUid:\t65534\t65534\t65534\t65534\nCapInh:\t0\nCapPrm:\t0000000000001000\n";
        let expected = Process { pid: 9, user: 65_534, held: vec!["NET_ADMIN"], parent: 7 };
        assert_eq!(read(9, status), Some(expected));
        for other in ["", "PPid:\t7\n", "PPid:\t7\nUid:\t0\nCapPrm:\tx\n"] {
            assert_eq!(read(9, other), None, "{other:?}");
        }
    }
}
