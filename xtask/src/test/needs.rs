//! What the tests need besides Rust and Docker.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::Path;

/// Programs and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 13] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bpftool", "bpftool"),
    ("busybox", "busybox-static"),
    ("curl", "curl"),
    ("docker-compose", "docker-compose"),
    ("ethtool", "ethtool"),
    ("iptables-save", "iptables"),
    ("ldd", "libc-bin"),
    ("mmdebstrap", "mmdebstrap"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("tcpdump", "tcpdump"),
];

/// Where programs are; an ordinary person's PATH lacks some of these.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Installs the packages that are missing, on Debian; elsewhere names the programs.
pub(crate) fn install_missing() -> Result<()> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    if !is_installed("apt-get") {
        bail!("the tests need {}: install them, then run this again", programs.join(", "));
    }
    let packages: BTreeSet<_> = missing.iter().map(|(_, package)| *package).collect();
    println!("installing {}", packages.iter().copied().collect::<Vec<_>>().join(" "));
    let wait = ["-o", "DPkg::Lock::Timeout=300"];
    apt_get(&[&wait[..], &["update", "--quiet"]].concat())?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(&[&wait[..], &install, &packages.into_iter().collect::<Vec<_>>()].concat())?;
    let missing: Vec<_> = programs.into_iter().filter(|program| !is_installed(program)).collect();
    ensure!(missing.is_empty(), "still missing after the installation: {}", missing.join(", "));
    Ok(())
}

fn is_installed(program: &str) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = lab::privileged("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    let status = command.status().context("starting apt-get")?;
    ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}
