//! The agent as a process, and what it costs, from `/proc`.

use anyhow::{Context, Result, bail};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
const RAW_TRACEPOINT: u32 = 17;

/// A running vethwatch whose output is read and thrown away.
pub(crate) struct Agent(Child);

impl Agent {
    /// Starts vethwatch with these arguments and waits until it watches the device. What it prints is read and thrown
    /// away.
    pub(crate) fn start(arguments: &[&str], device: &lab::Device) -> Result<Self> {
        // Those of another vethwatch on this machine are not this one's.
        let before = device.programs()?.len();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vethwatch"));
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).spawn().context("starting vethwatch")?;
        let mut output = child.stdout.take().context("its output is a pipe")?;
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let agent = Self(child);
        lab::wait_for("programs on the device", Duration::from_secs(20), || {
            Ok((device.programs()?.len() >= before + 2).then_some(()))
        })?;
        Ok(agent)
    }

    /// CPU time (user and system, all threads) that it has used.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let (_, after_name) = stat.rsplit_once(')').context("stat has a name in parentheses")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = [11, 12].iter().map(|field| Ok(fields[*field].parse::<u64>()?)).sum::<Result<u64>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Its resident memory now, bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = self.read("status")?;
        let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmRSS:")) else {
            bail!("no VmRSS")
        };
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
    }

    /// Nanoseconds and runs of its program at a raw tracepoint, while the kernel keeps statistics.
    pub(crate) fn tracepoint_program(&self) -> Result<(u64, u64)> {
        let folder = format!("/proc/{}/fdinfo", self.0.id());
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {folder}"))? {
            let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                line.trim().parse::<u64>().ok()
            };
            let is_raw_tracepoint = field("prog_type") == Some(u64::from(RAW_TRACEPOINT));
            if let (true, Some(time), Some(runs)) =
                (is_raw_tracepoint, field("run_time_ns"), field("run_cnt"))
            {
                return Ok((time, runs));
            }
        }
        bail!("it has no program at a raw tracepoint")
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            // SAFETY: a signal to a child that was not waited for yet.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        // It is over either way.
        let _ = self.0.wait();
    }
}

/// Time all CPUs spent in softirq, and in anything but idle, in ticks of 10 ms, since boot.
pub(crate) fn machine_ticks() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").expect("/proc/stat can be read");
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().expect("/proc/stat holds numbers"))
        .collect();
    (fields[6], fields[0] + fields[1] + fields[2] + fields[5] + fields[6])
}
