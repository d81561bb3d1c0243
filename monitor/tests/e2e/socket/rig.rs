//! An agent at a socket of its own, and those who ask it.

use anyhow::{Context, Result, ensure};
use lab::{Container, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A user that may nothing, and a group that is its own.
pub(crate) const NOBODY: u32 = 65_534;
/// Another group.
pub(crate) const STRANGERS: u32 = 65_533;

/// A folder that everybody may look into, with the program and the socket.
pub(crate) struct Rig {
    folder: PathBuf,
}

impl Rig {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-socket-{name}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let rig = Self { folder };
        fs::set_permissions(&rig.folder, Permissions::from_mode(0o755))?;
        fs::copy(env!("CARGO_BIN_EXE_vethwatch"), rig.folder.join("vethwatch")).context("the program")?;
        Ok(rig)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// The program, by root.
    pub(crate) fn root(&self) -> Vethwatch {
        Vethwatch::at(self.folder.join("vethwatch"))
    }

    /// By somebody in the socket's group.
    pub(crate) fn member(&self) -> Vethwatch {
        self.root().by(NOBODY, NOBODY)
    }

    /// By somebody who is not.
    pub(crate) fn stranger(&self) -> Vethwatch {
        self.root().by(NOBODY, STRANGERS)
    }

    /// Words that ask at this socket.
    pub(crate) fn asking<'a>(&'a self, words: &[&'a str], at: &'a Path) -> Vec<&'a str> {
        [words, &["--socket", at.to_str().unwrap_or_default()]].concat()
    }

    /// Starts an agent, and waits until it answers.
    pub(crate) fn agent(&self, more: &[&str]) -> Result<Running> {
        let (at, group) = (self.socket(), NOBODY.to_string());
        let words = ["agent", "--metrics-listen", "off", "--socket-group", &group];
        let running = self.root().start(&self.asking(&[&words, more].concat(), &at))?;
        wait_for("the agent", PATIENCE, || {
            let is_there = running.errors().contains("vethwatch: watching");
            Ok((is_there && get(&at, "/healthz").is_ok_and(|(status, _)| status == 200)).then_some(()))
        })?;
        Ok(running)
    }

    /// What a member's command prints as JSON.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Vec<Value>> {
        let at = self.socket();
        self.member().json(&self.asking(words, &at))
    }

    /// The lines of an answer of the socket.
    pub(crate) fn get(&self, path: &str) -> Result<Vec<Value>> {
        let (status, body) = get(&self.socket(), path)?;
        ensure!(status == 200, "{path}: {status} {body}");
        body.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Says something to a socket, and gives the status and the body of the answer.
pub(crate) fn say(at: &Path, request: &[u8]) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let status = head.split(' ').nth(1).context("an answer has a status")?;
    Ok((status.parse()?, body.to_owned()))
}

pub(crate) fn get(at: &Path, path: &str) -> Result<(u16, String)> {
    say(at, format!("GET {path} HTTP/1.1\r\nHost: vethwatch\r\n\r\n").as_bytes())
}

/// Lines of a type.
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["type"] == kind)
}

/// The line about a container.
pub(crate) fn about<'a>(lines: &'a [Value], container: &Container) -> Result<&'a Value> {
    let found = of_type(lines, "container").find(|line| line["id"] == *container.id);
    found.with_context(|| format!("there is no line about {}", container.name))
}

/// Packets of the flows at a container's interface that it sent to a port.
pub(crate) fn sent_to_port(lines: &[Value], container: &Container, port: u16) -> u64 {
    let of = of_type(lines, "flow")
        .filter(|line| line["local"]["container"]["id"] == *container.id && line["remote"]["port"] == port);
    of.filter_map(|line| line["sent"]["packets"].as_u64()).sum()
}

/// Sends datagrams to a port at which nobody listens.
pub(crate) fn send(from: &Container, to: &str, count: u32) -> Result<()> {
    let count = count.to_string();
    from.exec(&["/testbox", "udp-send", &format!("{to}:4001"), "--count", &count, "--rate", "1000"]).map(drop)
}
