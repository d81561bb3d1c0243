//! Overlay networks of a swarm, on two nodes of this machine.

use crate::agent::{Agent, PATIENCE, is_watched, vethwatch};
use crate::inside::is_exact;
use anyhow::{Context, Result, ensure};
use lab::{Container, DeviceCounters, Engine, Swarm, image, wait_for};
use serde_json::Value;

/// Ethernet, IPv4 and UDP header.
const FRAME: u64 = 42;
const NETWORK: &str = "vw-overlay";

/// Runs a container that receives at port 7.
fn receiver(node: &Engine, image: &str, name: &str) -> Result<Container> {
    let words = ["run", "--detach", "--pull", "never", "--name", name, "--network", NETWORK];
    let receive = ["udp-receive", "7", "--idle", "1000s"];
    let id = node.docker(&[&words[..], &[image], &receive].concat())?;
    Ok(Container { name: name.to_owned(), id: id.trim().to_owned() })
}

fn told(node: &Engine, of: &Container, format: &str) -> Result<String> {
    Ok(node.docker(&["inspect", "--format", format, &of.id])?.trim().to_owned())
}

fn address(node: &Engine, of: &Container) -> Result<String> {
    told(node, of, &format!("{{{{(index .NetworkSettings.Networks {NETWORK:?}).IPAddress}}}}"))
}

fn send(node: &Engine, from: &Container, to: &str, count: u64, size: u64) -> Result<()> {
    let (to, count, size) = (format!("{to}:7"), count.to_string(), size.to_string());
    let words = ["exec", &from.id, "/testbox", "udp-send", &to, "--count", &count, "--size", &size];
    node.docker(&[&words[..], &["--rate", "5000"]].concat()).map(drop)
}

#[test]
fn containers_on_an_overlay_network_are_counted_at_their_own_devices_on_both_nodes() -> Result<()> {
    let image = image::ready(image::TESTBOX)?;
    let swarm = Swarm::start(&image)?;
    let [here, there] = &swarm.nodes;
    here.docker(&[
        "network",
        "create",
        "--driver",
        "overlay",
        "--attachable",
        "--subnet",
        "198.18.91.0/24",
        NETWORK,
    ])?;
    let (one, two) = (receiver(here, &image, "vw-one")?, receiver(here, &image, "vw-two")?);
    let far = receiver(there, &image, "vw-far")?;
    let agents = [(here, "here"), (there, "there")].map(|(node, name)| {
        let program = vethwatch().within(&node.namespace).with("DOCKER_HOST", &node.host());
        Agent::start_by(program, &format!("overlay-{name}"))
    });
    let [at_here, at_there] = agents;
    let (at_here, at_there) = (at_here?, at_there?);
    let is_on = |row: &Value| {
        let networks = row["networks"].as_array().into_iter().flatten();
        let mut its = networks.filter(|it| it["name"] == NETWORK && it["interface"].is_string());
        is_watched(row) && its.next().is_some_and(|it| it["driver"] == "overlay")
    };
    at_here.wait_for_row("one to be watched", &one, is_on)?;
    at_here.wait_for_row("two to be watched", &two, is_on)?;
    at_there.wait_for_row("the far one to be watched", &far, is_on)?;

    let (near, beyond) = (address(here, &two)?, address(there, &far)?);
    send(here, &one, &near, 200, 100)?;
    let pair = at_here.wait_for_pair(&one, &two, 200)?;
    ensure!(pair["sent"]["bytes"] == 200 * (100 + FRAME) && pair["network"]["name"] == NETWORK, "{pair}");

    // Each node tells its own container's end; the other's is outside of it.
    send(here, &one, &beyond, 300, 50)?;
    let sent = 300 * (50 + FRAME);
    let pair_of = |agent: &Agent, ours: &str, of: &Container, theirs: &str, address: &str| {
        wait_for("the pair", PATIENCE, || {
            let pairs = agent.ask("pairs")?;
            Ok(pairs.into_iter().find(|pair| {
                pair[ours]["container"]["id"] == *of.id
                    && pair[theirs]["kind"] == "external"
                    && (pair[theirs]["address"].is_null() || pair[theirs]["address"] == *address)
                    && pair["sent"]["bytes"] == sent
            }))
        })
        .with_context(|| format!("{:#?}", agent.ask("pairs")))
    };
    pair_of(&at_here, "client", &one, "server", &beyond)?;
    pair_of(&at_there, "server", &far, "client", &address(here, &one)?)?;

    for (agent, node, of) in [(&at_here, here, &one), (&at_here, here, &two), (&at_there, there, &far)] {
        let pid: u32 = told(node, of, "{{.State.Pid}}")?.parse()?;
        // With docker_gwbridge, it has a second device, which nobody used.
        let exact = wait_for("exact counts", PATIENCE, || {
            let (row, eth0) = (agent.row(of)?, DeviceCounters::of_process(pid, "eth0")?);
            let eth1 = DeviceCounters::of_process(pid, "eth1")?;
            let both = DeviceCounters {
                rx_packets: eth0.rx_packets + eth1.rx_packets,
                rx_bytes: eth0.rx_bytes + eth1.rx_bytes,
                tx_packets: eth0.tx_packets + eth1.tx_packets,
                tx_bytes: eth0.tx_bytes + eth1.tx_bytes,
                ..eth0
            };
            Ok(row.filter(|row| is_exact(row, &both)))
        });
        exact.with_context(|| format!("{}: {:#?}", of.name, agent.row(of)))?;
    }
    let doctor = vethwatch().within(&here.namespace).with("DOCKER_HOST", &here.host());
    let told = doctor.json(&["doctor", "--json"])?;
    let drivers = told.iter().find(|line| line["subject"] == "drivers").context("a line of doctor")?;
    ensure!(drivers["result"] == "ok" && drivers["found"].to_string().contains("vw-one"), "{drivers}");
    at_here.end()?;
    at_there.end()
}
