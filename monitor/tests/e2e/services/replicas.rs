//! Four replicas of a service, one of which serves nobody.

use crate::rig::{Agent, PATIENCE, connect};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, image, wait_for};
use serde_json::Value;

#[test]
fn what_each_replica_is_asked_is_what_the_client_counted_and_a_silent_one_is_found() -> Result<()> {
    let lab = Lab::new("replicas")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let client = lab
        .container("client")
        .image(&debian)
        .on(&network)
        .compose("lab", "client")
        .run(&["sleep", "600"])?;
    // The third serves another port than the one that it is asked for.
    let replicas: Vec<Container> = ["80", "80", "81", "80", "80"]
        .iter()
        .enumerate()
        .map(|(number, port)| {
            let spec = lab.container(&format!("web-{number}")).on(&network).compose("lab", "web");
            spec.options(&["--network-alias", "web"]).run(&["sink", port])
        })
        .collect::<Result<_>>()?;
    for replica in &replicas {
        wait_for("a replica", PATIENCE, || Ok(replica.logs()?.contains("accepting").then_some(())))?;
    }
    let all: Vec<&Container> = replicas.iter().chain([&client]).collect();
    let agent = Agent::watching("replicas", &all)?;
    let mut found = agent.start(&["violations", "--kind", "broken"])?;
    // The alias leads to all of them; the last one is not asked.
    let named = client.exec(&["getent", "ahostsv4", "web"])?;
    let mut addresses = Vec::new();
    for replica in &replicas {
        let address = replica.address(&network)?;
        ensure!(named.contains(&address), "{address} is not one of {named}");
        addresses.push(address);
    }
    let wanted: Vec<(&str, u16, usize)> =
        addresses.iter().zip([5, 10, 15, 20]).map(|(address, count)| (address.as_str(), 80, count)).collect();
    let connections = connect(&client, &wanted)?;
    let counted = |address: &str| {
        let those = || connections.iter().filter(|(to, _)| to == address);
        (those().count(), those().filter(|(_, took)| took.is_some()).count())
    };
    let service = wait_for("all connections", PATIENCE, || {
        let told = agent.ask(&["services", "web"])?;
        let service = told.iter().find(|row| row["type"] == "service" && row["port"] == 80).cloned();
        Ok(service.filter(|row| row["connections"] == connections.len()))
    })?;
    for (replica, address) in replicas.iter().zip(&addresses) {
        let row = of(&service, replica)?;
        let (asked, answered) = counted(address);
        ensure!(row["connections"] == asked && row["answered"] == answered, "{asked} {answered}: {row}");
        ensure!(row["refused"] == asked - answered && row["unanswered"] == 0, "{row}");
        ensure!(row["gets_none"] == (asked == 0), "{row}");
        ensure!(asked == 0 || row["clients"] == serde_json::json!(["lab/client"]), "{row}");
    }
    ensure!(counted(&addresses[2]) == (15, 0), "the third refuses: {connections:?}");

    let finding = found.wait_for("the finding", PATIENCE, |lines| {
        lines.iter().find(|line| line["rule"] == "silent-replica").cloned()
    })?;
    ensure!(finding["kind"] == "broken" && finding["outcome"] == "delivered", "{finding}");
    ensure!(finding["destination"]["container"]["id"] == *replicas[2].id, "{finding}");
    ensure!(finding["source"]["container"]["id"] == *client.id, "{finding}");
    ensure!(finding["ports"] == serde_json::json!([80]), "{finding}");
    // It follows for as long as the agent is there.
    drop(found);
    agent.end()?;
    lab.close()
}

fn of<'a>(service: &'a Value, replica: &Container) -> Result<&'a Value> {
    let replicas = service["replicas"].as_array().context("replicas")?;
    replicas
        .iter()
        .find(|row| row["container"]["id"] == *replica.id)
        .with_context(|| format!("no {}", replica.id))
}
