//! Docker engines of other releases of Debian than this machine's, for tests of what newer ones do otherwise.

use crate::{finish, text};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long lists and packages may take to come.
const PATIENCE: Duration = Duration::from_secs(300);
/// The packages with the programs of an engine. runc is the machine's: a newer one wants a newer C library.
const PACKAGES: [&str; 2] = ["docker.io", "containerd"];
/// Who signed the lists.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The programs of one release's engine, unpacked and not installed; gone when dropped.
#[derive(Debug)]
pub struct Release {
    folder: PathBuf,
}

impl Release {
    /// Gets the engine of a release (`trixie`, `sid`) from where this machine gets its packages.
    ///
    /// # Errors
    /// This is no Debian, or its packages are out of reach.
    pub fn fetch(suite: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-release-{suite}-{}", std::process::id()));
        let release = Self { folder };
        let apt = Apt::of(suite, &release.folder.join("apt"))?;
        apt.run("apt-get", &["update"], &release.folder)?;
        for package in PACKAGES {
            apt.run("apt-get", &["download", package], &release.folder)?;
        }
        let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
        let files = fs::read_dir(&release.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        for file in files.filter(is_package) {
            text(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&release.folder), PATIENCE)?;
        }
        ensure!(release.dockerd().exists(), "the packages of {suite} have no dockerd");
        Ok(release)
    }

    /// The engine's program.
    #[must_use]
    pub fn dockerd(&self) -> PathBuf {
        self.folder.join("usr/sbin/dockerd")
    }

    /// The machine's `PATH` with the folders of these programs in front.
    pub(crate) fn path(&self) -> OsString {
        let mut path = OsString::new();
        for folder in ["usr/sbin", "usr/bin"] {
            path.push(self.folder.join(folder));
            path.push(":");
        }
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}

impl Drop for Release {
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
        for below in
            ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"]
        {
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

    fn run(&self, program: &str, words: &[&str], folder: &Path) -> Result<()> {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        text(command.args(words).current_dir(folder), PATIENCE).map(drop)
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
