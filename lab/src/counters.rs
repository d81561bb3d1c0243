//! What the kernel lists: counters of a network namespace, and who is at a socket.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// A counter of the network namespace of a process, in one of the files of `/proc/PID/net`: a line of names and one of
/// values (`snmp`, `netstat`), or one of both (`snmp6`). The first of that name.
///
/// # Errors
/// The process is gone, or there is no such counter.
pub fn kernel_counter(pid: u32, file: &str, name: &str) -> Result<u64> {
    let counters = fs::read_to_string(format!("/proc/{pid}/net/{file}"))?;
    let lines: Vec<Vec<&str>> = counters.lines().map(|line| line.split_whitespace().collect()).collect();
    let of_pair = lines.windows(2).find_map(|pair| {
        let at = pair[0].iter().position(|word| *word == name)?;
        pair[1].get(at)
    });
    let of_line = lines.iter().find(|line| line.first() == Some(&name)).and_then(|line| line.get(1));
    let value = if file == "snmp6" { of_line } else { of_pair };
    Ok(value.with_context(|| format!("no {name} in {file}"))?.parse()?)
}

/// How many clients a listening Unix socket has: the kernel lists their ends and the one that listens.
///
/// # Errors
/// The path is no text, or the kernel lists none.
pub fn clients_at(socket: &Path) -> Result<usize> {
    let path = socket.to_str().context("a path")?;
    let sockets = fs::read_to_string("/proc/net/unix")?;
    Ok(sockets.lines().filter(|line| line.ends_with(path)).count().saturating_sub(1))
}
