//! Programs of Debian's packages, unpacked and not installed: engines for tests of what others do than the machine's.

use crate::{finish, text};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long lists and packages may take to come.
const PATIENCE: Duration = Duration::from_secs(300);
/// The package that leads to a release's newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Who signed the lists.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacked packages of one release; gone when dropped.
#[derive(Debug)]
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Gets the Docker engine of a release (`trixie`, `sid`). Its runc is the machine's: a newer one wants a newer C library.
    ///
    /// # Errors
    /// This is no Debian, or its packages are out of reach.
    pub fn docker(suite: &str) -> Result<Self> {
        let packages = Self::fetch(suite, &["docker.io", "containerd"])?;
        ensure!(packages.path("usr/sbin/dockerd").exists(), "the packages of {suite} have no dockerd");
        Ok(packages)
    }

    /// Gets Podman 4 and what it needs, which runs on later releases too.
    ///
    /// # Errors
    /// This is no Debian, or its packages are out of reach.
    pub fn podman() -> Result<Self> {
        let libraries = ["libgpgme11", "golang-github-containers-common", "golang-github-containers-image"];
        let programs = ["podman", "conmon", "containernetworking-plugins"];
        Self::fetch("bookworm", &[&programs[..], &libraries].concat())
    }

    /// Gets the kernel of a release that is made for virtual machines.
    ///
    /// # Errors
    /// This is no Debian, or its packages are out of reach.
    pub(crate) fn kernel(suite: &str) -> Result<Self> {
        let (packages, apt) = Self::of(suite)?;
        let mut names = apt.needs(KERNEL)?;
        names.retain(|name| name.starts_with("linux-image-"));
        let image = names.first().with_context(|| format!("{suite} has no {KERNEL}"))?;
        // Newer ones come in parts.
        let mut parts = apt.needs(image)?;
        parts.retain(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"));
        names.extend(parts);
        packages.unpack(&apt, &names)?;
        Ok(packages)
    }

    /// Gets packages of a release from where this machine gets its own.
    pub(crate) fn fetch(suite: &str, names: &[&str]) -> Result<Self> {
        let (packages, apt) = Self::of(suite)?;
        packages.unpack(&apt, names)?;
        Ok(packages)
    }

    /// A folder without packages, and what gets them.
    fn of(suite: &str) -> Result<(Self, Apt)> {
        let folder = std::env::temp_dir().join(format!("vw-packages-{suite}-{}", std::process::id()));
        let packages = Self { folder };
        let apt = Apt::of(suite, &packages.path("apt"))?;
        apt.run("apt-get", &["update"], &packages.folder)?;
        Ok((packages, apt))
    }

    fn unpack(&self, apt: &Apt, names: &[impl AsRef<str>]) -> Result<()> {
        let names = names.iter().map(AsRef::as_ref);
        apt.run("apt-get", &["download"].into_iter().chain(names).collect::<Vec<_>>(), &self.folder)?;
        let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
        let files = fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        for file in files.filter(is_package) {
            text(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&self.folder), PATIENCE)?;
        }
        Ok(())
    }

    /// Where a file of theirs is, by its path without the first slash.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The machine's `PATH` with the folders of these programs in front.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = OsString::new();
        for folder in ["usr/sbin", "usr/bin"] {
            path.push(self.path(folder));
            path.push(":");
        }
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("removing {}: {error}", self.folder.display());
        }
    }
}

/// An apt with lists of its own, which neither reads nor changes what is installed here.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn of(suite: &str, folder: &Path) -> Result<Self> {
        let below =
            ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"];
        for below in below {
            fs::create_dir_all(folder.join(below)).context("making apt's folders")?;
        }
        fs::write(folder.join("status"), "").context("writing that nothing is installed")?;
        let source = format!("deb [signed-by={KEYS}] {} {suite} main\n", mirror()?);
        fs::write(folder.join("etc/apt/sources.list"), source).context("writing where packages are")?;
        let at = |option: &str, below: &str| format!("{option}={}", folder.join(below).display());
        let options = vec![
            at("Dir::Etc", "etc/apt"),
            at("Dir::State", "state"),
            at("Dir::State::status", "status"),
            at("Dir::Cache", "cache"),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { options })
    }

    fn run(&self, program: &str, words: &[&str], folder: &Path) -> Result<String> {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        text(command.args(words).current_dir(folder), PATIENCE)
    }

    /// The packages that one depends on.
    fn needs(&self, package: &str) -> Result<Vec<String>> {
        let told = self.run("apt-cache", &["depends", package], Path::new("/"))?;
        Ok(told.lines().filter_map(|line| Some(line.trim().strip_prefix("Depends: ")?.to_owned())).collect())
    }
}

/// Where this machine gets Debian's packages from.
fn mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let finished = finish(&mut command, PATIENCE).context("asking apt, which Debian has")?;
    let mirror = finished.stdout.lines().find_map(|line| line.strip_prefix("Debian "));
    mirror.map(str::to_owned).context("apt names no archive of Debian")
}
