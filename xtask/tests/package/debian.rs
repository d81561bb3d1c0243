//! A clean Debian in a folder, of this machine's release and package sources.

use anyhow::{Context as _, Result, ensure};
use lab::text;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Unpacking and configuring packages.
const MAKING: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(60);
/// Where this machine's package sources are.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
/// What belongs to dpkg, what does not outlive a boot, and copies of files that a change of a group makes.
const NOT_COMPARED: &str = r"-path ./proc -prune -o -path ./run -prune -o -path ./var/lib/dpkg -prune -o -path ./var/log -prune -o ! -name *-";

/// The folder; gone when dropped.
pub(crate) struct Debian {
    root: PathBuf,
}

impl Debian {
    /// Makes one with nothing but the essential packages and these.
    pub(crate) fn make(packages: &[&str]) -> Result<Self> {
        let root = std::env::temp_dir().join(format!("vw-package-{}", std::process::id()));
        let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
        let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let codename = codename.context("this is no Debian")?.trim_matches('"');
        let sources = SOURCES.into_iter().find(|file| Path::new(file).exists()).context("no apt sources")?;
        let debian = Self { root };
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--mode=root", "--format=directory"]);
        make.arg(format!("--include={}", packages.join(",")));
        // Nobody reads them here, and nobody needs these files after a power failure.
        make.args(["--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=force-unsafe-io"]);
        text(make.arg(codename).arg(&debian.root).arg(sources), MAKING).context("making a Debian")?;
        Ok(debian)
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a command in it, and gives what it prints to standard output.
    pub(crate) fn run(&self, command: &[&str]) -> Result<String> {
        let mut chroot = Command::new("chroot");
        chroot.env("DEBIAN_FRONTEND", "noninteractive").env_remove("TMPDIR");
        text(chroot.arg(&self.root).args(command), PATIENCE)
    }

    /// Installs a package; what it needs has to be there.
    pub(crate) fn install(&self, package: &Path) -> Result<()> {
        let inside = self.root.join("tmp/vethwatch.deb");
        fs::copy(package, &inside).with_context(|| format!("copying {}", package.display()))?;
        self.run(&["dpkg", "--install", "/tmp/vethwatch.deb"])?;
        fs::remove_file(&inside).context("removing the package")
    }

    /// Writes a file in it, and the folder that it is in.
    pub(crate) fn write(&self, path: &str, content: &str) -> Result<()> {
        let file = self.root.join(path.trim_start_matches('/'));
        let folder = file.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))
    }

    /// All its files and folders.
    pub(crate) fn files(&self) -> Result<BTreeSet<String>> {
        let mut find = Command::new("find");
        find.current_dir(&self.root).arg(".").args(NOT_COMPARED.split(' ')).arg("-print");
        Ok(text(&mut find, PATIENCE)?.lines().map(str::to_owned).collect())
    }

    /// Removes it now, and tells if it cannot.
    pub(crate) fn remove(self) -> Result<()> {
        self.clear()
    }

    fn clear(&self) -> Result<()> {
        let mut remove = Command::new("rm");
        text(remove.args(["-rf", "--one-file-system"]).arg(&self.root), PATIENCE)?;
        ensure!(!self.root.exists(), "{} is still there", self.root.display());
        Ok(())
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("{}: {error:#}", self.root.display());
        }
    }
}
