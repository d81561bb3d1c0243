//! What exists on this machine that a lab or the monitor could leave behind: Docker objects, links, network
//! namespaces, firewall rules, traffic control.

use crate::groups::is_of_own_host;
use crate::{docker, finish, privileged};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Tables of iptables and nftables can be long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that exists, at one moment; one line a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    lines: Vec<(&'static str, String)>,
    not_listed: Vec<String>,
}

/// What makes two listings unequal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In the later one only.
    pub added: Vec<String>,
    /// In the earlier one only.
    pub gone: Vec<String>,
}

impl Difference {
    /// Whether the listings were equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (sign, lines) in [('+', &self.added), ('-', &self.gone)] {
            for line in lines {
                writeln!(formatter, "  {sign} {line}")?;
            }
        }
        Ok(())
    }
}

impl Listing {
    /// Lists what exists now. Firewall rules and traffic control need root, and the tools that print them; a tool
    /// that is not there is named by [`Listing::not_listed`].
    ///
    /// # Errors
    /// Docker does not answer.
    pub fn take() -> Result<Self> {
        let mut listing = Self { lines: Vec::new(), not_listed: Vec::new() };
        listing.docker_objects()?;
        listing.folder("link", "/sys/class/net");
        for names in ["/run/netns", "/run/docker/netns", "/var/run/docker/netns"] {
            listing.named_namespaces(names);
        }
        listing.namespaces();
        for tool in ["iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"] {
            listing.output(tool, &[]);
        }
        listing.output("nft", &["list", "ruleset"]);
        listing.output("tc", &["qdisc", "show"]);
        Ok(listing)
    }

    /// What exists but could not be listed, and why.
    #[must_use]
    pub fn not_listed(&self) -> &[String] {
        &self.not_listed
    }

    /// The same without images of these names (`repository:tag`).
    #[must_use]
    pub fn without_images(mut self, names: &[&str]) -> Self {
        self.lines.retain(|(what, line)| {
            *what != "image" || line.split(' ').next().is_none_or(|name| !names.contains(&name))
        });
        self
    }

    /// Whether an image of this name (`repository:tag`) was among them.
    #[must_use]
    pub fn has_image(&self, name: &str) -> bool {
        self.lines.iter().any(|(what, line)| *what == "image" && line.split(' ').next() == Some(name))
    }

    /// Compares with an earlier listing. The order of lines does not count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Difference {
        let mut count: BTreeMap<&(&'static str, String), i64> = BTreeMap::new();
        for line in &self.lines {
            *count.entry(line).or_default() += 1;
        }
        for line in &earlier.lines {
            *count.entry(line).or_default() -= 1;
        }
        let pick = |wanted: fn(i64) -> bool| {
            count
                .iter()
                .filter(|&(_, &balance)| wanted(balance))
                .map(|((what, line), _)| format!("{what}: {line}"))
                .collect()
        };
        Difference { added: pick(|balance| balance > 0), gone: pick(|balance| balance < 0) }
    }

    fn add(&mut self, what: &'static str, text: &str) {
        self.lines.extend(text.lines().filter_map(lasting).map(|line| (what, line)));
    }

    fn docker_objects(&mut self) -> Result<()> {
        self.add("container", &docker(&["ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.ID}}"])?);
        self.add("network", &docker(&["network", "ls", "--no-trunc", "--format", "{{.Name}} {{.ID}}"])?);
        self.add("volume", &docker(&["volume", "ls", "--format", "{{.Name}}"])?);
        let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
        self.add("image", &docker(&["images", "--all", "--no-trunc", "--format", format])?);
        Ok(())
    }

    fn folder(&mut self, what: &'static str, path: &str) {
        let names = fs::read_dir(path).into_iter().flatten().flatten();
        self.lines.extend(names.map(|entry| (what, entry.file_name().to_string_lossy().into_owned())));
    }

    /// Namespaces that are mounted in a folder. Docker removes the file under such a mount up to a minute after the
    /// namespace itself; a file on the folder's own device is no namespace any more. The host's own, which Docker mounts as
    /// `default` with the first container in host mode and keeps for good, is none that anybody made.
    fn named_namespaces(&mut self, path: &str) {
        let file = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
        let device = |path: &Path| file(path).map(|(device, _)| device);
        let (of_folder, ours) = (device(Path::new(path)), file(Path::new("/proc/self/ns/net")));
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let line = ("namespace", entry.file_name().to_string_lossy().into_owned());
            let at = entry.path();
            // Two spellings of Docker's folder may be one.
            if device(&at) != of_folder && file(&at) != ours && !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
    }

    /// Network namespaces that have a process. Those of a host of the tests' own are its business, if this is not it.
    fn namespaces(&mut self) {
        let is_ours = is_of_own_host(Path::new("/proc/self"));
        let mut seen: Vec<String> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .map(|process| process.path())
            .filter(|process| is_ours || !is_of_own_host(process))
            .filter_map(|process| fs::read_link(process.join("ns/net")).ok())
            .map(|namespace| namespace.to_string_lossy().into_owned())
            .collect();
        seen.sort();
        seen.dedup();
        self.lines.extend(seen.into_iter().map(|namespace| ("namespace", namespace)));
    }

    fn output(&mut self, tool: &'static str, arguments: &[&str]) {
        let places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        let Some(path) = places.iter().map(|place| Path::new(place).join(tool)).find(|path| path.exists())
        else {
            self.not_listed.push(format!("{tool}: not installed"));
            return;
        };
        match finish(privileged(path).args(arguments), PATIENCE) {
            Ok(finished) if finished.status.success() => self.add(tool, &finished.stdout),
            Ok(finished) => self.not_listed.push(format!("{tool}: {}", finished.stderr.trim())),
            Err(error) => self.not_listed.push(format!("{tool}: {error:#}")),
        }
    }
}

/// A line without what changes by itself: comments with the time of day, and packet counters of rules.
fn lasting(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // iptables: ":FORWARD DROP [12:3456]"
    if let Some((chain, _)) = line.strip_suffix(']').and_then(|rest| rest.rsplit_once(" [")) {
        return Some(chain.to_owned());
    }
    // nftables: "counter packets 12 bytes 3456"
    let mut words = Vec::new();
    let mut after_counter = false;
    for word in line.split_whitespace() {
        if !(after_counter && word.bytes().all(|byte| byte.is_ascii_digit())) {
            words.push(word);
        }
        after_counter = matches!(word, "packets" | "bytes");
    }
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{Listing, lasting};

    fn listing(lines: &[&str]) -> Listing {
        let lines = lines.iter().map(|&line| ("link", line.to_owned())).collect();
        Listing { lines, not_listed: Vec::new() }
    }

    #[test]
    fn counters_and_comments_do_not_make_listings_unequal() {
        for (line, expected) in [
            ("# Generated by iptables-save on Tue", None),
            ("", None),
            (":FORWARD DROP [12:3456]", Some(":FORWARD DROP")),
            (
                "ip saddr 172.17.0.0/16 counter packets 7 bytes 8 masquerade",
                Some("ip saddr 172.17.0.0/16 counter packets bytes masquerade"),
            ),
            (
                "-A DOCKER -d 172.18.0.2/32 --dport 80 -j ACCEPT",
                Some("-A DOCKER -d 172.18.0.2/32 --dport 80 -j ACCEPT"),
            ),
        ] {
            assert_eq!(lasting(line).as_deref(), expected);
        }
    }

    #[test]
    fn a_difference_names_what_came_and_what_went() {
        let difference = listing(&["lo", "veth1"]).since(&listing(&["eth0", "lo"]));
        assert_eq!(difference.added, ["link: veth1"]);
        assert_eq!(difference.gone, ["link: eth0"]);
    }

    #[test]
    fn the_same_line_twice_is_not_the_same_line_once() {
        assert_eq!(listing(&["a", "a"]).since(&listing(&["a"])).added, ["link: a"]);
        assert!(listing(&["a", "b"]).since(&listing(&["b", "a"])).is_empty());
    }
}
