//! Bridge networks, with everything that Docker lets one say of them.

use crate::agent::{Agent, PATIENCE, is_watched, send};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Ethernet, IPv4 and UDP header.
const FRAME: u64 = 42;
/// The same with IPv6.
const FRAME6: u64 = 62;

/// What is told of a container on a network.
fn on(row: &Value, network: &Network) -> Result<Value> {
    let networks = row["networks"].as_array().context("networks")?;
    let found = networks.iter().find(|it| it["name"] == *network.name);
    found.cloned().with_context(|| format!("no {} in {row:#}", network.name))
}

/// Whether all that is told of a container is exactly what its devices count.
fn is_exact(row: &Value) -> bool {
    is_watched(row) && row["unaccounted_bytes"] == 0
}

fn receiver(lab: &Lab, name: &str, net: &Network, options: &[&str]) -> Result<Container> {
    lab.container(name).on(net).options(options).run(&["udp-receive", "7", "--idle", "1000s"])
}

#[test]
fn addresses_names_and_devices_are_those_that_were_asked_for() -> Result<()> {
    let lab = Lab::new("ipam")?;
    let bridge = format!("vw-ipam{}", std::process::id() % 100_000);
    let named = format!("com.docker.network.bridge.name={bridge}");
    let options = [
        ["--subnet", "198.18.88.0/24"],
        ["--ip-range", "198.18.88.128/25"],
        ["--gateway", "198.18.88.9"],
        ["--aux-address", "printer=198.18.88.129"],
        ["--opt", named.as_str()],
        ["--opt", "com.docker.network.driver.mtu=1280"],
        ["--subnet", "fd00:88:1::/64"],
    ];
    let net = lab.network("net", &[&options.concat()[..], &["--ipv6"]].concat())?;
    let given = ["--ip", "198.18.88.200", "--ip6", "fd00:88:1::200"];
    let fixed = receiver(&lab, "fixed", &net, &given)?;
    let alias = ["--network-alias", "service"];
    let replicas = [receiver(&lab, "one", &net, &alias)?, receiver(&lab, "two", &net, &alias)?];
    let client = lab.container("client").on(&net).run(&["sleep"])?;
    let agent = Agent::start("ipam")?;

    let row = agent.wait_for_row("the fixed one to be watched", &fixed, is_exact)?;
    let at = on(&row, &net)?;
    let addresses: Vec<&str> =
        at["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(addresses.contains(&"198.18.88.200") && addresses.contains(&"fd00:88:1::200"), "{at}");
    ensure!(at["mac"] == *fixed.mac(&net)? && at["driver"] == "bridge", "{at}");
    let device = Path::new("/sys/class/net").join(at["interface"].as_str().context("an interface")?);
    ensure!(fs::read_link(device.join("master"))?.ends_with(&bridge), "{at} is no port of {bridge}");
    ensure!(fs::read_to_string(device.join("mtu"))?.trim() == "1280", "{at}");
    for replica in &replicas {
        let row = agent.wait_for_row("a replica to be watched", replica, is_exact)?;
        // Of the range, but not the printer's.
        let address = on(&row, &net)?["addresses"][0].clone();
        let last: u8 =
            address.as_str().and_then(|it| it.rsplit('.').next()).context("an address")?.parse()?;
        ensure!(last >= 128 && last != 129, "{row}");
    }
    agent.wait_for_row("the client to be watched", &client, is_exact)?;
    send(&client, "198.18.88.200:7", 100, 50)?;
    let pair = agent.wait_for_pair(&client, &fixed, 100)?;
    ensure!(pair["sent"]["bytes"] == 100 * (50 + FRAME) && pair["network"]["name"] == *net.name, "{pair}");
    // One name, two containers: each datagram is told of the one that got it.
    for replica in &replicas {
        send(&client, &format!("{}:7", replica.address(&net)?), 30, 50)?;
        agent.wait_for_pair(&client, replica, 30)?;
    }
    send(&client, "service:7", 10, 50)?;
    let all = |row: &Value| row["sent"]["packets"].as_u64() >= Some(170) && is_exact(row);
    agent.wait_for_row("all that the client sent", &client, all)?;
    // What it sent may be more than datagrams, so these may be told later.
    wait_for("the datagrams of both", PATIENCE, || {
        let told: u64 = replicas
            .iter()
            .map(|replica| Ok(agent.pair(&client, replica)?["sent"]["packets"].as_u64().unwrap_or_default()))
            .sum::<Result<u64>>()?;
        ensure!(told <= 70, "{told}");
        Ok((told == 70).then_some(()))
    })?;
    // By its other address it is a pair of the same two.
    send(&client, "[fd00:88:1::200]:7", 40, 50)?;
    let both = agent.wait_for_pair(&client, &fixed, 140)?;
    ensure!(both["sent"]["bytes"] == 100 * (50 + FRAME) + 40 * (50 + FRAME6), "{both}");
    agent.end()
}

#[test]
fn networks_come_and_go_while_a_container_runs() -> Result<()> {
    let lab = Lab::new("connect")?;
    let (first, second) = (lab.network("first", &[])?, lab.network("second", &[])?);
    let roamer = lab.container("roamer").on(&first).run(&["sleep"])?;
    let server = receiver(&lab, "server", &second, &[])?;
    let agent = Agent::start("connect")?;
    agent.wait_for_row("the server to be watched", &server, is_exact)?;
    let is_on = |row: &Value, expected: &[&Network]| {
        let names: Vec<&Value> =
            row["networks"].as_array().into_iter().flatten().map(|network| &network["name"]).collect();
        let at = |network: &&Network| on(row, network).is_ok_and(|it| it["interface"].is_string());
        names.len() == expected.len() && expected.iter().all(at) && is_exact(row)
    };
    agent.wait_for_row("the first network", &roamer, |row| is_on(row, &[&first]))?;
    roamer.connect(&second)?;
    agent.wait_for_row("both networks", &roamer, |row| is_on(row, &[&first, &second]))?;
    send(&roamer, &format!("{}:7", server.address(&second)?), 50, 20)?;
    let pair = agent.wait_for_pair(&roamer, &server, 50)?;
    ensure!(pair["network"]["name"] == *second.name, "{pair}");
    let both =
        agent.wait_for_row("what it sent", &roamer, |row| row["sent"]["packets"].as_u64() >= Some(50))?;
    roamer.disconnect(&second)?;
    let one = agent.wait_for_row("the first network alone", &roamer, |row| is_on(row, &[&first]))?;
    // What was counted at an interface that has gone stays counted.
    ensure!(one["sent"]["packets"].as_u64() >= both["sent"]["packets"].as_u64(), "{one} after {both}");
    let named = json!([first.name.as_str()]);
    ensure!(json!([one["networks"][0]["name"]]) == named, "{one}");
    agent.end()
}
