//! A systemd that is process 1 of namespaces of its own, in the folder of a [`Debian`], in this host's network.

use crate::debian::Debian;
use anyhow::{Context as _, Result, ensure};
use lab::{docker_host, text, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Where Docker has containers' network namespaces.
const NAMESPACES: &str = "/run/docker/netns";

/// Becomes systemd: `$1` is the folder, `$2` the cgroup, `$3` the socket of Docker, `$4` its folder of network namespaces, of
/// which it has those that are there by then.
///
/// What it could change of the host is read-only or not there: it gets a control group of its own, the settings of the
/// kernel are read-only, and of the devices it has those that hold nothing. It starts nothing but what is asked for.
const BOOT: &str = r#"
set -eu
root=$1 cgroup=$2 docker=$3 namespaces=$4
echo $$ >"$cgroup/cgroup.procs"
exec unshare --mount --uts --ipc --cgroup --pid --fork --kill-child sh -euc '
root=$1 docker=$2 namespaces=$3
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts dev/mqueue
mount -t devpts devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
: >run/docker.sock
mount --bind "$docker" run/docker.sock
mkdir -p run/docker/netns
mount --rbind "$namespaces" run/docker/netns
mkdir -p run/old
pivot_root . run/old
umount --lazy /run/old
rmdir /run/old
exec env --ignore-environment container=vw PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target
' boot "$root" "$docker" "$namespaces"
"#;

/// The systemd; ended when dropped.
pub(crate) struct Booted<'a> {
    /// What it runs in must not be removed before it.
    debian: &'a Debian,
    cgroup: PathBuf,
    unshare: Child,
    /// Process 1, as this machine numbers it.
    pid: String,
}

impl<'a> Booted<'a> {
    /// Boots it.
    pub(crate) fn boot(debian: &'a Debian) -> Result<Self> {
        // What a Debian does by itself from time to time is not wanted here.
        debian.run(&["sh", "-c", "rm -rf /etc/systemd/system/*.wants"])?;
        let cgroup = cgroups()?.join(format!("vw-package-{}", std::process::id()));
        fs::create_dir(&cgroup).with_context(|| format!("making {}", cgroup.display()))?;
        let log = fs::File::create(debian.root().join("boot.log")).context("making a log")?;
        let docker = docker_host().context("finding the socket of Docker")?;
        let socket = docker.trim_start_matches("unix://");
        let mut boot = Command::new("sh");
        boot.args(["-c", BOOT, "boot"]).arg(debian.root()).arg(&cgroup).arg(socket).arg(NAMESPACES);
        boot.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let unshare = boot.spawn().context("starting systemd")?;
        let mut booted = Self { debian, cgroup, unshare, pid: String::new() };
        let children = format!("/proc/{0}/task/{0}/children", booted.unshare.id());
        booted.pid = wait_for("process 1", PATIENCE, || {
            let children = fs::read_to_string(&children).unwrap_or_default();
            Ok(children.split_whitespace().next().map(str::to_owned))
        })?;
        wait_for("systemd", PATIENCE, || Ok(booted.systemctl(&["is-active", "basic.target"]).ok()))
            .with_context(|| booted.log())?;
        Ok(booted)
    }

    /// Runs a command beside it.
    pub(crate) fn run(&self, command: &[&str]) -> Result<String> {
        let mut nsenter = Command::new("nsenter");
        nsenter.args([
            "--target", &self.pid, "--mount", "--uts", "--ipc", "--cgroup", "--pid", "--root", "--wd=/",
        ]);
        text(nsenter.args(command), PATIENCE)
    }

    /// Asks it for something.
    pub(crate) fn systemctl(&self, words: &[&str]) -> Result<String> {
        self.run(&[&["systemctl"], words].concat())
    }

    /// A property of the service.
    pub(crate) fn show(&self, property: &str) -> Result<String> {
        self.systemctl(&["show", "--value", "--property", property, "vethwatch"])
    }

    /// A line of the status of a process that it runs, without its name.
    pub(crate) fn of_status(&self, pid: &str, name: &str) -> Result<String> {
        let status = self.run(&["cat", &format!("/proc/{pid}/status")])?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("{name} is not in {status}"))?.trim().to_owned())
    }

    /// What the service has said.
    pub(crate) fn journal(&self) -> String {
        self.run(&["journalctl", "--no-pager", "--unit", "vethwatch"])
            .unwrap_or_else(|error| format!("{error:#}"))
    }

    /// Where the agent that runs now says that its metrics are.
    pub(crate) fn metrics(&self) -> Result<String> {
        let of_it = format!("[{}]: ", self.show("MainPID")?);
        wait_for("the address of the metrics", PATIENCE, || {
            let journal = self.journal();
            let behind = journal.lines().filter(|line| line.contains(&of_it));
            let mut addresses =
                behind.filter_map(|line| line.split_once("metrics are at ")?.1.split_whitespace().next());
            Ok(addresses.next_back().filter(|at| at.starts_with("http")).map(str::to_owned))
        })
        .with_context(|| self.journal())
    }

    /// What systemd itself has said.
    fn log(&self) -> String {
        fs::read_to_string(self.debian.root().join("boot.log")).unwrap_or_default()
    }

    /// Ends it now, and tells if it cannot.
    pub(crate) fn end(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        // All in its namespaces end with it.
        if self.unshare.try_wait()?.is_none() {
            self.unshare.kill().context("ending systemd")?;
        }
        self.unshare.wait().context("waiting for systemd")?;
        let gone = || {
            let mut find = Command::new("find");
            text(find.arg(&self.cgroup).args(["-depth", "-type", "d", "-delete"]), PATIENCE)
        };
        wait_for("its processes to end", PATIENCE, || {
            Ok((!self.cgroup.exists() || gone().is_ok()).then_some(()))
        })
    }
}

impl Drop for Booted<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{}: {error:#}", self.cgroup.display());
        }
    }
}

/// Where version 2 of the control groups is mounted.
fn cgroups() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading the mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|mount| mount.get(2) == Some(&"cgroup2")).context("no cgroups of version 2")?;
    let place = Path::new(mount[1]);
    ensure!(place.exists(), "{} does not exist", place.display());
    Ok(place.to_owned())
}
