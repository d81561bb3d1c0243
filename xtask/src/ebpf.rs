//! Makes the kernel programs: `monitor/bpf/vethwatch.o` and the manifest beside it.
//!
//! The object is committed, so that building the agent needs neither a nightly compiler nor a BPF linker. The
//! manifest says which tools made it and from which sources, so that a stale object is noticed without building
//! anything, and a wrong one by building it again.
//!
//! Tools are looked for, and put, into `target/ebpf-tools`: a linker for BPF, and the source of `core`, which must
//! be compiled for BPF with debug information or the kernel refuses the object's types. `VETHWATCH_BPF_LINKER` and
//! `VETHWATCH_RUST_SRC` name others (an executable, and a folder that has `library/core`).

mod manifest;
mod tools;

use anyhow::{Context, Result, bail, ensure};
use manifest::Manifest;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tools::Tools;

/// Makes the object and its manifest. With `check`, compares instead: the sources with the manifest, and where the
/// tools are the manifest's, a rebuilt object with the committed one, byte by byte.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the workspace")?;
    let folder = root.join("monitor/bpf");
    let object = folder.join("vethwatch.o");
    if !check {
        let tools = Tools::find(root)?;
        fs::create_dir_all(&folder)?;
        build(root, &tools, &object)?;
        return Manifest::of(root, &object, tools.versions()?)?.write(&folder);
    }

    let committed = check_sources(root)?;
    let tools = Tools::find(root)?;
    if tools.versions()? != committed.tools {
        println!("not rebuilt: the object was made with other tools\n{}", committed.tools);
        return Ok(());
    }
    let rebuilt = root.join("target/ebpf/rebuilt.o");
    build(root, &tools, &rebuilt)?;
    ensure!(
        fs::read(&rebuilt)? == fs::read(&object)?,
        "the rebuilt object differs from monitor/bpf/vethwatch.o: run `cargo xtask ebpf`"
    );
    Ok(())
}

/// Fails unless the committed object is the manifest's and was made from the sources in the tree.
fn check_sources(root: &Path) -> Result<Manifest> {
    let folder = root.join("monitor/bpf");
    let committed = Manifest::read(&folder)?;
    let now = Manifest::of(root, &folder.join("vethwatch.o"), committed.tools.clone())?;
    if now.sources != committed.sources {
        bail!(
            "the kernel programs' sources have changed since monitor/bpf/vethwatch.o: run `cargo xtask ebpf`"
        );
    }
    if now.object != committed.object {
        bail!("monitor/bpf/vethwatch.o is not the one in its manifest: run `cargo xtask ebpf`");
    }
    Ok(committed)
}

/// Builds the programs into `object`.
fn build(root: &Path, tools: &Tools, object: &Path) -> Result<()> {
    let target = root.join("target/ebpf");
    let source = root.join("monitor-ebpf");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "+nightly",
            "build",
            "--release",
            "--locked",
            "-Zbuild-std=core",
            "--target=bpfel-unknown-none",
        ])
        .current_dir(&source)
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", tools.rust_source.join("library"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, &tools.rust_source)?)
        .env_remove("RUSTFLAGS")
        // Set by the cargo that runs xtask, and of another toolchain.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO");
    tools::carry_out(&mut cargo, "build the kernel programs")?;
    let built = target.join("bpfel-unknown-none/release/vethwatch");
    let renamed = target.join("symbols");
    fs::write(&renamed, renamed_symbols(&fs::read(&built)?))?;
    let mut strip = tools.objcopy();
    strip.arg("--strip-debug").arg(format!("--redefine-syms={}", renamed.display())).arg(&built).arg(object);
    tools::carry_out(&mut strip, "strip the object of what the kernel does not read")
}

/// New names of the symbols, a line each: the old ones without the hashes of crates, which depend on the folder that
/// the source of `core` is in. Nothing reads these names but people.
fn renamed_symbols(object: &[u8]) -> String {
    let strings = object.split(|byte| *byte == 0).filter_map(|string| std::str::from_utf8(string).ok());
    let names: BTreeSet<&str> = strings.filter(|string| string.starts_with("_R")).collect();
    names.iter().map(|name| format!("{name} {}\n", without_hashes(name))).collect()
}

/// A mangled name with each `Cs…_`, a crate's hash, made a plain `C`.
fn without_hashes(name: &str) -> String {
    let mut parts = name.split("Cs");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('C');
        plain.push_str(part.split_once('_').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// The compiler's flags, as cargo wants them encoded. Paths of this machine are replaced, so that two folders make
/// the same bytes; of two prefixes that fit, the last one counts.
fn flags(root: &Path, rust_source: &Path) -> Result<String> {
    let home = env::var_os("HOME").map(PathBuf::from).context("find the home folder")?;
    let mut flags = vec!["-Clink-arg=--btf".into(), "-Cdebuginfo=2".into(), "-Ctarget-cpu=v3".into()];
    for (from, to) in [(home.as_path(), "/home"), (root, "/vethwatch"), (rust_source, "/rust")] {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags.join("\x1f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_loses_the_hashes_of_its_crates() {
        let name =
            "_RINvNtCskm4cfR4E5qg_9vethwatch5flows4makeNtNtCslTl2goy3NGC_14monitor_common4flow8FlowKey6EB4_";
        let plain = "_RINvNtC9vethwatch5flows4makeNtNtC14monitor_common4flow8FlowKey6EB4_";
        assert_eq!(without_hashes(name), plain);
    }

    #[test]
    fn the_committed_object_was_made_from_the_sources_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        check_sources(root).expect("run `cargo xtask ebpf`");
    }
}
