//! A machine of a test's own with another kernel: one of Debian's in an emulator, with programs of this machine.
//!
//! It has no disk and no network: its root is an archive in memory, and what its script prints comes by a serial line.
//! The emulator is QEMU without KVM, which machines for tests mostly do not have: some ten times slower than this machine.

use crate::{Packages, finish, text};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long making the archive may take, and each program for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What Docker's networks, and the programs on them, need of a kernel that has it as modules.
const MODULES: [&str; 39] = [
    "8021q",
    "br_netfilter",
    "bridge",
    "cls_bpf",
    "dummy",
    "ip6_tables",
    "ip6table_filter",
    "ip6table_nat",
    "ip_tables",
    "ip_vs",
    "ip_vs_rr",
    "iptable_filter",
    "iptable_nat",
    "ipvlan",
    "macvlan",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_nat",
    "nf_tables",
    "nft_chain_nat",
    "nft_compat",
    "nft_counter",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "overlay",
    "sch_ingress",
    "sch_netem",
    "veth",
    "vxlan",
    "xt_MASQUERADE",
    "xt_addrtype",
    "xt_comment",
    "xt_conntrack",
    "xt_mark",
    "xt_multiport",
    "xt_nat",
    "xt_policy",
    "xt_tcpudp",
];

/// Programs of an engine, its firewall and what looks after devices.
const ENGINE: [&str; 8] =
    ["dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy", "docker", "ip", "tc"];

/// The first process.
const INIT: &str = include_str!("machine/init.sh");

/// A machine that can be started; gone when dropped.
#[derive(Debug)]
pub struct Machine {
    packages: Packages,
    folder: PathBuf,
}

impl Machine {
    /// One with the kernel of a release of Debian (`bookworm`, `trixie`, `sid`), a shell, and Docker.
    ///
    /// # Errors
    /// This is no Debian, its packages are out of reach, or a program is missing here.
    pub fn new(suite: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-machine-{suite}-{}", std::process::id()));
        let machine = Self { packages: Packages::kernel(suite)?, folder };
        for folder in
            ["proc", "sys", "dev", "tmp", "run", "root", "bin", "modules", "var/lib/docker", "etc/docker"]
        {
            fs::create_dir_all(machine.inside(folder))?;
        }
        symlink("/run", machine.inside("var/run"))?;
        machine.program(&found("busybox")?, "bin/busybox")?;
        for applet in text(Command::new(found("busybox")?).arg("--list"), PATIENCE)?.lines() {
            if !["busybox", "sh", "ip", "tc"].contains(&applet) {
                symlink("busybox", machine.inside(&format!("bin/{applet}")))?;
            }
        }
        // Busybox as a shell would take its own applets for the programs that are put beside it.
        machine.program(&found("dash")?, "bin/sh")?;
        for program in ENGINE {
            machine.program(&found(program)?, &format!("bin/{program}"))?;
        }
        for program in ["iptables", "ip6tables"] {
            machine.program(&found("iptables")?, &format!("usr/sbin/{program}"))?;
        }
        let tables = Path::new("usr/lib/x86_64-linux-gnu/xtables");
        fs::create_dir_all(machine.inside("usr/lib/x86_64-linux-gnu"))?;
        let mut copy = Command::new("cp");
        text(copy.arg("-r").arg(Path::new("/").join(tables)).arg(machine.folder.join(tables)), PATIENCE)?;
        machine.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
        machine.file("etc/group", 0o644, b"root:x:0:\n")?;
        machine.file("init", 0o755, INIT.as_bytes())?;
        machine.modules()?;
        Ok(machine)
    }

    /// Puts a program of this machine there, without its symbols, and the libraries it was linked with.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn program(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.inside(to);
        fs::create_dir_all(to.parent().context("a folder")?)?;
        fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        text(Command::new("strip").arg(&to), PATIENCE)?;
        for library in crate::image::libraries(from)? {
            let to = self.folder.join(library.strip_prefix("/")?);
            if !to.exists() {
                fs::create_dir_all(to.parent().context("a folder")?)?;
                fs::copy(&library, &to).with_context(|| format!("copying {}", library.display()))?;
            }
        }
        Ok(())
    }

    /// Makes a file there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(&self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = self.inside(path);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Runs a script on it and returns what that prints.
    ///
    /// # Errors
    /// It does not end in time, or not with 0.
    pub fn run(&self, script: &str, within: Duration) -> Result<String> {
        self.file("script", 0o644, script.as_bytes())?;
        let archive = self.folder.with_extension("cpio");
        let mut pack = Command::new("sh");
        pack.args(["-c", "find . | cpio --create --format=newc --quiet --file=\"$0\""]).arg(&archive);
        text(pack.current_dir(&self.folder), PATIENCE)?;
        let mut emulator = Command::new("qemu-system-x86_64");
        // With two processors a kernel that patches its own text runs into what the other has not translated anew.
        emulator.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "3000"]);
        emulator.args(["-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio", "-monitor", "none"]);
        emulator.args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"]);
        emulator.arg("-kernel").arg(self.kernel()?).arg("-initrd").arg(&archive);
        let finished = finish(&mut emulator, within);
        fs::remove_file(&archive)?;
        let finished = finished?;
        let said = finished.stdout.replace('\r', "");
        ensure!(said.contains("\nended with 0\n"), "{}\n{said}\n{}", finished.status, finished.stderr);
        Ok(said)
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn kernel(&self) -> Result<PathBuf> {
        // Below `boot`, or beside its modules.
        let mut find = Command::new("find");
        find.arg(self.packages.path("")).args(["-type", "f", "-name", "vmlinuz*"]);
        let found = text(&mut find, PATIENCE)?;
        found.lines().next().map(PathBuf::from).context("the packages have no kernel")
    }

    /// Puts the modules there, each behind those it needs.
    fn modules(&self) -> Result<()> {
        let roots = ["lib/modules", "usr/lib/modules"].map(|path| self.packages.path(path));
        let mut files = BTreeMap::new();
        for root in roots.iter().filter(|root| root.exists()) {
            files.extend(
                text(Command::new("find").arg(root).args(["-name", "*.ko*"]), PATIENCE)?.lines().map(
                    |path| {
                        let name = path.rsplit('/').next().and_then(|file| file.split('.').next());
                        (name.unwrap_or_default().replace('-', "_"), PathBuf::from(path))
                    },
                ),
            );
        }
        let mut modules = Modules { files, seen: BTreeSet::new(), folder: self.inside("modules"), loaded: 0 };
        MODULES.iter().try_for_each(|name| modules.add(name))
    }
}

/// Modules that are put into a folder, in the order in which they can be loaded.
struct Modules {
    /// Where the packages have each.
    files: BTreeMap<String, PathBuf>,
    seen: BTreeSet<String>,
    folder: PathBuf,
    loaded: usize,
}

impl Modules {
    fn add(&mut self, name: &str) -> Result<()> {
        // One that has no file is built in.
        let Some(file) = self.files.get(name).filter(|_| self.seen.insert(name.to_owned())) else {
            return Ok(());
        };
        let to = self.folder.join(format!("{name}.ko"));
        let is_packed = file.extension().is_some_and(|extension| extension == "xz");
        let unpack = if is_packed { "xz -dc \"$0\" > \"$1\"" } else { "cat \"$0\" > \"$1\"" };
        text(Command::new("sh").args(["-c", unpack]).arg(file).arg(&to), PATIENCE)?;
        for needed in needed_by(&fs::read(&to)?) {
            self.add(&needed)?;
        }
        fs::rename(to, self.folder.join(format!("{:03}-{name}.ko", self.loaded)))?;
        self.loaded += 1;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("removing {}: {error}", self.folder.display());
        }
    }
}

/// The modules that one needs, by what it says of itself.
fn needed_by(module: &[u8]) -> Vec<String> {
    let said = module.split(|byte| *byte == 0).find_map(|said| said.strip_prefix(b"depends="));
    let said = String::from_utf8_lossy(said.unwrap_or_default()).replace('-', "_");
    said.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Where a program is.
fn found(program: &str) -> Result<PathBuf> {
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let path = folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
    path.with_context(|| format!("there is no {program} here"))
}

#[cfg(test)]
mod tests {
    use super::needed_by;

    #[test]
    fn what_a_module_needs_is_what_it_says() {
        let module = b"\x7fELF\0license=GPL\0depends=bridge,nf-nat\0vermagic=6.1\0";
        assert_eq!(needed_by(module), ["bridge", "nf_nat"]);
        assert!(needed_by(b"\x7fELF\0depends=\0").is_empty());
        assert!(needed_by(b"").is_empty());
    }
}
