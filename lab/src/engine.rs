//! A Docker engine of a test's own, with settings of its own, in a network namespace of its own: its networks, its
//! firewall rules and its containers are none of the host's.

use crate::{command, wait_for};
use anyhow::{Context, Result, ensure};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What every namespace, folder and cgroup of an engine is called by, before the process's number.
const NAME: &str = "vw-engine-";
/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running engine; it, its containers and its data are gone when dropped.
#[derive(Debug)]
pub struct Engine {
    /// Its network namespace, below `/run/netns`.
    pub namespace: String,
    folder: PathBuf,
    daemon: Child,
}

impl Engine {
    /// Starts one with these settings, the content of a `daemon.json`, and gives it an image of the host's engine.
    ///
    /// # Errors
    /// There is no `dockerd`, it does not start within a minute, or the image is not there.
    pub fn start(settings: &str, image: &str) -> Result<Self> {
        Self::start_as("", settings, image)
    }

    /// The same, one of several of a process, told apart by an ending.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_as(ending: &str, settings: &str, image: &str) -> Result<Self> {
        let namespace = format!("{NAME}{}{ending}", std::process::id());
        let folder = std::env::temp_dir().join(&namespace);
        fs::create_dir_all(&folder).context("making the engine's folder")?;
        fs::write(folder.join("daemon.json"), settings).context("writing its settings")?;
        run(Command::new("ip").args(["netns", "add", &namespace]))?;
        let started = launch(&namespace, &folder);
        let daemon = started.or_else(|error| remove(&namespace, &folder).and(Err(error)))?;
        let engine = Self { namespace, folder, daemon };
        run(Command::new("ip").args(["-n", &engine.namespace, "link", "set", "lo", "up"]))?;
        engine.answers()?;
        let archive = engine.folder.join("image.tar");
        run(Command::new("docker").args(["save", image, "--output"]).arg(&archive))?;
        engine.docker(&["load", "--input", &archive.to_string_lossy()])?;
        Ok(engine)
    }

    /// Where it answers, as `DOCKER_HOST` has it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// Runs `docker` against it and returns what it prints.
    ///
    /// # Errors
    /// It fails, or takes longer than a minute.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        command::text(Command::new("docker").args(["--host", &self.host()]).args(arguments), PATIENCE)
    }
}

/// Starts the daemon, in a namespace and a folder that are there. With `nsenter`, not `ip netns exec`: that mounts another /sys, without the cgroups.
fn launch(namespace: &str, folder: &Path) -> Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let log = log.context("making its log")?;
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut daemon = Command::new("nsenter");
    daemon.arg(format!("--net=/run/netns/{namespace}")).arg("dockerd");
    daemon.args([
        "--config-file",
        &at("daemon.json"),
        "--data-root",
        &at("data"),
        "--exec-root",
        &at("exec"),
    ]);
    daemon.args(["--pidfile", &at("pid"), "--cgroup-parent", &format!("/{namespace}")]);
    daemon.args(["--host", &format!("unix://{}", at("docker.sock"))]);
    daemon.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("starting dockerd")
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.stop().and_then(|()| remove(&self.namespace, &self.folder)) {
            eprintln!("{}: {error:#}", self.namespace);
        }
    }
}

impl Engine {
    /// Ends the daemon. With `live-restore` among its settings its containers go on.
    ///
    /// # Errors
    /// It has ended already, or does not within a minute.
    pub fn stop_daemon(&mut self) -> Result<()> {
        let pid = i32::try_from(self.daemon.id())?;
        ensure!(self.daemon.try_wait()?.is_none(), "the daemon has ended already");
        // SAFETY: plain system call; the child still ran just now, and nobody else waits for it.
        ensure!(unsafe { libc::kill(pid, libc::SIGTERM) } == 0, "the daemon has ended already");
        wait_for("the daemon to end", PATIENCE, || Ok(self.daemon.try_wait()?)).map(drop)
    }

    /// Starts the daemon again, after it was ended.
    ///
    /// # Errors
    /// It does not answer within a minute.
    pub fn start_daemon(&mut self) -> Result<()> {
        self.daemon = launch(&self.namespace, &self.folder)?;
        self.answers()
    }

    fn answers(&self) -> Result<()> {
        wait_for("the engine to answer", PATIENCE, || Ok(self.docker(&["version"]).ok())).map(drop)
    }

    /// Removes all containers, then ends the daemon.
    fn stop(&mut self) -> Result<()> {
        if self.daemon.try_wait()?.is_some() {
            self.start_daemon()?;
        }
        let containers = self.docker(&["ps", "--all", "--quiet"])?;
        for container in containers.lines() {
            self.docker(&["rm", "--force", "--volumes", container])?;
        }
        self.stop_daemon()
    }
}

/// Removes what an engine that has ended left: mounts, cgroups, the namespace, the folder.
fn remove(namespace: &str, folder: &Path) -> Result<()> {
    let inside = format!("{}/", folder.display());
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    let mut targets: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|target| target.starts_with(&inside))
        .collect();
    targets.sort_unstable();
    for target in targets.iter().rev() {
        run(Command::new("umount").args(["--lazy", target]))?;
    }
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &format!("*/{namespace}*"), "-delete"]);
    run(&mut find)?;
    run(Command::new("ip").args(["netns", "del", namespace]))?;
    fs::remove_dir_all(folder).context("removing its folder")
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    command::text(command, PATIENCE).map(drop)
}
