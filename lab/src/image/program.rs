//! An image of one program and the shared libraries it was linked with, as they are on this machine.
//!
//! So it needs no registry, no package manager and no C library of a certain kind.

use super::archive::Archive;
use super::{fingerprint, import, is_current};
use crate::command;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Libraries that older C libraries open by name when a host name is looked up; `ldd` does not know of them.
const RESOLVER: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/// What is different from image to image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<'a> {
    /// Its name, `repository:tag`.
    pub(super) name: &'a str,
    /// Where the program is inside, with the leading slash.
    pub(super) program: &'a str,
    /// Lines as those of a Dockerfile.
    pub(super) changes: &'a [&'a str],
}

impl Image<'_> {
    /// Makes it of this program unless it exists already; `scratch` is a folder for the archive.
    ///
    /// # Errors
    /// The program or a library of it cannot be read, or Docker refuses.
    pub(super) fn make(&self, program: &Path, scratch: &Path) -> Result<()> {
        let libraries = libraries(program)?;
        let bytes = self.archive(program, &libraries)?;
        let recipe = fingerprint(&[&bytes]);
        if is_current(self.name, &recipe)? {
            return Ok(());
        }
        let file = scratch.join(format!(
            "{}-{}.tar",
            self.program.trim_start_matches('/').replace('/', "-"),
            std::process::id()
        ));
        fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
        let folders: BTreeSet<_> = libraries.iter().filter_map(|library| library.parent()).collect();
        let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
        let search = format!("ENV LD_LIBRARY_PATH={}", folders.join(":"));
        let made = import(&file, self.name, &recipe, &[&[search.as_str()], self.changes].concat());
        fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        made
    }

    fn archive(&self, program: &Path, libraries: &BTreeSet<PathBuf>) -> Result<Vec<u8>> {
        let content = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
        let mut archive = Archive::default();
        archive.file(self.program.trim_start_matches('/'), 0o755, &content)?;
        for library in libraries {
            let content = fs::read(library).with_context(|| format!("reading {}", library.display()))?;
            archive.file(library.to_string_lossy().trim_start_matches('/'), 0o755, &content)?;
        }
        archive.file("etc/nsswitch.conf", 0o644, b"passwd: files\ngroup: files\nhosts: files dns\n")?;
        archive.file("etc/passwd", 0o644, format!("root:x:0:0:root:/:{}\n", self.program).as_bytes())?;
        archive.file("etc/group", 0o644, b"root:x:0:\n")?;
        for folder in ["dev", "proc", "run", "sys", "tmp"] {
            archive.folder(folder)?;
        }
        Ok(archive.finish())
    }
}

/// The shared libraries of a program, as `ldd` finds them; none for a static one.
pub(crate) fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let ldd = command::finish(Command::new("ldd").arg(program), Duration::from_secs(30))?;
    let mut libraries = if ldd.status.success() { named_by_ldd(&ldd.stdout) } else { BTreeSet::new() };
    let c_library = libraries.iter().find(|path| path.ends_with("libc.so.6")).cloned();
    if let Some(folder) = c_library.as_deref().and_then(Path::parent) {
        libraries.extend(RESOLVER.iter().map(|name| folder.join(name)).filter(|path| path.exists()));
    }
    Ok(libraries)
}

fn named_by_ldd(output: &str) -> BTreeSet<PathBuf> {
    output
        .lines()
        .filter_map(|line| {
            let place = line.split_once("=>").map_or(line, |(_, place)| place).trim();
            let path = place.split_once(" (").map_or(place, |(path, _)| path);
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::named_by_ldd;
    use std::path::PathBuf;

    #[test]
    fn libraries_and_the_loader_are_found_in_what_ldd_prints() {
        let output = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f01)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f00)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(named_by_ldd(output), expected.map(PathBuf::from).into());
        assert!(named_by_ldd("\tstatically linked\n").is_empty());
    }
}
