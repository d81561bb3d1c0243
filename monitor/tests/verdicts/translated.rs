//! Flows whose addresses the host changes are named at both ends, and show both tuples.

use crate::matrix::{Row, Rules};
use anyhow::{Result, ensure};
use lab::{Network, Outside, Running, Vethwatch};
use serde_json::{Value, json};
use std::time::Duration;

/// Starts `flows` and waits until it watches what there is on a network.
fn flows(row: &Row, network: &Network, towards: &str) -> Result<Running> {
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let mut running = vethwatch.start(&["flows", "--json", "--tick", "200ms"])?;
    running.wait_until_watching(&row.lab, network, towards)?;
    Ok(running)
}

/// The first flow at a container's interface that fits.
fn flow(running: &mut Running, container: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    running.wait_for("the flow", Duration::from_secs(20), |lines| {
        let here = |line: &&Value| line["type"] == "flow" && line["local"]["container"]["name"] == *container;
        lines.iter().filter(here).find(|line| fits(line)).cloned()
    })
}

#[test]
fn what_is_masqueraded_on_its_way_to_another_network_has_its_senders_name() -> Result<()> {
    let row = Row::new("masked")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut rules = Rules::new();
    for (from, to) in [(&nets[0], &nets[1]), (&nets[1], &nets[0])] {
        rules.insert("iptables", &format!("DOCKER-USER -i {} -o {} -j ACCEPT", from.bridge, to.bridge))?;
    }
    let (from, to, gateway) = (a.address(&nets[0])?, b.address(&nets[1])?, nets[1].gateway()?);
    let mut running = flows(&row, &nets[1], &to)?;
    a.exec(&["curl", "-sS", "-o", "/dev/null", &format!("http://{to}:80/")])?;
    let is_http = |line: &Value| line["local"]["port"] == 80 && line["remote"]["address"] == *gateway;
    let there = flow(&mut running, &b.name, |line| is_http(line) && line["remote"]["port"] != 80)?;
    ensure!(there["remote"]["container"]["name"] == *a.name, "{there}");
    let translated = &there["translated"];
    ensure!(translated["kind"] == "masquerade" && translated["evidence"] == "conntrack", "{there}");
    ensure!(translated["original"]["source"] == *from, "{there}");
    ensure!(translated["reply"]["destination"] == *gateway, "{there}");
    let verdict = json!({"rule": "cross-network", "expected": "deny", "outcome": "answered"});
    ensure!(there["verdict"] == verdict, "{there}");
    let here = flow(&mut running, &a.name, |line| line["remote"]["port"] == 80)?;
    ensure!(here["translated"] == *translated, "{here}");
    ensure!(here["remote"]["container"]["name"] == *b.name, "{here}");
    Ok(())
}

#[test]
fn a_published_port_shows_what_outside_asked_and_who_answers() -> Result<()> {
    let outside = Outside::new(&[])?;
    let row = Row::new("asked")?;
    let net = row.network("net", &[])?;
    let a = row.container("a", &net, &[])?;
    let b = row.server("b", &net, &["--publish", "80"])?;
    let port = b.published_port("80/tcp")?;
    let (to, gateway) = (b.address(&net)?, net.gateway()?);
    let mut running = flows(&row, &net, &to)?;
    outside.run(&["curl", "-sS", "-o", "/dev/null", &format!("http://{}:{port}/", outside.host)])?;
    let there = flow(&mut running, &b.name, |line| line["remote"]["address"] == *outside.address)?;
    let translated = &there["translated"];
    ensure!(translated["kind"] == "published-port" && translated["evidence"] == "conntrack", "{there}");
    let asked = &translated["original"];
    ensure!(asked["destination"] == *outside.host && asked["destination_port"] == port, "{there}");
    let answers = &translated["reply"];
    ensure!(answers["source"] == *to && answers["source_port"] == 80, "{there}");
    // From inside it is a process of the host that passes it on: two connections.
    a.exec(&["nc", "-z", "-w1", &gateway, &port.to_string()])?;
    let here = flow(&mut running, &a.name, |line| line["remote"]["port"] == port)?;
    ensure!(here["translated"]["kind"] == "proxy" && here["translated"]["evidence"] == "port-map", "{here}");
    ensure!(here["translated"].get("reply").is_none(), "{here}");
    Ok(())
}
