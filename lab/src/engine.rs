//! A Docker engine of a test's own, with settings of its own, in a network namespace of its own: its networks, its
//! firewall rules and its containers are none of the host's.

use crate::groups::of_engine;
use crate::{Packages, command, remove_groups, wait_for};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
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
    programs: Programs,
    daemon: Child,
}

/// Which engine it is.
#[derive(Clone, Debug)]
enum Programs {
    /// Docker: the daemon, and where it looks for what it starts.
    Docker { dockerd: PathBuf, path: OsString },
    /// Podman, which answers as Docker does: where its packages are unpacked.
    Podman(PathBuf),
}

/// What makes Podman's settings and becomes its service.
const PODMAN: &str = include_str!("podman.sh");

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
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::run(Programs::Docker { dockerd: "dockerd".into(), path }, ending, settings, image)
    }

    /// Starts the engine of other packages, which have to stay until it has ended.
    ///
    /// # Errors
    /// It does not start within a minute, or the image is not there.
    pub fn of_packages(packages: &Packages, settings: &str, image: &str) -> Result<Self> {
        let dockerd = packages.path("usr/sbin/dockerd");
        Self::run(Programs::Docker { dockerd, path: packages.search_path() }, "", settings, image)
    }

    /// Starts Podman instead, of packages that have to stay until it has ended. Its containers have to be
    /// run with `--cgroup-parent` of [`Engine::group`].
    ///
    /// # Errors
    /// It does not start within a minute, or the image is not there.
    pub fn podman(packages: &Packages, image: &str) -> Result<Self> {
        Self::run(Programs::Podman(packages.path("")), "", "", image)
    }

    fn run(programs: Programs, ending: &str, settings: &str, image: &str) -> Result<Self> {
        let namespace = format!("{NAME}{}{ending}", std::process::id());
        let folder = std::env::temp_dir().join(&namespace);
        fs::create_dir_all(&folder).context("making the engine's folder")?;
        fs::write(folder.join("daemon.json"), settings).context("writing its settings")?;
        run(Command::new("ip").args(["netns", "add", &namespace]))?;
        // Docker has the host drop what it would forward only where it was the one that turned forwarding on.
        let mut forward = Command::new("ip");
        forward.args(["netns", "exec", &namespace, "sysctl", "--quiet", "--write", "net.ipv4.ip_forward=0"]);
        run(&mut forward)?;
        let started = launch(&namespace, &folder, &programs);
        let daemon = started.or_else(|error| remove(&namespace, &folder).and(Err(error)))?;
        let engine = Self { namespace, folder, programs, daemon };
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

    /// Its folder, which goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The control group of its containers.
    #[must_use]
    pub fn group(&self) -> String {
        of_engine(&self.namespace)
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
fn launch(namespace: &str, folder: &Path, programs: &Programs) -> Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let log = log.context("making its log")?;
    let mut daemon = Command::new("nsenter");
    daemon.arg(format!("--net=/run/netns/{namespace}"));
    match programs {
        Programs::Docker { dockerd, path } => {
            let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
            daemon.arg(dockerd).env("PATH", path).args(["--config-file", &at("daemon.json")]);
            daemon.args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")]);
            daemon.args(["--cgroup-parent", &of_engine(namespace)]);
            daemon.args(["--host", &format!("unix://{}", at("docker.sock"))]);
        }
        Programs::Podman(packages) => {
            daemon.args(["unshare", "--mount", "--propagation", "private", "bash", "-c", PODMAN, "podman"]);
            daemon.arg(packages).arg(folder);
        }
    }
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
        self.daemon = launch(&self.namespace, &self.folder, &self.programs)?;
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
    remove_groups(namespace)?;
    run(Command::new("ip").args(["netns", "del", namespace]))?;
    fs::remove_dir_all(folder).context("removing its folder")
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    command::text(command, PATIENCE).map(drop)
}
