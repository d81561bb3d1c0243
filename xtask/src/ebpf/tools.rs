//! The tools that make the kernel programs, in `target/ebpf-tools`, fetched if they are not there.

use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The linker's version and LLVM: the LLVM major version must be the nightly compiler's.
const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "22";
/// Where a Debian system has that LLVM.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
/// The Debian suite whose `rust-src` is near enough to the nightly compiler.
const SUITE: &str = "forky";
/// The mirror it is taken from.
const MIRROR: &str = "http://deb.debian.org/debian";
/// The keys it is checked with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where the tools are.
pub(super) struct Tools {
    /// `bpf-linker`.
    pub(super) linker: PathBuf,
    /// The folder that has `library/core`.
    pub(super) rust_source: PathBuf,
    /// The nightly toolchain's root, which has an `objcopy` too.
    sysroot: PathBuf,
    /// The host's target tuple.
    host: String,
}

impl Tools {
    /// Finds the tools, and fetches what is missing.
    pub(super) fn find(root: &Path) -> Result<Self> {
        let folder = root.join("target/ebpf-tools");
        let sysroot =
            output(Command::new("rustc").args(["+nightly", "--print", "sysroot"]).env_remove("RUSTC"))
                .context("find a nightly compiler: `rustup toolchain install nightly --profile minimal`")?;
        let host = output(Command::new("rustc").args(["+nightly", "--print", "host-tuple"]))?;
        let linker = match env::var_os("VETHWATCH_BPF_LINKER") {
            Some(linker) => linker.into(),
            None => linker(&folder)?,
        };
        let rust_source = match env::var_os("VETHWATCH_RUST_SRC") {
            Some(source) => source.into(),
            None => rust_source(&folder, Path::new(&sysroot))?,
        };
        let core = rust_source.join("library/core/src/lib.rs");
        ensure!(core.exists(), "{} does not exist: is VETHWATCH_RUST_SRC right?", core.display());
        Ok(Self { linker, rust_source: rust_source.canonicalize()?, sysroot: sysroot.into(), host })
    }

    /// The toolchain's own `objcopy`. It does not find its libraries by itself.
    pub(super) fn objcopy(&self) -> Command {
        let program = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-objcopy");
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.sysroot.join("lib"));
        command
    }

    /// The versions, as lines of the manifest.
    pub(super) fn versions(&self) -> Result<String> {
        let rustc = output(Command::new("rustc").args(["+nightly", "--version"]))?;
        let linker = output(Command::new(&self.linker).arg("--version"))?;
        let objcopy = output(self.objcopy().arg("--version"))?;
        let objcopy =
            objcopy.lines().find_map(|line| line.trim().strip_prefix("LLVM version ")).unwrap_or("unknown");
        // Debian's package has the compiler's whole tree; the component has the library and is the compiler's own.
        let source = fs::read_to_string(self.rust_source.join("src/version"));
        let source = source.as_deref().map_or("the toolchain's own", str::trim);
        Ok(format!(
            "rustc = \"{rustc}\"\nrust-src = \"{source}\"\nbpf-linker = \"{linker}\"\nobjcopy = \"LLVM {objcopy}\"\n"
        ))
    }
}

/// The linker, built if it is not there.
fn linker(folder: &Path) -> Result<PathBuf> {
    let linker = folder.join("bin/bpf-linker");
    if !linker.exists() {
        ensure!(
            Path::new(LLVM_PREFIX).exists(),
            "{LLVM_PREFIX} does not exist: building bpf-linker needs LLVM {LLVM} \
             (`apt-get install llvm-{LLVM}-dev libpolly-{LLVM}-dev libzstd-dev`)"
        );
        let path = env::var("PATH").unwrap_or_default();
        let mut install = Command::new("cargo");
        install
            .args(["install", "bpf-linker", "--locked", "--no-default-features"])
            .args(["--version", LINKER_VERSION, "--features", &format!("llvm-{LLVM}"), "--root"])
            .arg(folder)
            .env("LLVM_PREFIX", LLVM_PREFIX)
            .env("LLVM_SYS_221_PREFIX", LLVM_PREFIX)
            .env("PATH", format!("{LLVM_PREFIX}/bin:{path}"));
        carry_out(&mut install, "build bpf-linker")?;
    }
    Ok(linker)
}

/// The source of `core`: the toolchain's own component if it has it, else Debian's package, unpacked.
fn rust_source(folder: &Path, sysroot: &Path) -> Result<PathBuf> {
    let component = sysroot.join("lib/rustlib/src/rust");
    if component.join("library/core").exists() {
        return Ok(component);
    }
    let unpacked = folder.join("rust-src");
    if let Some(source) = unpacked_source(&unpacked) {
        return Ok(source);
    }
    let apt = folder.join("apt");
    for name in ["etc/apt.conf.d", "etc/preferences.d", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(name))?;
    }
    fs::write(apt.join("status"), "")?;
    fs::write(apt.join("etc/sources.list"), format!("deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n"))?;
    let get = |arguments: &[&str]| {
        let mut get = Command::new("apt-get");
        for (name, value) in [
            ("Dir::Etc", "etc"),
            ("Dir::State::status", "status"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            get.arg("-o").arg(format!("{name}={}", apt.join(value).display()));
        }
        get.args(["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]).args(arguments);
        get.current_dir(&apt);
        carry_out(&mut get, "fetch Debian's rust-src (the nightly toolchain has no component rust-src)")
    };
    get(&["update"])?;
    get(&["download", "rust-src"])?;
    for entry in fs::read_dir(&apt)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            carry_out(Command::new("dpkg-deb").arg("-x").args([&path, &unpacked]), "unpack rust-src")?;
        }
    }
    unpacked_source(&unpacked).context("find the source in Debian's rust-src")
}

/// The source in an unpacked package: `usr/src/rustc-VERSION`.
fn unpacked_source(unpacked: &Path) -> Option<PathBuf> {
    let mut folders = fs::read_dir(unpacked.join("usr/src")).ok()?.flatten().map(|entry| entry.path());
    folders.find(|path| path.join("library/core").exists())
}

/// Runs a command that says itself what it does.
pub(super) fn carry_out(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?} to {what}"))?;
    if !status.success() {
        bail!("could not {what}: {command:?} ended with {status}");
    }
    Ok(())
}

/// What a command prints, without the end of the line.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
