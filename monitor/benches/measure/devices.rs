//! Devices of the benchmark's own: a bridge without an uplink and veth pairs on it, gone when dropped.

use std::process::Command;

/// Runs `ip` with these words and panics with its words if it fails: a benchmark without its devices is nothing.
pub(crate) fn ip(words: &str) {
    let output =
        Command::new("ip").args(words.split_whitespace()).output().expect("ip (iproute2) is installed");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A bridge with veth pairs.
pub(crate) struct Bridge {
    name: String,
    pairs: Vec<String>,
}

impl Bridge {
    /// Makes a bridge; its name is unique to this process.
    pub(crate) fn new() -> Self {
        let name = format!("vw-b{}", std::process::id());
        ip(&format!("link add {name} type bridge"));
        ip(&format!("link set {name} up"));
        Self { name, pairs: Vec::new() }
    }

    /// Makes a veth pair with its host end on the bridge, in one request, and brings both ends up. Returns the names
    /// of the host end and of the other end.
    pub(crate) fn add_pair(&mut self) -> (String, String) {
        let number = self.pairs.len();
        let (host, peer) =
            (format!("vw-h{}-{number}", std::process::id()), format!("vw-p{}-{number}", std::process::id()));
        self.pairs.push(host.clone());
        ip(&format!("link add {host} master {} type veth peer name {peer}", self.name));
        ip(&format!("link set {host} up"));
        ip(&format!("link set {peer} up"));
        (host, peer)
    }

    /// Removes the pair made last.
    pub(crate) fn remove_pair(&mut self) {
        if let Some(host) = self.pairs.pop() {
            ip(&format!("link del {host}"));
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        while !self.pairs.is_empty() {
            self.remove_pair();
        }
        ip(&format!("link del {}", self.name));
    }
}
