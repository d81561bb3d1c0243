//! Controls for absence: what is stopped and what vanishes, sent again while something is not seen. A drop that was
//! seen goes on proving what it proves; where nothing was seen, nothing may be said. The table in docs/verdicts.md has
//! the same rows.

use super::matrix::{Row, Rules, Watched, attempt};
use super::{UDP, broken, violation};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, text};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Fewer flows than a flood makes in a tick.
const FEW_FLOWS: &str = "64";
/// So few dropped conversations that the room for them is taken as soon as there is any.
const FEW_DROPS: &str = "4";

/// Sends to 1,000 ports of an address four times a second: not all of a tick is without room for flows, so that those
/// that are followed are seen at times, but none is without losses for long.
const FLOWS: &str = "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for port in range(1, 1001):
        try: s.sendto(b'x', (sys.argv[1], port))
        except OSError: pass
    time.sleep(0.25)
";
/// Sends to 200 ports without a pause, so that room for drops is taken as soon as there is any.
const DROPS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for port in range(1, 201):
        s.sendto(b'x', (sys.argv[1], port))
";
/// Makes more new flows in a second than the kernel's programs may tell in the ring.
const RING: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 24001):
    try: s.sendto(b'x', (sys.argv[1], port))
    except OSError: pass
";

/// Sends so many packets of one conversation, 50 ms apart; the first right behind many that take the room for drops.
const SEND: &str = "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for aside in sys.argv[3:]:
    for port in range(1, 501):
        s.sendto(b'x', (aside, port))
for _ in range(int(sys.argv[2])):
    s.sendto(b'x', (sys.argv[1], 7))
    time.sleep(0.05)
";

/// What is not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blind {
    Nothing,
    /// The flow map is full.
    Flows,
    /// The destination's interface is not watched.
    Destination,
    /// The map of drops is full.
    Drops,
    /// Records in the ring are lost.
    Ring,
}

/// What becomes of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Docker's firewall drops them, and the kernel tells.
    Stopped,
    /// They are led away: nobody drops them, and they arrive nowhere.
    Vanished,
    /// An operator's rule lets them through.
    Arrived,
}

/// The container `a`, watched, and the address of `b`.
struct Scene {
    watched: Watched,
    a: Container,
    to: String,
    flood: Option<Flood>,
    _aside: Option<Aside>,
    _rules: Rules,
}

#[test]
fn what_is_stopped_is_blocked_whatever_else_is_not_seen() -> Result<()> {
    for blind in [Blind::Nothing, Blind::Flows, Blind::Destination, Blind::Ring] {
        check(Fate::Stopped, blind, "blocked", None).with_context(|| format!("{blind:?}"))?;
    }
    Ok(())
}

#[test]
fn what_is_stopped_without_a_record_of_it_is_unknown() -> Result<()> {
    check(Fate::Stopped, Blind::Drops, "unknown", Some("drops_lost"))
}

#[test]
fn what_vanishes_is_undelivered_where_everything_was_seen() -> Result<()> {
    for blind in [Blind::Nothing, Blind::Ring] {
        check(Fate::Vanished, blind, "undelivered", None).with_context(|| format!("{blind:?}"))?;
    }
    Ok(())
}

#[test]
fn what_vanishes_is_unknown_where_not_everything_was_seen() -> Result<()> {
    for (blind, reason) in [
        (Blind::Flows, "flows_not_recorded"),
        (Blind::Destination, "destination_not_watched"),
        (Blind::Drops, "drops_lost"),
    ] {
        check(Fate::Vanished, blind, "unknown", Some(reason)).with_context(|| format!("{blind:?}"))?;
    }
    Ok(())
}

#[test]
fn what_arrives_is_delivered_where_it_arrives_and_unknown_where_that_is_not_watched() -> Result<()> {
    for blind in [Blind::Nothing, Blind::Flows, Blind::Drops, Blind::Ring] {
        check(Fate::Arrived, blind, "delivered", None).with_context(|| format!("{blind:?}"))?;
    }
    check(Fate::Arrived, Blind::Destination, "unknown", Some("destination_not_watched"))
}

#[test]
fn what_vanishes_within_one_network_is_broken_only_where_everything_was_seen() -> Result<()> {
    for blind in [Blind::Nothing, Blind::Drops] {
        let row = Row::new("control")?;
        let net = row.network("net", &[])?;
        let scene = Scene::new(row, &net, &net, Fate::Vanished, blind)?;
        scene.send(blind)?;
        let (_, status) = match blind {
            Blind::Nothing => scene.watched.tells(&[broken("undelivered", ["a", "b"], UDP)])?,
            _ => scene.watched.tells(&[])?,
        };
        blind.check(&status)?;
    }
    Ok(())
}

/// Between two networks: what is found of a packet with this fate.
fn check(fate: Fate, blind: Blind, outcome: &str, reason: Option<&str>) -> Result<()> {
    let row = Row::new("control")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let scene = Scene::new(row, &nets[0], &nets[1], fate, blind)?;
    scene.send(blind)?;
    let (found, status) = scene.watched.tells(&[violation("cross-network", outcome, ["a", "b"], UDP)])?;
    ensure!(found[0]["reason"].as_str() == reason, "{}", found[0]);
    blind.check(&status)
}

impl Blind {
    fn arguments(self, ports: usize) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Nothing | Self::Ring => &[],
            Self::Flows => &["--max-flows", FEW_FLOWS],
            Self::Drops => &["--max-drops", FEW_DROPS],
            // Room for what is there before the destination, and no bridges.
            Self::Destination => {
                return ["--no-bridges", "--max-interfaces", &ports.to_string()].map(str::to_owned).to_vec();
            }
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// That it really was not seen, and that nothing else was lost.
    fn check(self, status: &Value) -> Result<()> {
        let lost = |name: &str| status["losses"][name].as_u64().unwrap_or(0) > 0;
        let ring = lost("ring_rate_capped") || lost("ring_full");
        ensure!(lost("flow_map_full") == (self == Self::Flows), "{status}");
        ensure!(lost("drop_map_full") == (self == Self::Drops), "{status}");
        ensure!(ring || self != Self::Ring, "{status}");
        Ok(())
    }
}

impl Scene {
    fn new(row: Row, from: &Network, to: &Network, fate: Fate, blind: Blind) -> Result<Self> {
        let a = row.container("a", from, &[])?;
        let early = (blind != Blind::Destination).then(|| idle(&row.lab, "b", to)).transpose()?;
        let mut rules = Rules::new();
        let aside = match fate {
            Fate::Stopped => None,
            Fate::Vanished => Some(Aside::new(&a.host_device(from)?.name)?),
            Fate::Arrived => {
                let rule = format!("DOCKER-USER -i {} -o {} -j ACCEPT", from.bridge, to.bridge);
                rules.insert("iptables", &rule)?;
                None
            }
        };
        let flood = Flood::new(&row, blind)?;
        // The marker's two are still to come.
        let arguments = blind.arguments(ports()? + 2);
        let watched = row.watch_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        let b = early.map_or_else(|| idle(watched.lab(), "b", to), Ok)?;
        Ok(Self { watched, a, to: b.address(to)?, flood, _aside: aside, _rules: rules })
    }

    /// Sends one packet; many, where few of its flows can be recorded.
    fn send(&self, blind: Blind) -> Result<()> {
        let count = if blind == Blind::Flows { "40" } else { "1" };
        std::thread::scope(|scope| {
            let burst = self.flood.as_ref().filter(|_| blind == Blind::Ring);
            let burst =
                burst.map(|flood| scope.spawn(|| flood.from.exec(&["python3", "-c", RING, &flood.to])));
            let first = self.flood.as_ref().filter(|_| blind == Blind::Drops).map(|flood| flood.to.as_str());
            let words: Vec<&str> =
                ["python3", "-c", SEND, &self.to, count].into_iter().chain(first).collect();
            attempt(&self.a, &words);
            burst.map_or(Ok(()), |burst| burst.join().expect("the burst does not panic").map(drop))
        })
    }
}

/// Who sends so much that something is not seen. Its findings are left out like the marker's.
struct Flood {
    from: Container,
    to: String,
}

impl Flood {
    fn new(row: &Row, blind: Blind) -> Result<Option<Self>> {
        if matches!(blind, Blind::Nothing | Blind::Destination) {
            return Ok(None);
        }
        let near = row.network("flood-a", &[])?;
        let far = row.network("flood-b", &[])?;
        let sink = if blind == Blind::Drops { &far } else { &near };
        let to = idle(&row.lab, "marker-sink", sink)?.address(sink)?;
        let words = match blind {
            Blind::Flows => vec!["python3", "-c", FLOWS, &to],
            Blind::Drops => vec!["python3", "-c", DROPS, &to],
            _ => vec!["sleep", "infinity"],
        };
        let from = row.command("marker-flood", &near, &words)?;
        Ok(Some(Self { from, to }))
    }
}

/// A container that answers nothing.
fn idle(lab: &Lab, name: &str, network: &Network) -> Result<Container> {
    lab.container(name).on(network).run(&["sleep"])
}

/// How many devices are ports of bridges.
fn ports() -> Result<usize> {
    let devices = std::fs::read_dir("/sys/class/net").context("listing devices")?;
    Ok(devices.filter(|device| device.as_ref().is_ok_and(|it| it.path().join("brport").exists())).count())
}

/// Where packets are led that are to vanish: a device whose other end is in a namespace where nobody is.
struct Aside {
    name: String,
}

impl Aside {
    /// Leads the IPv4 packets that come in at a device away. Programs of vethwatch on it come first.
    fn new(device: &str) -> Result<Self> {
        let pid = std::process::id();
        let aside = Self { name: format!("vw-aside-{pid}") };
        let here = format!("vwa{pid}");
        run("ip", &format!("netns add {}", aside.name))?;
        run("ip", &format!("link add {here} type veth peer name far netns {}", aside.name))?;
        run("ip", &format!("link set {here} up"))?;
        run("ip", &format!("-n {} link set far up", aside.name))?;
        run("tc", &format!("qdisc replace dev {device} clsact"))?;
        let all = "protocol ip prio 5 u32 match u32 0 0";
        run(
            "tc",
            &format!("filter add dev {device} ingress {all} action mirred egress redirect dev {here}"),
        )?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The veth goes with the namespace's end of it.
        if let Err(error) = run("ip", &format!("netns del {}", self.name)) {
            eprintln!("{error:#}");
        }
    }
}

fn run(program: &str, words: &str) -> Result<()> {
    text(Command::new(program).args(words.split_whitespace()), Duration::from_secs(10)).map(drop)
}
