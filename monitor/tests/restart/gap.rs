//! What happens while there is no agent, and is told after.

use crate::rig::{Agent, Agents, PATIENCE};
use anyhow::{Result, ensure};
use lab::{Container, Lab, Network};
use serde_json::Value;

const DATAGRAMS: u64 = 300;

fn send(from: &Container, to: &str, port: u16, count: u64) -> Result<()> {
    let (to, count) = (format!("{to}:{port}"), count.to_string());
    from.exec(&["/testbox", "udp-send", &to, "--count", &count, "--rate", "3000"]).map(drop)
}

/// What was told of datagrams to a port at their sender: how many records, how many packets.
fn told(flows: &[&Value], sender: &Container, port: u16) -> (usize, u64) {
    let of_it: Vec<u64> = flows
        .iter()
        .filter(|flow| flow["local"]["container"]["id"] == *sender.id && flow["remote"]["port"] == port)
        .filter_map(|flow| flow["sent"]["packets"].as_u64())
        .collect();
    (of_it.len(), of_it.iter().sum())
}

/// Until the owners of all these are known, which is what the next agent is to know.
fn wait_until_named(agent: &Agent, all: &[&Container]) -> Result<()> {
    all.iter().try_for_each(|container| agent.must_be_exact(container))
}

/// An agent, and then two containers: nothing of theirs crosses before the watch.
fn stage(name: &str, options: &[&str]) -> Result<(Agents, Agent, Lab, Network, [Container; 2])> {
    let lab = Lab::new(name)?;
    let network = lab.network("net", &[])?;
    let agents = Agents::new(name, options)?;
    let agent = agents.start(&[])?;
    let a = lab.container("a").on(&network).run(&["sleep"])?;
    let b = lab.container("b").on(&network).run(&["sleep"])?;
    Ok((agents, agent, lab, network, [a, b]))
}

#[test]
fn flows_of_the_gap_are_told_once_and_named_even_if_their_container_is_gone() -> Result<()> {
    for attach in ["tcx", "clsact"] {
        let (mut agents, agent, lab, network, [a, b]) = stage("restart-gap", &["--attach", attach])?;
        let dies = lab.container("dies").on(&network).run(&["sleep"])?;
        let to = b.address(&network)?;
        wait_until_named(&agent, &[&a, &b, &dies])?;
        send(&a, &to, 4_001, DATAGRAMS)?;
        agent.wait_for_equal(&a, &network)?;
        agents.kill(agent)?;
        send(&a, &to, 4_002, DATAGRAMS)?;
        send(&dies, &to, 4_003, DATAGRAMS)?;
        let dead = (dies.id.clone(), dies.name.clone());
        dies.remove()?;
        let agent = agents.start(&[])?;
        for container in [&a, &b] {
            agent.wait_for_equal(container, &network)?;
        }
        // A generation later all is told.
        send(&a, &to, 4_004, DATAGRAMS)?;
        agent.wait_for_equal(&a, &network)?;
        agents.stop(agent)?;
        let flows = agents.flows()?;
        for port in [4_001, 4_002, 4_004] {
            let (_, packets) = told(&flows, &a, port);
            ensure!(packets == DATAGRAMS, "{attach}, port {port}: {packets} packets were told");
        }
        ensure!(told(&flows, &a, 4_002).0 == 1, "the gap is one generation");
        let of_dead: Vec<_> = flows
            .iter()
            .filter(|flow| flow["remote"]["port"] == 4_003 && flow["sent"]["packets"] == DATAGRAMS)
            .map(|flow| {
                (flow["local"]["container"]["id"].clone(), flow["local"]["container"]["name"].clone())
            })
            .collect();
        ensure!(of_dead == [(dead.0.into(), dead.1.into())], "{attach}: {of_dead:?}");
        lab.close()?;
    }
    Ok(())
}

#[test]
fn a_violation_of_the_gap_is_found_after_it() -> Result<()> {
    let (mut agents, agent, lab, network, [a, b]) = stage("restart-finding", &[])?;
    let (to, mac) = (b.address(&network)?, b.mac(&network)?);
    wait_until_named(&agent, &[&a, &b])?;
    agents.kill(agent)?;
    let forged = ["/testbox", "send-frames", "--from", "192.0.2.9", "--to", &to, "--destination-mac", &mac];
    a.exec(&[&forged[..], &["--count", "50", "--port", "4001"]].concat())?;
    let mut agent = agents.start(&[])?;
    let found = agent.running.wait_for("the finding", PATIENCE, |lines| {
        let of_it = |line: &&Value| line["type"] == "finding" && line["rule"] == "spoofed-source";
        lines.iter().find(|line| of_it(line) && line["outcome"] == "delivered").cloned()
    })?;
    ensure!(found["source"]["container"]["id"] == *a.id, "{found}");
    agents.stop(agent)?;
    drop(agents);
    lab.close()
}

#[test]
fn maps_of_another_size_give_their_totals_to_the_next_ones() -> Result<()> {
    // The second change finds totals that were taken over before.
    for (attach, sizes) in [("tcx", &["1024", "2048"][..]), ("clsact", &["1024"])] {
        let (mut agents, mut agent, lab, network, [a, b]) = stage("restart-layout", &["--attach", attach])?;
        let to = b.address(&network)?;
        wait_until_named(&agent, &[&a, &b])?;
        for flows in sizes {
            send(&a, &to, 4_001, DATAGRAMS)?;
            agents.kill(agent)?;
            send(&a, &to, 4_002, DATAGRAMS)?;
            agent = agents.start(&["--max-flows", flows])?;
            agent.wait_for_loss("gaps_without_agent", 1)?;
            ensure!(agent.lost("interfaces_not_adopted")? == 0, "{}", agent.running.errors());
            for container in [&a, &b] {
                agent.wait_for_equal(container, &network)?;
                agent.must_be_exact(container)?;
            }
        }
        agents.stop(agent)?;
        agents.flows()?;
        drop(agents);
        lab.close()?;
    }
    Ok(())
}
