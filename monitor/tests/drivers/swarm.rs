//! Services of a swarm: their tasks on another node, their virtual addresses, the load balancer, encrypted networks.
//!
//! Part of the test of overlay networks, whose two nodes it uses.

use crate::agent::{Agent, PATIENCE};
use crate::overlay::address;
use anyhow::{Context, Result, ensure};
use lab::{Container, Engine, Swarm, wait_for};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const SERVICE: &str = "vw-rr";
const OF_VIRTUAL_IP: &str = "vw-vip";
const ENCRYPTED: &str = "vw-encrypted";

/// What tasks do: receive at port 7.
const RECEIVE: [&str; 4] = ["udp-receive", "7", "--idle", "1000s"];

/// Starts a service with a task on each node, each of which does this.
pub(crate) fn service(
    manager: &Engine,
    image: &str,
    [name, mode, network]: [&str; 3],
    program: &[&str],
) -> Result<()> {
    let words = ["service", "create", "--detach", "--no-resolve-image", "--name", name, "--network", network];
    let spread = ["--endpoint-mode", mode, "--replicas", "2", "--replicas-max-per-node", "1", image];
    manager.docker(&[&words[..], &spread, program].concat()).map(drop)
}

/// A service's task on a node, once it runs.
pub(crate) fn task(node: &Engine, service: &str) -> Result<Container> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let words = ["ps", "--no-trunc", "--filter", &filter, "--format", "{{.ID}} {{.Names}}"];
    wait_for("a task", PATIENCE, || {
        let listed = node.docker(&words)?;
        let found = listed.trim().split_once(' ');
        Ok(found.map(|(id, name)| Container { name: name.to_owned(), id: id.to_owned() }))
    })
}

/// The datagrams from one address to another, also those that crossed before it was told whose they are.
fn packets(agent: &Agent, client: &str, server: &str) -> Result<u64> {
    let pairs = agent.ask("pairs")?;
    let its = pairs.iter().filter(|pair| {
        pair["protocol"] == "udp"
            && pair["client"]["address"] == *client
            && pair["server"]["address"] == *server
    });
    Ok(its.filter_map(|pair| pair["sent"]["packets"].as_u64()).sum())
}

/// What is checked on a swarm's overlay network with `one` on the first node; each node has its agent.
pub(crate) fn check(
    swarm: &Swarm,
    [at_here, at_there]: [&Agent; 2],
    one: &Container,
    (network, image): (&str, &str),
) -> Result<()> {
    let [here, there] = &swarm.nodes;
    here.docker(&["network", "create", "--driver", "overlay", "--opt", "encrypted", ENCRYPTED])?;
    service(here, image, [SERVICE, "dnsrr", network], &RECEIVE)?;
    service(here, image, [OF_VIRTUAL_IP, "vip", network], &RECEIVE)?;
    let (near, far) = (task(here, SERVICE)?, task(there, SERVICE)?);
    // The resolver has both names before the agents know whose they are.
    let send = |count: &str| {
        here.docker(&["exec", &one.id, "/testbox", "udp-send", &format!("{SERVICE}:7"), "--count", count])
    };
    wait_for("the service's name", PATIENCE, || Ok(send("0").ok()))?;
    let before = |agent: &Agent| -> Result<bool> {
        let pairs = agent.ask("pairs")?;
        Ok(pairs.iter().any(|pair| pair["server"]["swarm"]["service"] == SERVICE))
    };
    ensure!(!before(at_here)?, "nothing was sent yet");

    named_by_tasks(at_here, one, &far, &send)?;
    let ends = [(here, one), (here, &near), (there, &far)];
    counted_on_both_nodes([at_here, at_there], ends, network, &send)?;
    virtual_ip(here, at_here, one, network)?;
    down_and_up(here, at_here, one, &send)?;
    of_the_swarm_itself(at_here)
}

/// Flows to a task on another node have the name that was asked for and the task, as soon as the swarm has told it.
fn named_by_tasks(
    agent: &Agent,
    one: &Container,
    far: &Container,
    send: &(impl Fn(&str) -> Result<String> + Sync),
) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                send("5")?;
            }
            anyhow::Ok(())
        });
        let found = wait_for("flows to the far task", PATIENCE, || {
            let flows = agent.flows_of(one)?;
            Ok(flows.into_iter().find(|flow| flow["remote"]["swarm"]["name"] == *far.name))
        });
        is_over.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        found
    })?;
    let remote = &found["remote"];
    let [_, other_node] = lab::NODE_ADDRESSES;
    let swarm = &remote["swarm"];
    ensure!(remote["name"] == SERVICE && remote["kind"] == "external", "{remote}");
    ensure!(swarm["kind"] == "task" && swarm["service"] == SERVICE, "{remote}");
    ensure!(swarm["node_address"] == other_node && swarm["network"] == found["network"], "{remote}");
    ensure!(found["verdict"]["rule"] == "same-network", "{found}");
    Ok(())
}

/// Both tasks get what was sent to the service by name, and both nodes say so: of the task on the other node too.
fn counted_on_both_nodes(
    [at_here, at_there]: [&Agent; 2],
    [one, near, far]: [(&Engine, &Container); 3],
    network: &str,
    send: &impl Fn(&str) -> Result<String>,
) -> Result<()> {
    // The resolver shuffles: that all go to one of two has a chance of one in a million.
    for _ in 0..20 {
        send("5")?;
    }
    let address = |(node, of): (&Engine, &Container)| address(node, of, network);
    let [from, to_near, to_far] = [address(one)?, address(near)?, address(far)?];
    let mut last = (0, 0, 0);
    let agreed = wait_for("both nodes to have counted the same", PATIENCE, || {
        let counted = |agent: &Agent, to: &str| packets(agent, &from, to);
        last = (counted(at_here, &to_near)?, counted(at_here, &to_far)?, counted(at_there, &to_far)?);
        Ok((last.0 > 0 && last.1 > 0 && last.1 == last.2).then_some(()))
    });
    agreed.with_context(|| format!("near, far, and far by its own node: {last:?}"))?;
    let row = at_here.row(near.1)?.context("the near task")?;
    ensure!(row["service"] == SERVICE, "{row}");
    Ok(())
}

/// A service's virtual address is known as one. Without IP_VS nobody answers for it, so its Ethernet address is made up.
fn virtual_ip(node: &Engine, agent: &Agent, one: &Container, network: &str) -> Result<()> {
    let inspect = |format: &str, what: &[&str]| node.docker(&[what, &["--format", format]].concat());
    let id = inspect("{{.Id}}", &["network", "inspect", network])?;
    let format = format!(
        "{{{{range .Endpoint.VirtualIPs}}}}{{{{if eq .NetworkID {:?}}}}}{{{{.Addr}}}}{{{{end}}}}{{{{end}}}}",
        id.trim()
    );
    let told = inspect(&format, &["service", "inspect", OF_VIRTUAL_IP])?;
    let (address, _) = told.trim().split_once('/').with_context(|| format!("no address: {told}"))?;
    let mut neighbour = inside(node, one)?;
    neighbour.args(["ip", "neighbour", "replace", address, "lladdr", "02:00:00:00:00:77", "dev", "eth0"]);
    let set = neighbour.status()?;
    ensure!(set.success(), "the neighbour could not be set");
    let to = format!("{address}:7");
    let mut sent = 0;
    let pair = wait_for("a pair with the virtual address", PATIENCE, || {
        node.docker(&["exec", &one.id, "/testbox", "udp-send", &to, "--count", "3"])?;
        sent += 3;
        let pairs = agent.ask("pairs")?;
        Ok(pairs.into_iter().find(|pair| pair["server"]["swarm"]["kind"] == "virtual-ip"))
    })?;
    let server = &pair["server"];
    ensure!(server["address"] == *address && server["swarm"]["service"] == OF_VIRTUAL_IP, "{pair}");
    ensure!(pair["sent"]["packets"].as_u64() <= Some(sent), "{pair}");
    Ok(())
}

/// A device that goes down and comes up again is the same one: what it counted is not taken for what was there before.
fn down_and_up(
    node: &Engine,
    agent: &Agent,
    one: &Container,
    send: &impl Fn(&str) -> Result<String>,
) -> Result<()> {
    let before = agent.row(one)?.context("the container")?["before_watch"].clone();
    let set = |state: &str| {
        let mut link = inside(node, one)?;
        let set = link.args(["ip", "link", "set", "eth0", state]).status()?;
        ensure!(set.success(), "eth0 could not be set {state}");
        Ok(())
    };
    let ticks_pass = || {
        let time = || -> Result<Value> {
            let told = agent.ask("containers")?;
            let status = told.into_iter().find(|line| line["type"] == "status").context("a status")?;
            Ok(status["time"].clone())
        };
        // It is looked into once a tick.
        for _ in 0..3 {
            let now = time()?;
            wait_for("another tick", PATIENCE, || Ok((time()? != now).then_some(())))?;
        }
        anyhow::Ok(())
    };
    set("down")?;
    ticks_pass()?;
    set("up")?;
    ticks_pass()?;
    send("5")?;
    let row = agent.row(one)?.context("the container")?;
    ensure!(row["before_watch"] == before, "{before} before, then {}", row["before_watch"]);
    Ok(())
}

/// `nsenter` into a container's network namespace.
fn inside(node: &Engine, of: &Container) -> Result<Command> {
    let pid = node.docker(&["inspect", "--format", "{{.State.Pid}}", &of.id])?;
    let mut nsenter = Command::new("nsenter");
    nsenter.arg(format!("--net=/proc/{}/ns/net", pid.trim()));
    Ok(nsenter)
}

/// What the swarm has for itself: the ingress network, its load balancer's device, and that a network is encrypted.
fn of_the_swarm_itself(agent: &Agent) -> Result<()> {
    let networks = agent.ask("networks")?;
    let overlay = |name: &str| {
        networks.iter().find(|row| row["name"] == name).map_or(Value::Null, |row| row["overlay"].clone())
    };
    let (ingress, encrypted) = (overlay("ingress"), overlay(ENCRYPTED));
    ensure!(ingress["ingress"] == true && ingress["encrypted"] == false, "{ingress}");
    ensure!(encrypted["encrypted"] == true && encrypted["ingress"] == false, "{encrypted}");
    let mut told = Vec::new();
    let named = wait_for("the load balancer's device", PATIENCE, || {
        told = agent.ask("containers")?;
        let status = told.iter().find(|line| line["type"] == "status");
        let unattributed = status.and_then(|status| status["unattributed"].as_array());
        let reasons: Vec<&Value> = unattributed.into_iter().flatten().map(|row| &row["reason"]).collect();
        Ok((reasons == [&json!("swarm_load_balancer")]).then_some(()))
    });
    named.with_context(|| format!("{told:#?}"))
}
