//! Kernels of Debian's releases, in an emulator, with their own Docker: the programs load, and count to the byte there too.
//!
//! The machine's own kernel is the one that every other test runs on; it lacks ipvlan, VLANs and dummies.
//!
//! Needs Docker, the image of the testbox, QEMU, and Debian's packages within reach.

use anyhow::{Context, Result, ensure};
use lab::{Machine, docker, image};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// An emulated machine is slow, on one that is busy more so.
const PATIENCE: Duration = Duration::from_secs(400);

/// What happens there.
const GUEST: &str = include_str!("guest.sh");

/// Received bytes and packets, sent bytes and packets.
type Counters = [u64; 4];

/// The Ethernet header's length, which a macvlan device counts once more of a packet to many, and an ipvlan device of each that it
/// receives.
const HEADER: u64 = 14;

/// Of how many packets that a device received it may have counted the header twice.
#[derive(Clone, Copy)]
enum Headers {
    Once,
    OfOneTwice,
    OfAllTwice,
}

/// What was said on the machine.
struct Said(String);

impl Said {
    /// Runs there, with these networks, on so many of which containers can be watched.
    fn on(suite: &str, networks: &str, watched: usize) -> Result<Self> {
        let machine = Machine::new(suite)?;
        machine.program(Path::new(env!("CARGO_BIN_EXE_vethwatch")), "bin/vethwatch")?;
        let archive = std::env::temp_dir().join(format!("vw-testbox-{suite}-{}.tar", std::process::id()));
        docker(&["save", "--output", &archive.to_string_lossy(), &image::ready(image::TESTBOX)?])?;
        let content = std::fs::read(&archive);
        std::fs::remove_file(&archive)?;
        machine.file("testbox.tar", 0o644, &content?)?;
        // A server and a client on each, and one in host mode.
        let watched = 2 * watched + 1;
        machine.run(&format!("networks={networks:?} watched={watched}\n{GUEST}"), PATIENCE).map(Self)
    }

    fn lines<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
    }

    fn told(&self, kind: &str) -> Result<Vec<Value>> {
        let lines = self.lines("told").map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
        let mut lines = lines.with_context(|| self.0.clone())?;
        lines.retain(|line| line["type"] == kind);
        Ok(lines)
    }

    fn container(&self, name: &str) -> Result<Value> {
        let row = self.told("container")?.into_iter().find(|row| row["name"] == name);
        row.with_context(|| format!("{name} is not told:\n{}", self.0))
    }

    /// What the containers' devices had counted then.
    fn devices(&self, when: &str) -> Result<BTreeMap<&str, Counters>> {
        let of_line = |line: &'_ str| -> Option<Counters> {
            let (_, counters) = line.split_once("eth0:")?;
            let numbers: Vec<u64> =
                counters.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
            Some([*numbers.first()?, *numbers.get(1)?, *numbers.get(8)?, *numbers.get(9)?])
        };
        let lines = self.lines("device").filter_map(|line| line.strip_prefix(when)?.strip_prefix(' '));
        lines
            .map(|line| {
                let name = line.split(' ').next().context("a name")?;
                Ok((name, of_line(line).with_context(|| format!("no counters: {line}"))?))
            })
            .collect()
    }

    /// What was told of a container lies between what its device had counted before and after; that may have counted as many
    /// headers twice.
    fn is_exact(&self, name: &str, headers: Headers) -> Result<()> {
        let row = self.container(name)?;
        ensure!(row["watched"] == true, "{name} is not watched: {row}");
        let of = |direction: &str, counter: &str| {
            let watched = row[direction][counter].as_u64()?;
            Some(watched + row["before_watch"][direction][counter].as_u64()?)
        };
        let told = ["received", "sent"].map(|direction| {
            let (bytes, packets) = (of(direction, "skb_bytes")?, of(direction, "skbs")?);
            Some((bytes, packets))
        });
        let [Some(received), Some(sent)] = told else { anyhow::bail!("{name} has no counters: {row}") };
        let told = [received.0, received.1, sent.0, sent.1];
        let of_device = |when: &str| {
            self.devices(when)?.get(name).copied().with_context(|| format!("no device of {name}"))
        };
        let (before, after) = (of_device("before")?, of_device("after")?);
        for (at, told) in told.iter().enumerate() {
            let twice = match headers {
                Headers::Once => 0,
                Headers::OfOneTwice => 1,
                Headers::OfAllTwice => before[1],
            };
            let allowed = if at == 0 { twice * HEADER } else { 0 };
            ensure!(
                before[at] <= *told + allowed && *told <= after[at],
                "{name}: {told} is not between {before:?} and {after:?}: {row}"
            );
        }
        ensure!(
            row["sent"]["packets"].as_u64() > Some(20 * 4),
            "{name} sent hardly anything in the watch: {row}"
        );
        ensure!(row["unaccounted_bytes"] == 0, "{name}: {row}");
        Ok(())
    }

    /// What a network's client asked of its server is told, counted and judged; `headers` as for [`Said::is_exact`].
    fn is_well(&self, network: &str, headers: Headers) -> Result<()> {
        ensure!(self.0.contains("\nagent ended with 0\n"), "{}", self.0);
        let in_host_mode = self.container("vw-host")?;
        ensure!(in_host_mode["watched"] == true, "the programs of control groups: {in_host_mode}");
        ["server", "client"]
            .iter()
            .try_for_each(|end| self.is_exact(&format!("vw-{network}-{end}"), headers))?;
        let name = |row: &Value, end: &str| row[end]["container"]["name"].as_str().map(str::to_owned);
        let (client, server) = (format!("vw-{network}-client"), format!("vw-{network}-server"));
        let pairs = self.told("pair")?;
        let pair = pairs.iter().find(|row| name(row, "client").as_ref() == Some(&client));
        let pair = pair.with_context(|| format!("{client} asked nobody: {pairs:?}"))?;
        ensure!(name(pair, "server") == Some(server) && pair["server"]["port"] == 80, "{pair}");
        ensure!(pair["conversations"] == 20 && pair["verdict"]["expected"] == "allow", "{pair}");
        ensure!(pair["network"]["name"] == format!("vw-{network}"), "{pair}");
        Ok(())
    }

    /// A container that ran came to the ipvlan network, asked the server there, and left it.
    fn came_and_went(&self) -> Result<()> {
        let all = |kind| -> Result<Vec<Value>> {
            let lines = self.lines(kind).map(serde_json::from_str).collect::<Result<_, _>>();
            lines.with_context(|| self.0.clone())
        };
        for (kind, expected) in [("joined", &["vw-bridge", "vw-ipvlan"][..]), ("left", &["vw-bridge"])] {
            let rows = all(kind)?;
            let [row] = rows.as_slice() else { anyhow::bail!("{kind}: {rows:?}\n{}", self.0) };
            let networks = row["networks"].as_array().context("its networks")?;
            let mut names: Vec<_> = networks.iter().filter_map(|network| network["name"].as_str()).collect();
            names.sort_unstable();
            ensure!(
                names == expected && row["watched"] == true && row["unaccounted_bytes"] == 0,
                "{kind}: {row}"
            );
        }
        let is_it = |pair: &&Value| {
            let name = |end: &str| pair[end]["container"]["name"].as_str();
            (name("client"), name("server")) == (Some("vw-bridge-client"), Some("vw-ipvlan-server"))
        };
        let met = all("met")?;
        let pair = met.iter().find(is_it).with_context(|| format!("it asked nobody there: {met:?}"))?;
        ensure!(pair["conversations"] == 20 && pair["network"]["name"] == "vw-ipvlan", "{pair}");
        ensure!(pair["verdict"]["expected"] == "allow", "{pair}");
        Ok(())
    }
}

#[test]
fn of_debian_12_counts_bridges_and_says_why_it_counts_no_more() -> Result<()> {
    let said = Said::on("bookworm", "bridge macvlan", 1)?;
    said.is_well("bridge", Headers::Once)?;
    let row = said.container("vw-macvlan-client")?;
    let reason = row["not_watched_reason"].as_str().unwrap_or_default();
    ensure!(row["watched"] == false && reason.contains("6.6"), "{row}");
    Ok(())
}

#[test]
fn of_debian_13_counts_devices_inside_namespaces_too() -> Result<()> {
    let said = Said::on("trixie", "bridge macvlan tagged ipvlan", 4)?;
    said.is_well("bridge", Headers::Once)?;
    // A question of ARP.
    ["macvlan", "tagged"].iter().try_for_each(|network| said.is_well(network, Headers::OfOneTwice))?;
    said.is_well("ipvlan", Headers::OfAllTwice)
}

#[test]
fn of_debian_sid_counts_devices_inside_namespaces_too() -> Result<()> {
    let said = Said::on("sid", "bridge ipvlan", 2)?;
    said.is_well("bridge", Headers::Once)?;
    said.came_and_went()?;
    said.is_well("ipvlan", Headers::OfAllTwice)
}
