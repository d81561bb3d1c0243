//! What made the committed object, as `monitor/bpf/manifest.toml` says it.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the object is made from, below the workspace.
const SOURCES: [&str; 4] =
    ["monitor-ebpf/src", "monitor-ebpf/Cargo.toml", "monitor-ebpf/Cargo.lock", "monitor-common/src"];

/// The name of the file.
const NAME: &str = "manifest.toml";

/// The parts of the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Lines of `name = "version"`.
    pub(super) tools: String,
    /// SHA-256 of the object.
    pub(super) object: String,
    /// SHA-256 over the names and the SHA-256 of all sources.
    pub(super) sources: String,
}

impl Manifest {
    /// Describes an object made by these tools from the sources as they are now.
    pub(super) fn of(root: &Path, object: &Path, tools: String) -> Result<Self> {
        let object = sha256(&[object.to_owned()])?;
        let object = object.split_whitespace().next().context("read a checksum")?.to_owned();
        Ok(Self { tools, object, sources: sources(root)? })
    }

    /// Reads the manifest of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(folder.join(NAME)).context("read the manifest: run `cargo xtask ebpf`")?;
        let (_, rest) = text.split_once("[tools]\n").context("find [tools] in the manifest")?;
        let (tools, rest) = rest.split_once("\n[sha256]\n").context("find [sha256] in the manifest")?;
        let value = |name: &str| {
            let line = rest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            let value = line.and_then(|line| line.strip_suffix('"'));
            value.map(str::to_owned).with_context(|| format!("find {name} in the manifest"))
        };
        Ok(Self { tools: tools.to_owned(), object: value("object")?, sources: value("sources")? })
    }

    /// Writes the manifest into a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let Self { tools, object, sources } = self;
        let text = format!(
            "# Written by `cargo xtask ebpf`: what made vethwatch.o.\n\n[tools]\n{tools}\n[sha256]\n\
             object = \"{object}\"\n# Over the names and checksums of: {}.\nsources = \"{sources}\"\n",
            SOURCES.join(", ")
        );
        fs::write(folder.join(NAME), text).context("write the manifest")
    }
}

/// SHA-256 over all sources.
fn sources(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut list = String::new();
    for (file, line) in files.iter().zip(sha256(&files)?.lines()) {
        let checksum = line.split_whitespace().next().context("read a checksum")?;
        list += &format!("{checksum} {}\n", file.strip_prefix(root)?.display());
    }
    let scratch = root.join("target").join(format!("ebpf-sources-{}", std::process::id()));
    fs::create_dir_all(root.join("target"))?;
    fs::write(&scratch, list)?;
    let checksum = sha256(std::slice::from_ref(&scratch));
    fs::remove_file(&scratch)?;
    Ok(checksum?.split_whitespace().next().context("read a checksum")?.to_owned())
}

/// All files at or below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}

/// What `sha256sum` prints: a line a file, the checksum first.
fn sha256(files: &[PathBuf]) -> Result<String> {
    let output = Command::new("sha256sum").args(files).output().context("run sha256sum")?;
    ensure!(output.status.success(), "sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
