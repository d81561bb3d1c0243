//! What the tests need besides Rust and Docker.

use crate::cargo::target_folder;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 21] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bpftool", "bpftool"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("curl", "curl"),
    ("docker-compose", "docker-compose"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("ethtool", "ethtool"),
    ("iptables-save", "iptables"),
    ("ldd", "libc-bin"),
    ("mmdebstrap", "mmdebstrap"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("strip", "binutils"),
    ("tcpdump", "tcpdump"),
    ("tmux", "tmux"),
    ("tshark", "tshark"),
    ("xz", "xz-utils"),
];

/// Programs of packages that would start a service: only the programs are taken out, to [`OWN`].
const TAKEN_OUT: [(&str, &str); 2] = [("prometheus", "prometheus"), ("promtool", "prometheus")];

/// Where such programs are put.
const OWN: &str = "/usr/local/bin";

/// Where programs are; an ordinary person's PATH lacks some of these.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Installs the packages that are missing, on Debian; elsewhere names the programs.
pub(crate) fn install_missing() -> Result<()> {
    let (to_install, to_take_out) = (missing(&PROGRAMS), missing(&TAKEN_OUT));
    let programs: Vec<_> = to_install.iter().chain(&to_take_out).map(|(program, _)| *program).collect();
    if programs.is_empty() {
        return Ok(());
    }
    if !is_installed("apt-get") {
        bail!("the tests need {}: install them, then run this again", programs.join(", "));
    }
    apt_get(&["update", "--quiet"])?;
    if !to_install.is_empty() {
        let packages = packages(&to_install);
        println!("installing {}", packages.join(" "));
        apt_get(&[&["install", "--yes", "--quiet", "--no-install-recommends"], &packages[..]].concat())?;
    }
    for package in packages(&to_take_out) {
        let of_package = to_take_out.iter().filter(|(_, of)| *of == package).map(|(program, _)| *program);
        take_out(package, &of_package.collect::<Vec<_>>())?;
    }
    let missing: Vec<_> = programs.into_iter().filter(|program| !is_installed(program)).collect();
    ensure!(missing.is_empty(), "still missing after the installation: {}", missing.join(", "));
    Ok(())
}

/// Those that are nowhere, with their packages.
fn missing(programs: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    programs.iter().filter(|(program, _)| !is_installed(program)).copied().collect()
}

/// The packages of these programs, each once.
fn packages(programs: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    programs.iter().map(|(_, package)| *package).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Takes programs out of a package that is not installed.
fn take_out(package: &str, programs: &[&str]) -> Result<()> {
    println!("taking {} out of the package {package}", programs.join(" and "));
    let folder = target_folder().join("packages").join(package);
    fs::create_dir_all(&folder).context("making a folder for a package")?;
    run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&folder))?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let mut files = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.find(is_package).with_context(|| format!("apt-get left no package of {package}"))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&folder))?;
    for program in programs {
        let from = folder.join("usr/bin").join(program);
        run(lab::privileged("install").arg(from).arg(Path::new(OWN).join(program)))?;
    }
    fs::remove_dir_all(&folder).context("removing what was taken out of a package")
}

pub(crate) fn is_installed(program: &str) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists())
}

/// `apt-get` as root; another one that runs is waited for.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = lab::privileged("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    run(command.args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
