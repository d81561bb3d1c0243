//! Segments sent again that no program was told of. Seen on machines whose process 1 is a service of their maker's: while a
//! thread of that one is interrupted, their kernel runs no program at a tracepoint and counts no miss, and only its own trace
//! buffer has what went on. Other kernels run programs then as ever.

use anyhow::{Context as _, Result, ensure};
use lab::text;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const EVENTS: [&str; 2] = ["tcp_retransmit_skb", "tcp_retransmit_synack"];
/// Errors with which a segment is traced (since Linux 6.17) and not counted: `EAGAIN`, `ENOMEM`, `EBUSY`, `EINVAL`,
/// `EHOSTUNREACH`.
const NOT_COUNTED: [&str; 5] = ["err=-11", "err=-12", "err=-16", "err=-22", "err=-113"];

/// A trace buffer of a test's own, which is gone when dropped.
pub(crate) struct Unseen {
    file_system: PathBuf,
    instance: PathBuf,
}

impl Unseen {
    /// Traces from now on.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let name = format!("vw-{name}-{}", std::process::id());
        let file_system = std::env::temp_dir().join(format!("{name}-tracefs"));
        fs::create_dir(&file_system)?;
        let instance = file_system.join("instances").join(name);
        let new = Self { file_system, instance };
        text(Command::new("mount").args(["-t", "tracefs", "tracefs"]).arg(&new.file_system), PATIENCE)?;
        fs::create_dir(&new.instance)?;
        for event in EVENTS {
            fs::write(new.instance.join("events/tcp").join(event).join("enable"), "1")?;
        }
        Ok(new)
    }

    /// Whether what was told is all that the kernel counted of an address: but, on such a kernel, what is unseen.
    pub(crate) fn is_all(&self, told: u64, counted: u64, address: &str) -> Result<bool> {
        Ok(told == counted || Some(told) == counted.checked_sub(self.of(address)?))
    }

    /// How often an address sent again while process 1 was interrupted.
    pub(crate) fn of(&self, address: &str) -> Result<u64> {
        for cpu in fs::read_dir(self.instance.join("per_cpu"))? {
            let stats = fs::read_to_string(cpu?.path().join("stats"))?;
            ensure!(stats.contains("overrun: 0\n"), "the trace buffer was too small: {stats}");
        }
        let traced = fs::read_to_string(self.instance.join("trace"))?;
        let source = format!("saddr={address}");
        let is_unseen = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Their name, a hyphen, and their number come first; a name may have both and spaces too.
            let task = line.split(" [").next().and_then(|task| task.trim().rsplit('-').next());
            let is_of_init = task.is_some_and(|task| Path::new("/proc/1/task").join(task).exists());
            words.contains(&&*source) && is_of_init && !NOT_COUNTED.iter().any(|error| words.contains(error))
        };
        u64::try_from(traced.lines().filter(is_unseen).count()).context("a count")
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let ended =
            fs::write(self.instance.join("events/enable"), "0").and_then(|()| fs::remove_dir(&self.instance));
        let unmounted = text(Command::new("umount").arg(&self.file_system), PATIENCE);
        if let Err(error) = fs::remove_dir(&self.file_system) {
            eprintln!("{} is left: {error}, {ended:?}, {unmounted:?}", self.file_system.display());
        }
    }
}
