//! A service in the mode `dnsrr` with a task on each of two nodes: who asked it, how that went and how long it took, as each node's
//! agent tells it.
//!
//! Part of the test of overlay networks, whose two nodes it uses.

use crate::agent::{Agent, PATIENCE, vethwatch};
use crate::swarm::{service, task};
use anyhow::{Context, Result, ensure};
use lab::{Container, Engine, Swarm, wait_for};
use serde_json::Value;

const SERVICE: &str = "vw-web";
/// That one serves at port 80, and nobody at this.
const CLOSED: u16 = 81;

/// Ticks of the agents, of 200 ms, within which a connection is told: two seconds for its name, and those that are on their way.
const TOLD: u64 = 15;

/// A task of the service, and the agent of its node.
struct Task<'a> {
    of: Container,
    node: &'a Engine,
    agent: &'a Agent,
}

/// What is checked on a swarm's overlay network with `one` on the first node; each node has its agent.
pub(crate) fn check(
    swarm: &Swarm,
    [at_here, at_there]: [&Agent; 2],
    one: &Container,
    (network, image): (&str, &str),
) -> Result<()> {
    let [here, there] = &swarm.nodes;
    service(here, image, [SERVICE, "dnsrr", network], &["serve-http", "80"])?;
    let near = Task { of: task(here, SERVICE)?, node: here, agent: at_here };
    let far = Task { of: task(there, SERVICE)?, node: there, agent: at_there };
    let ask = |port: u16, count: u64| {
        let (url, count) = (format!("http://{SERVICE}:{port}/"), count.to_string());
        here.docker(&["exec", &one.id, "/testbox", "get", &url, "--count", &count, "--every", "1ms"])
    };
    // What came before both agents had been told the other node's names is not of the service.
    wait_for("both tasks to be known to both agents", PATIENCE, || {
        drop(ask(80, 5));
        let knows = |agent: &Agent, client: &str, server: &Task<'_>| -> Result<bool> {
            let pairs = agent.ask("pairs")?;
            Ok(pairs.iter().any(|pair| {
                let names = |end: &str, name: &str| {
                    pair[end]["swarm"]["name"] == *name || pair[end]["container"]["name"] == *name
                };
                pair["server"]["port"] == 80 && names("client", client) && names("server", &server.of.name)
            }))
        };
        let all = knows(at_here, &one.name, &near)?
            && knows(at_here, &one.name, &far)?
            && knows(at_there, &one.name, &far)?;
        Ok(all.then_some(()))
    })?;
    let tasks = [near, far];
    by_name(here, &tasks, one)?;
    spread(&tasks, one, &ask)?;
    refused(&tasks, one, &ask)
}

/// `why` finds the task on the other node by its name, and the one of this node by the service's.
fn by_name(here: &Engine, tasks: &[Task<'_>; 2], one: &Container) -> Result<()> {
    let [near, far] = tasks;
    let program = vethwatch().within(&here.namespace).with("DOCKER_HOST", &here.host());
    let ask = |name: &str| -> Result<Value> {
        let told = program.json(&["why", &one.name, &format!("{name}:80"), "--for", "1s", "--json"])?;
        told.into_iter().next().context("an answer")
    };
    let by_task = ask(&far.of.name)?;
    let [_, other_node] = lab::NODE_ADDRESSES;
    ensure!(
        by_task["to"]["kind"] == "external"
            && by_task["ways"][0]["rule"] == "same-network"
            && by_task["notes"][0].to_string().contains(&format!("is on node {other_node}")),
        "{by_task}"
    );
    let by_service = ask(SERVICE)?;
    ensure!(
        by_service["to"]["container"]["id"] == *near.of.id
            && by_service["notes"][0].to_string().contains("others are"),
        "{by_service}"
    );
    Ok(())
}

/// Both replicas of the service are told, each with as many connections as its own kernel accepted; how long they took, on both
/// nodes.
fn spread(tasks: &[Task<'_>; 2], one: &Container, ask: &impl Fn(u16, u64) -> Result<String>) -> Result<()> {
    let [near, far] = tasks;
    // What was asked until now is told.
    near.agent.wait_for_ticks(TOLD)?;
    far.agent.wait_for_ticks(TOLD)?;
    let before = (connections(near.agent, tasks)?, accepted(tasks)?, timed(tasks, one)?);
    // The resolver shuffles: that all go to one of two has a chance of one in a million.
    for _ in 0..20 {
        ask(80, 2)?;
    }
    let after = accepted(tasks)?;
    let more = [after[0] - before.1[0], after[1] - before.1[1]];
    ensure!(more[0] > 0 && more[1] > 0 && more[0] + more[1] == 40, "{more:?}");
    let mut last = None;
    let agreed = wait_for("the connections to both tasks", PATIENCE, || {
        let (told, took) = (connections(near.agent, tasks)?, timed(tasks, one)?);
        let grown = [told[0] - before.0[0], told[1] - before.0[1]];
        let timed = [took[0] - before.2[0], took[1] - before.2[1]];
        last = Some((grown, timed));
        // The far node's agent sees those of its own task alone.
        Ok((grown == more && timed == [40, more[1]]).then_some(()))
    });
    agreed.with_context(|| format!("accepted {more:?}, told and timed {last:?}"))?;
    let rows = services(near.agent)?;
    let replica = of(&rows, &far.of)?;
    let [_, other_node] = lab::NODE_ADDRESSES;
    ensure!(
        replica["swarm"]["node_address"] == other_node && replica.get("container").is_none(),
        "{replica}"
    );
    ensure!(replica["answered"] == replica["connections"] && replica["gets_none"] == false, "{replica}");
    ensure!(rows[0]["service"]["kind"] == "service" && rows[0]["service"]["service"] == SERVICE, "{rows:#?}");
    let at_far = services(far.agent)?;
    let own = of(&at_far, &far.of)?;
    ensure!(
        own["container"]["id"] == *far.of.id && own["clients"][0].to_string().contains("vw-one"),
        "{own}"
    );
    Ok(())
}

/// Connections that were refused are between the client and the service on both nodes.
fn refused(tasks: &[Task<'_>; 2], one: &Container, ask: &impl Fn(u16, u64) -> Result<String>) -> Result<()> {
    let [near, far] = tasks;
    for _ in 0..20 {
        // Nobody listens: that is an error of the client's.
        ensure!(ask(CLOSED, 1).is_err(), "somebody listens");
    }
    let mut last = None;
    let agreed = wait_for("all that were refused", PATIENCE, || {
        let of = |agent: &Agent, kind: &str| -> Result<u64> {
            let rows = agent.ask("failures")?;
            let its = rows.iter().filter(|row| {
                row["server"]["service"] == SERVICE
                    && row["port"] == CLOSED
                    && row["client"]["kind"] == kind
                    && row["client"]["container"] == *one.name
            });
            Ok(its.filter_map(|row| row["refused"].as_u64()).sum())
        };
        let told = (of(near.agent, "container")?, of(far.agent, "swarm-container")?);
        last = Some(told);
        Ok((told.0 == 20 && (1..20).contains(&told.1)).then_some(()))
    });
    agreed.with_context(|| format!("{last:?} {:#?}", near.agent.ask("failures")))
}

/// The lines of the service at port 80.
fn services(agent: &Agent) -> Result<Vec<Value>> {
    let rows = agent.ask("services")?;
    Ok(rows.into_iter().filter(|row| row["service"]["service"] == SERVICE && row["port"] == 80).collect())
}

/// A task's part of its service's only line.
fn of<'a>(rows: &'a [Value], task: &Container) -> Result<&'a Value> {
    let [row] = rows else { anyhow::bail!("not one line: {rows:#?}") };
    let mut replicas = row["replicas"].as_array().context("replicas")?.iter();
    let is_it = |replica: &&Value| {
        replica["container"]["name"] == *task.name || replica["swarm"]["name"] == *task.name
    };
    replicas.find(is_it).with_context(|| format!("no {} in {row}", task.name))
}

/// Connections to each task, as an agent tells them.
fn connections(agent: &Agent, tasks: &[Task<'_>; 2]) -> Result<[u64; 2]> {
    let rows = services(agent)?;
    let count = |task: &Task<'_>| of(&rows, &task.of)?["connections"].as_u64().context("a count");
    Ok([count(&tasks[0])?, count(&tasks[1])?])
}

/// Connections that each task's own kernel accepted.
fn accepted(tasks: &[Task<'_>; 2]) -> Result<[u64; 2]> {
    let count = |task: &Task<'_>| -> Result<u64> {
        let pid = task.node.docker(&["inspect", "--format", "{{.State.Pid}}", &task.of.id])?;
        let told = std::fs::read_to_string(format!("/proc/{}/net/snmp", pid.trim()))?;
        let mut lines = told.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
        let mut both = names.split(' ').zip(values.split(' '));
        let (_, count) = both.find(|(name, _)| *name == "PassiveOpens").context("PassiveOpens")?;
        count.parse().context("a number")
    };
    Ok([count(&tasks[0])?, count(&tasks[1])?])
}

/// Handshakes of the client with the service that were timed: at the client by the one agent, at the far task by the other.
fn timed(tasks: &[Task<'_>; 2], one: &Container) -> Result<[u64; 2]> {
    let count = |agent: &Agent, seen_at: &str| -> Result<u64> {
        let rows = agent.ask("latency")?;
        let its = rows.iter().filter(|row| {
            row["server"]["service"] == SERVICE
                && row["port"] == 80
                && row["client"]["container"] == *one.name
        });
        Ok(its.filter_map(|row| row[seen_at]["count"].as_u64()).sum())
    };
    Ok([count(tasks[0].agent, "at_client")?, count(tasks[1].agent, "at_server")?])
}
