//! Overlay networks of a swarm, on two nodes of this machine.

use crate::agent::{Agent, PATIENCE, is_watched, vethwatch};
use crate::heard;
use crate::inside::{together, wait_until_exact_as};
use anyhow::{Context, Result, ensure};
use lab::{Container, DeviceCounters, Engine, Swarm, image, wait_for};
use serde_json::{Value, json};

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

/// The VXLAN network identifier of a network, as Docker tells it.
fn vxlan_id(node: &Engine, network: &str) -> Result<String> {
    let option = r#"{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}"#;
    Ok(node.docker(&["network", "inspect", "--format", option, network])?.trim().to_owned())
}

/// A container's address on a network.
pub(crate) fn address(node: &Engine, of: &Container, network: &str) -> Result<String> {
    told(node, of, &format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}"))
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

    let (near, beyond) = (address(here, &two, NETWORK)?, address(there, &far, NETWORK)?);
    send(here, &one, &near, 200, 100)?;
    let pair = at_here.wait_for_pair(&one, &two, 200)?;
    ensure!(pair["sent"]["bytes"] == 200 * (100 + FRAME) && pair["network"]["name"] == NETWORK, "{pair}");

    // Each node counts at its own container; the other's is outside of it, with the name that the swarm tells.
    send(here, &one, &beyond, 300, 50)?;
    let sent = 300 * (50 + FRAME);
    let pair_of = |agent: &Agent, ours: &str, of: &Container, theirs: &str, whom: &Container| {
        wait_for("the pair", PATIENCE, || {
            let pairs = agent.ask("pairs")?;
            Ok(pairs.into_iter().find(|pair| {
                pair[ours]["container"]["id"] == *of.id
                    && pair[theirs]["kind"] == "external"
                    && pair[theirs]["swarm"]["name"] == *whom.name
                    && pair["sent"]["bytes"] == sent
            }))
        })
        .with_context(|| format!("{:#?}", agent.ask("pairs")))
    };
    let [this_node, other_node] = lab::NODE_ADDRESSES;
    let to_far = pair_of(&at_here, "client", &one, "server", &far)?;
    let vxlan_id: u64 = vxlan_id(here, NETWORK)?.parse()?;
    let in_swarm = |name: &str, node: &str| {
        json!({"kind": "container", "name": name, "node_address": node, "vxlan_id": vxlan_id,
            "network": to_far["network"]})
    };
    ensure!(to_far["server"]["swarm"] == in_swarm("vw-far", other_node), "{to_far}");
    ensure!(to_far["server"]["address"] == *beyond && to_far["network"]["name"] == NETWORK, "{to_far}");
    let from_one = pair_of(&at_there, "server", &far, "client", &one)?;
    ensure!(from_one["client"]["swarm"] == in_swarm("vw-one", this_node), "{from_one}");
    let networks = at_here.ask("networks")?;
    let overlay = networks.iter().find(|row| row["name"] == NETWORK).context("the network")?;
    let expected = json!({"vxlan_ids": [vxlan_id], "encrypted": false, "ingress": false,
        "node_addresses": [this_node, other_node]});
    ensure!(overlay["overlay"] == expected, "{overlay}");
    crate::overlay_mtu::check(&swarm, &at_there, &one, (NETWORK, &image))?;

    // A port of the far one at which nobody listens: its node's error comes to this node's container.
    let pid: u32 = told(here, &one, "{{.State.Pid}}")?.parse()?;
    let before = heard::unreachable(pid)?;
    let closed = ["exec", &one.id, "/testbox", "udp-send", &format!("{beyond}:9"), "--count", "3"];
    // What the error says reaches the sender too.
    drop(here.docker(&closed));
    let row = heard::errors(&at_here, || Ok(heard::unreachable(pid)? - before), 9)?;
    let error = &row["icmp_errors"][0];
    ensure!(error["reason"] == "port-unreachable" && error["sender"]["address"] == *beyond, "{row}");

    for (agent, node, of) in [(&at_here, here, &one), (&at_here, here, &two), (&at_there, there, &far)] {
        let pid: u32 = told(node, of, "{{.State.Pid}}")?.parse()?;
        // With docker_gwbridge, it has a second device, which nobody used.
        let of_device = |device: &str| DeviceCounters::of_process(pid, device);
        wait_until_exact_as(agent, of, || Ok(together(of_device("eth0")?, &of_device("eth1")?)))?;
    }
    let doctor = vethwatch().within(&here.namespace).with("DOCKER_HOST", &here.host());
    let told = doctor.json(&["doctor", "--json"])?;
    let drivers = told.iter().find(|line| line["subject"] == "drivers").context("a line of doctor")?;
    ensure!(drivers["result"] == "ok" && drivers["found"].to_string().contains("vw-one"), "{drivers}");
    crate::swarm_services::check(&swarm, [&at_here, &at_there], &one, (NETWORK, &image))?;
    comes_and_goes(here, &at_here, &image, &two)?;
    crate::swarm::check(&swarm, [&at_here, &at_there], &one, (NETWORK, &image))?;
    at_here.end()?;
    at_there.end()
}

/// A container of a bridge network joins the overlay network and leaves it, while it runs.
fn comes_and_goes(node: &Engine, agent: &Agent, image: &str, two: &Container) -> Result<()> {
    node.docker(&["network", "create", "vw-bridge"])?;
    let words = [
        "run",
        "--detach",
        "--pull",
        "never",
        "--name",
        "vw-roamer",
        "--network",
        "vw-bridge",
        image,
        "sleep",
    ];
    let id = node.docker(&words)?;
    let roamer = Container { name: "vw-roamer".to_owned(), id: id.trim().to_owned() };
    let on = |row: &Value, names: &[&str]| {
        let networks = row["networks"].as_array().into_iter().flatten();
        let watched: Vec<&str> = networks
            .filter(|network| network["interface"].is_string())
            .filter_map(|network| network["name"].as_str())
            .collect();
        names.iter().all(|name| watched.contains(name)) && watched.len() == names.len()
    };
    agent.wait_for_row("the bridge network", &roamer, |row| on(row, &["vw-bridge"]))?;
    let held = agent.holds()?;
    node.docker(&["network", "connect", NETWORK, &roamer.id])?;
    let both = |row: &Value| on(row, &["vw-bridge", NETWORK]) && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("both networks", &roamer, both)?;
    send(node, &roamer, &address(node, two, NETWORK)?, 70, 30)?;
    let pair = agent.wait_for_pair(&roamer, two, 70)?;
    ensure!(pair["sent"]["bytes"] == 70 * (30 + FRAME) && pair["network"]["name"] == NETWORK, "{pair}");
    let pid: u32 = told(node, &roamer, "{{.State.Pid}}")?.parse()?;
    let of_device = |device: &str| DeviceCounters::of_process(pid, device);
    wait_until_exact_as(agent, &roamer, || Ok(together(of_device("eth0")?, &of_device("eth1")?)))?;
    node.docker(&["network", "disconnect", NETWORK, &roamer.id])?;
    let alone = |row: &Value| on(row, &["vw-bridge"]) && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("the bridge network alone", &roamer, alone)?;
    agent.wait_until_holds(&held)
}
