//! Networks that have no end on the host: containers are watched at their own devices, in their own namespaces.

use crate::agent::{Agent, PATIENCE, is_watched, send, vethwatch};
use crate::elsewhere::ip;
use crate::heard;
use anyhow::{Context, Result, ensure};
use lab::{Container, DeviceCounters, Lab, Network, image, wait_for};
use serde_json::Value;

/// Ethernet, IPv4 and UDP header.
const FRAME: u64 = 42;

/// Whether what a device counts is what was told of its container, with what crossed before.
pub(crate) fn is_exact(row: &Value, device: &DeviceCounters) -> bool {
    let told = |direction: &str, figure: &str| {
        let watched = row[direction][figure].as_u64().unwrap_or_default();
        watched + row["before_watch"][direction][figure].as_u64().unwrap_or_default()
    };
    let sent = (told("sent", "skbs"), told("sent", "skb_bytes"));
    let received = (told("received", "skbs"), told("received", "skb_bytes"));
    row["unaccounted_bytes"] == 0
        && sent == (device.tx_packets, device.tx_bytes)
        && received.0 == device.rx_packets
        // What a sibling sends to many a macvlan device counts with two Ethernet headers.
        && (device.rx_bytes - 14 * device.rx_multicast..=device.rx_bytes).contains(&received.1)
}

/// Waits until it is.
pub(crate) fn wait_until_exact(agent: &Agent, container: &Container) -> Result<Value> {
    let mut last = None;
    let exact = wait_for("exact counts", PATIENCE, || {
        last = agent.row(container)?;
        let Some(row) = &last else { return Ok(None) };
        Ok(is_exact(row, &container.own_counters("eth0")?).then(|| row.clone()))
    });
    exact.with_context(|| format!("{:?}: {last:#?}", container.own_counters("eth0")))
}

/// What is told of a container on a network.
fn on<'a>(row: &'a Value, network: &Network) -> Option<&'a Value> {
    row["networks"].as_array()?.iter().find(|it| it["name"] == *network.name)
}

fn is_on(row: &Value, network: &Network) -> bool {
    is_watched(row) && on(row, network).is_some_and(|it| it["interface"].is_string())
}

/// What macvlan networks are made on: one end of a veth, whose other end is nobody's. Gone when dropped.
struct Parent(String);

impl Parent {
    fn new(name: &str) -> Result<Self> {
        let parent = Self(format!("vw{name}{}", std::process::id() % 1_000_000));
        let other = format!("{}o", parent.0);
        ip(&format!("link add {} type veth peer name {other}", parent.0))?;
        ip(&format!("link set {} up", parent.0))?;
        ip(&format!("link set {other} up"))?;
        Ok(parent)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("link del {}", self.0)) {
            eprintln!("{error:#}");
        }
    }
}

/// A macvlan network in this mode, or `None` where the kernel has none.
fn macvlan(lab: &Lab, name: &str, mode: &str, subnet: &str, parent: &Parent) -> Option<Network> {
    let (parent, mode) = (format!("parent={}", parent.0), format!("macvlan_mode={mode}"));
    let options = ["--driver", "macvlan", "--opt", &parent, "--opt", &mode, "--subnet", subnet];
    match lab.network(name, &options) {
        Ok(network) => Some(network),
        Err(error) => {
            eprintln!("skipped: no macvlan network here: {error:#}");
            None
        }
    }
}

fn receiver(lab: &Lab, name: &str, net: &Network) -> Result<Container> {
    lab.container(name).on(net).run(&["udp-receive", "7", "--idle", "1000s"])
}

#[test]
fn siblings_on_a_macvlan_network_are_counted_exactly_at_their_own_devices() -> Result<()> {
    let parent = Parent::new("p")?;
    let lab = Lab::new("macvlan")?;
    let Some(lan) = macvlan(&lab, "lan", "bridge", "198.18.78.0/24", &parent) else { return Ok(()) };
    let (one, two) = (receiver(&lab, "one", &lan)?, receiver(&lab, "two", &lan)?);
    let agent = Agent::start("macvlan")?;
    let row = agent.wait_for_row("its device to be watched", &one, |row| is_on(row, &lan))?;
    agent.wait_for_row("the other's to be watched", &two, |row| is_on(row, &lan))?;
    let at = on(&row, &lan).context("the network")?;
    let interface = format!("eth0 of {}", &one.id[..12]);
    ensure!(at["interface"] == *interface && at.get("ifindex").is_none(), "{at}");
    ensure!(at["driver"] == "macvlan" && at["mac"] == *one.mac(&lan)?, "{at}");
    ensure!(one.own_programs("eth0")? == 2 && two.own_programs("eth0")? == 2);

    send(&one, &format!("{}:7", two.address(&lan)?), 300, 100)?;
    send(&two, &format!("{}:7", one.address(&lan)?), 200, 50)?;
    // Seen at both devices, each direction is counted once.
    let (there, back) = (agent.wait_for_pair(&one, &two, 300)?, agent.wait_for_pair(&two, &one, 200)?);
    ensure!(
        there["sent"]["bytes"] == 300 * (100 + FRAME) && there["network"]["name"] == *lan.name,
        "{there}"
    );
    ensure!(back["sent"]["bytes"] == 200 * (50 + FRAME) && back["network"]["name"] == *lan.name, "{back}");
    wait_until_exact(&agent, &one)?;
    let before = wait_until_exact(&agent, &two)?;

    // It comes back in another namespace.
    two.kill()?;
    wait_for("it to be watched no longer", PATIENCE, || {
        Ok(agent.row(&two)?.is_none_or(|row| !is_watched(&row)).then_some(()))
    })?;
    two.start()?;
    wait_for("it to be watched again", PATIENCE, || Ok((two.own_programs("eth0")? == 2).then_some(())))?;
    send(&two, &format!("{}:7", one.address(&lan)?), 10, 50)?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64();
    agent.wait_for_row("both runs together", &two, |row| sent(row) >= sent(&before).map(|it| it + 10))?;
    wait_until_exact(&agent, &one)?;

    let lines = agent.ask("containers")?;
    let status = lines.iter().find(|line| line["type"] == "status").context("a status")?;
    let missing = status["missing"]["containers"].as_str().unwrap_or_default();
    ensure!(!missing.contains(&one.name), "{missing}");
    agent.end()?;
    ensure!(one.own_programs("eth0")? == 0 && two.own_programs("eth0")? == 0, "programs are left");
    let doctor = vethwatch().json(&["doctor", "--json"])?;
    let told = doctor.iter().find(|line| line["subject"] == "drivers").context("a line of doctor")?;
    ensure!(told["result"] == "ok" && told["found"].to_string().contains(&one.name), "{told}");
    Ok(())
}

#[test]
fn macvlan_networks_of_each_mode_come_and_go_while_a_container_runs() -> Result<()> {
    let parent = Parent::new("q")?;
    let lab = Lab::new("modes")?;
    let bridge = lab.network("bridge", &[])?;
    let roamer = lab.container("roamer").on(&bridge).run(&["sleep"])?;
    let agent = Agent::start("modes")?;
    let alone = |row: &Value| {
        let networks = row["networks"].as_array().map(Vec::len);
        networks == Some(1) && is_on(row, &bridge) && row["unaccounted_bytes"] == 0
    };
    agent.wait_for_row("the bridge network", &roamer, alone)?;
    for (mode, subnet) in [("private", "198.18.79.0/24"), ("vepa", "198.18.80.0/24")] {
        let Some(lan) = macvlan(&lab, mode, mode, subnet, &parent) else { return Ok(()) };
        let other = receiver(&lab, &format!("{mode}-other"), &lan)?;
        agent.wait_for_row("the other to be watched", &other, |row| is_on(row, &lan))?;
        roamer.connect(&lan)?;
        let both = |row: &Value| is_on(row, &bridge) && is_on(row, &lan) && row["unaccounted_bytes"] == 0;
        agent.wait_for_row("both networks", &roamer, both)?;
        // Nothing brings it to the other in these modes: it asks who has the address, and is not heard.
        let to = format!("{}:7", other.address(&lan)?);
        let _ = roamer.exec(&["/testbox", "udp-send", &to, "--count", "3"]);
        wait_until_exact(&agent, &other)?;
        agent.wait_for_row("exact counts at both of its devices", &roamer, both)?;
        roamer.disconnect(&lan)?;
        agent.wait_for_row("the bridge network alone", &roamer, alone)?;
        other.remove()?;
    }
    agent.end()
}

#[test]
fn what_fails_and_what_is_asked_for_is_told_at_a_containers_own_device() -> Result<()> {
    let parent = Parent::new("r")?;
    let lab = Lab::new("inheard")?;
    let Some(lan) = macvlan(&lab, "lan", "bridge", "198.18.81.0/24", &parent) else { return Ok(()) };
    let debian = image::ready(image::DEBIAN)?;
    let client = lab.container("client").image(&debian).on(&lan).run(&["sleep", "600"])?;
    let server = lab.container("server").image(&debian).on(&lan);
    let server = server.run(&["python3", "-c", heard::SERVER, "4711", "0.0.0.0"])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    let agent = Agent::start("inheard")?;
    for one in [&client, &server] {
        agent.wait_for_row("its device to be watched", one, |row| is_on(row, &lan))?;
    }
    let address = server.address(&lan)?;
    heard::names(&agent, &client, &address)?;
    heard::windows(&agent, &client, &server, (&address, 4_711))?;
    let (pid, closed) = (client.pid()?, 7_003);
    let before = heard::unreachable(pid)?;
    heard::knock(&client, &address, closed)?;
    let row = heard::errors(&agent, || Ok(heard::unreachable(pid)? - before), closed)?;
    let error = &row["icmp_errors"][0];
    ensure!(error["reason"] == "port-unreachable" && error["packets_of"] == "client", "{row}");
    ensure!(error["sender"]["container"]["name"] == *server.name, "{row}");
    agent.end()?;
    lab.close()
}
