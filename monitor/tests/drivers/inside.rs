//! Networks that have no end on the host: containers are watched at their own devices, in their own namespaces.

use crate::agent::{Agent, PATIENCE, is_watched, send, vethwatch};
use crate::heard;
use anyhow::{Context, Result, ensure};
use lab::{Container, DeviceCounters, Lab, Network, Segment, Vethwatch, docker, image, wait_for};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Waits until it is, of a container with one device.
pub(crate) fn wait_until_exact(agent: &Agent, container: &Container) -> Result<Value> {
    wait_until_exact_as(agent, container, || container.own_counters("eth0"))
}

/// Waits until it is, of a container whose devices have counted this.
pub(crate) fn wait_until_exact_as(
    agent: &Agent,
    container: &Container,
    devices: impl Fn() -> Result<DeviceCounters>,
) -> Result<Value> {
    let mut last = None;
    let exact = wait_for("exact counts", PATIENCE, || {
        last = agent.row(container)?;
        let Some(row) = &last else { return Ok(None) };
        Ok(is_exact(row, &devices()?).then(|| row.clone()))
    });
    exact.with_context(|| format!("{}: {:?}: {last:#?}", container.name, devices()))
}

/// What two devices count.
pub(crate) fn together(one: DeviceCounters, other: &DeviceCounters) -> DeviceCounters {
    DeviceCounters {
        rx_packets: one.rx_packets + other.rx_packets,
        rx_bytes: one.rx_bytes + other.rx_bytes,
        rx_multicast: one.rx_multicast + other.rx_multicast,
        tx_packets: one.tx_packets + other.tx_packets,
        tx_bytes: one.tx_bytes + other.tx_bytes,
        ..one
    }
}

/// What is told of a container on a network.
fn on<'a>(row: &'a Value, network: &Network) -> Option<&'a Value> {
    row["networks"].as_array()?.iter().find(|it| it["name"] == *network.name)
}

fn is_on(row: &Value, network: &Network) -> bool {
    is_watched(row) && on(row, network).is_some_and(|it| it["interface"].is_string())
}

/// Options of a macvlan network.
fn options<'a>(mode: &'a str, subnet: &'a str) -> [&'a str; 4] {
    ["--opt", mode, "--subnet", subnet]
}

fn receiver(lab: &Lab, name: &str, net: &Network) -> Result<Container> {
    lab.container(name).on(net).run(&["udp-receive", "7", "--idle", "1000s"])
}

#[test]
fn siblings_on_a_macvlan_network_are_counted_exactly_at_their_own_devices() -> Result<()> {
    let segment = Segment::new("p")?;
    let lab = Lab::new("macvlan")?;
    let options = options("macvlan_mode=bridge", "198.18.78.0/24");
    let Some(lan) = lab.macvlan("lan", &segment, &options)? else { return Ok(()) };
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
    let lab = Lab::new("modes")?;
    // A segment is one network's.
    let mut segments = Vec::new();
    let bridge = lab.network("net", &[])?;
    let roamer = lab.container("roamer").on(&bridge).run(&["sleep"])?;
    let agent = Agent::start("modes")?;
    let alone = |row: &Value| {
        let networks = row["networks"].as_array().map(Vec::len);
        networks == Some(1) && is_on(row, &bridge) && row["unaccounted_bytes"] == 0
    };
    agent.wait_for_row("the bridge network", &roamer, alone)?;
    let held = agent.holds()?;
    let modes = [("bridge", "198.18.82.0/24"), ("private", "198.18.79.0/24"), ("vepa", "198.18.80.0/24")];
    for (mode, subnet) in modes {
        let option = format!("macvlan_mode={mode}");
        let segment = Segment::new(&mode[..1])?;
        let lan = lab.macvlan(mode, &segment, &options(&option, subnet))?;
        segments.push(segment);
        let Some(lan) = lan else { return Ok(()) };
        let other = receiver(&lab, &format!("{mode}-other"), &lan)?;
        agent.wait_for_row("the other to be watched", &other, |row| is_on(row, &lan))?;
        roamer.connect(&lan)?;
        let both = |row: &Value| is_on(row, &bridge) && is_on(row, &lan) && row["unaccounted_bytes"] == 0;
        agent.wait_for_row("both networks", &roamer, both)?;
        let to = format!("{}:7", other.address(&lan)?);
        if mode == "bridge" {
            send(&roamer, &to, 50, 20)?;
            let pair = agent.wait_for_pair(&roamer, &other, 50)?;
            ensure!(
                pair["network"]["name"] == *lan.name && pair["sent"]["bytes"] == 50 * (20 + FRAME),
                "{pair}"
            );
        } else {
            // Nothing brings it to the other in these modes: it asks who has the address, and is not heard.
            let _ = roamer.exec(&["/testbox", "udp-send", &to, "--count", "3"]);
        }
        wait_until_exact(&agent, &other)?;
        if mode == "bridge" {
            // At both devices together. Of what it had on a network that it has left, no device tells any more.
            let devices = || Ok(together(roamer.own_counters("eth0")?, &roamer.own_counters("eth1")?));
            wait_until_exact_as(&agent, &roamer, devices)?;
        }
        agent.wait_for_row("exact counts at both of its devices", &roamer, both)?;
        roamer.disconnect(&lan)?;
        agent.wait_for_row("the bridge network alone", &roamer, alone)?;
        other.remove()?;
        agent.wait_until_holds(&held)?;
    }
    agent.end()
}

#[test]
fn what_fails_and_what_is_asked_for_is_told_at_a_containers_own_device() -> Result<()> {
    let segment = Segment::new("r")?;
    let lab = Lab::new("inheard")?;
    let Some(lan) = lab.macvlan("lan", &segment, &["--subnet", "198.18.81.0/24"])? else { return Ok(()) };
    let debian = image::ready(image::DEBIAN)?;
    let client = lab.container("client").image(&debian).on(&lan).run(&["sleep", "600"])?;
    let server = lab.container("server").image(&debian).on(&lan);
    let server = server.run(&["python3", "-c", heard::SERVER, "4711", "0.0.0.0"])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    let address = server.address(&lan)?;
    let of_docker = lab.container("of-docker").image(&debian).on(&lan).options(&["--dns", &address]);
    let of_docker = of_docker.run(&["sleep", "600"])?;
    let agent = Agent::start("inheard")?;
    for one in [&client, &server, &of_docker] {
        agent.wait_for_row("its device to be watched", one, |row| is_on(row, &lan))?;
    }
    heard::names(&agent, &client, &address)?;
    heard::names_asked_on(&agent, &of_docker, &address)?;
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

/// The program in a mount namespace of its own, where Docker's folder of network namespaces is hidden.
struct Blind(PathBuf);

impl Blind {
    fn new(folder: &Path) -> Result<Self> {
        let script = std::env::temp_dir().join(format!("vw-blind-{}", std::process::id()));
        let text = format!(
            "#!/bin/sh\nexec unshare --mount --propagation private sh -euc \
             'mount -t tmpfs none {}; exec \"$0\" \"$@\"' {} \"$@\"\n",
            folder.display(),
            env!("CARGO_BIN_EXE_vethwatch")
        );
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        Ok(Self(script))
    }
}

impl Drop for Blind {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

#[test]
fn a_namespace_that_is_not_where_docker_has_it_is_said_to_be_missing_until_it_is_there() -> Result<()> {
    let segment = Segment::new("b")?;
    let lab = Lab::new("blind")?;
    let Some(lan) = lab.macvlan("lan", &segment, &["--subnet", "198.18.83.0/24"])? else { return Ok(()) };
    let one = receiver(&lab, "one", &lan)?;
    let namespace = docker(&["inspect", "--format", "{{.NetworkSettings.SandboxKey}}", &one.id])?;
    let folder = Path::new(&namespace).parent().context("its folder")?;
    let blind = Blind::new(folder)?;
    let agent = Agent::start_by(Vethwatch::at(&blind.0), "blind")?;
    let is_said = |row: &Value| {
        let reason = row["not_watched_reason"].as_str().unwrap_or_default();
        reason.contains(&format!("there is no network namespace at {namespace}"))
    };
    let row = agent.wait_for_row("what is missing", &one, is_said)?;
    ensure!(!is_watched(&row), "{row}");
    let mut show = Command::new("nsenter");
    show.args(["--target", &agent.pid().to_string(), "--mount", "umount"]).arg(folder);
    lab::text(&mut show, PATIENCE)?;
    let row = agent.wait_for_row("its device to be watched", &one, |row| is_on(row, &lan))?;
    ensure!(row.get("not_watched_reason").is_none(), "{row}");
    agent.end()
}
