//! A link between two nodes that takes less than the overlay network's devices need: whose sender is told so and obeys, and whose
//! firewall drops that.
//!
//! Part of the test of overlay networks, whose two nodes it uses.

use crate::agent::{Agent, PATIENCE};
use crate::heard::{errors, unreachable};
use crate::overlay::address;
use anyhow::{Result, ensure};
use lab::{Container, Swarm, text, wait_for};
use serde_json::Value;
use std::process::Command;

/// What the link takes, and what is left of that within VXLAN over IPv4.
const LINK_MTU: u16 = 1_400;
const MTU: u64 = 1_350;
/// What the link takes as a rule.
const USUAL_MTU: u16 = 1_500;
/// Bytes of an answer.
const ANSWER: u64 = 300_000;

/// What is checked on a swarm's overlay network with `one` on the first node; each node has its agent.
pub(crate) fn check(
    swarm: &Swarm,
    at_there: &Agent,
    one: &Container,
    (network, image): (&str, &str),
) -> Result<()> {
    let [here, there] = &swarm.nodes;
    let to = address(here, one, network)?;
    // Each has a kernel of its own, which remembers what fits.
    let server = |name: &str, port: &str| -> Result<(Container, u32, String)> {
        let words = ["run", "--detach", "--pull", "never", "--name", name, "--network", network, image];
        let id = there.docker(&[&words[..], &["serve-http", port]].concat())?;
        let server = Container { name: name.to_owned(), id: id.trim().to_owned() };
        at_there.wait_for_row("a server", &server, |row| {
            let mut on = row["networks"].as_array().into_iter().flatten();
            on.any(|it| it["interface"].is_string() && it["name"] == *network)
        })?;
        let pid = there.docker(&["inspect", "--format", "{{.State.Pid}}", &server.id])?.trim().parse()?;
        let url = format!("http://{}:{port}/bytes/{ANSWER}", address(there, &server, network)?);
        Ok((server, pid, url))
    };
    let get = |url: &str| here.docker(&["exec", &one.id, "/testbox", "get", url, "--timeout", "15s"]);
    let (obeys, deaf) = (server("vw-obeys", "8001")?, server("vw-deaf", "8002")?);
    let found = at_there.start_asking(&["violations", "--kind", "broken"])?;
    swarm.set_mtu(LINK_MTU)?;

    let (_, pid, url) = obeys;
    let came = get(&url)?;
    ensure!(!came.contains("failed"), "it was to arrive: {came}");
    let row = errors(at_there, || unreachable(pid), 8_001)?;
    let error = &row["icmp_errors"][0];
    ensure!(error["mtu"] == MTU && error["packets_of"] == "server" && row["wrong_mtu"] == false, "{row}");

    let (server, pid, url) = deaf;
    let drop_errors =
        ["iptables", "-A", "INPUT", "-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];
    text(Command::new("nsenter").arg(format!("--net=/proc/{pid}/ns/net")).args(drop_errors), PATIENCE)?;
    // One that hangs fails.
    let came = get(&url);
    ensure!(came.is_err(), "it came though nobody was told that it does not fit: {came:?}");
    let is_it = |line: &Value| line["rule"] == "wrong-mtu" && line["state"] == "open";
    let finding = wait_for("the finding", PATIENCE, || Ok(found.lines("finding").into_iter().find(is_it)))?;
    ensure!(
        finding["source"]["container"]["id"] == *server.id && finding["outcome"] == "blocked",
        "{finding}"
    );
    ensure!(
        finding["destination"]["address"] == *to && finding["ports"] == serde_json::json!([8_002]),
        "{finding}"
    );
    ensure!(finding["destination"]["swarm"]["name"] == *one.name, "{finding}");
    ensure!(finding["evidence"].to_string().contains(&MTU.to_string()), "{finding}");
    swarm.set_mtu(USUAL_MTU)
}
