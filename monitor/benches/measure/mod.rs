//! What every benchmark needs: statistics, the machine's description, devices of its own, and a packet generator.
#![expect(dead_code, reason = "each benchmark uses its own part of this module")]

pub(crate) mod devices;
pub(crate) mod process;
pub(crate) mod statistics;
pub(crate) mod traffic;

use std::fs;

/// The Markdown lines that open a section: machine, kernel, command, date.
pub(crate) fn header(title: &str, command: &str) -> String {
    let kernel = read("/proc/sys/kernel/osrelease");
    let model = fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown CPU".to_owned());
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("## {title}\n\n{model}, {cpus} CPUs, Linux {kernel}. Command: `{command}`\n")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
