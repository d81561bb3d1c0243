//! A writer of tar archives (ustar), as `docker import` reads them: folders and files, all owned by root, all of
//! one time, so that the same content is the same archive.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;

const BLOCK: usize = 512;

/// An archive being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
}

impl Archive {
    /// Adds a folder and the folders above it, unless they are there already. Paths have no leading slash.
    pub(super) fn folder(&mut self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let folder = &path[..end];
            if !folder.is_empty() && self.folders.insert(folder.to_owned()) {
                self.header(&format!("{folder}/"), 0o755, 0, b'5')?;
            }
        }
        Ok(())
    }

    /// Adds a file and the folders above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        self.header(path, mode, content.len(), b'0')?;
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 2 * BLOCK]);
        self.bytes
    }

    fn header(&mut self, path: &str, mode: u32, size: usize, kind: u8) -> Result<()> {
        ensure!(path.len() <= 100, "{path}: too long a path for this archive");
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        put(148, "        ");
        put(257, "ustar\x0000");
        header[156] = kind;
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes.extend(header);
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn listed_by_tar(archive: Archive) -> Vec<String> {
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        tar.stdin.take().expect("a pipe").write_all(&archive.finish()).expect("tar reads");
        let output = tar.wait_with_output().expect("tar ends");
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                format!("{} {} {}", words[0], words[2], words[5])
            })
            .collect()
    }

    #[test]
    fn tar_reads_what_was_written() {
        let mut archive = Archive::default();
        archive.file("usr/lib/a", 0o755, &[7; 513]).unwrap();
        archive.file("usr/lib/b", 0o644, b"").unwrap();
        archive.folder("tmp").unwrap();
        let expected = [
            "drwxr-xr-x 0 usr/",
            "drwxr-xr-x 0 usr/lib/",
            "-rwxr-xr-x 513 usr/lib/a",
            "-rw-r--r-- 0 usr/lib/b",
            "drwxr-xr-x 0 tmp/",
        ];
        assert_eq!(listed_by_tar(archive), expected);
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        assert!(Archive::default().file(&"x".repeat(101), 0o644, b"").is_err());
    }
}
