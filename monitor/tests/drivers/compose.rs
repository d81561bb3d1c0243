//! A project of Compose: replicas, a profile, a network from outside of it.

use crate::agent::{Agent, PATIENCE, is_watched};
use anyhow::{Context, Result, ensure};
use lab::{LABEL, Lab, docker, image, wait_for};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long Compose may take for several containers.
const COMPOSE: Duration = Duration::from_secs(180);
/// How often the client asks.
const COUNT: u64 = 30;

/// A project with its file; both are gone when dropped, what it made with the lab.
struct Project {
    name: String,
    file: PathBuf,
}

impl Project {
    fn new(lab: &Lab, image: &str, outside: &str) -> Result<Self> {
        let name = lab.prefix().to_owned();
        let file = std::env::temp_dir().join(format!("{name}.yml"));
        let ours = format!("labels: {{ {LABEL}: {name} }}");
        let usual = format!("image: {image}\n    {ours}\n    stop_grace_period: 0s");
        let text = format!(
            "version: '2.4'
services:
  web:
    {usual}
    command: serve-http 80
    networks: [front, outside]
  asker:
    {usual}
    command: sleep
    networks: [front]
  probe:
    {usual}
    command: sleep
    profiles: [debug]
    networks: [front]
networks:
  front: {{ {ours} }}
  outside: {{ external: true, name: {outside} }}
"
        );
        fs::write(&file, text).context("writing the project")?;
        Ok(Self { name, file })
    }

    fn compose(&self, words: &[&str]) -> Result<()> {
        let mut compose = Command::new("docker-compose");
        compose.arg("--file").arg(&self.file).args(["--project-name", &self.name]).args(words);
        lab::text(&mut compose, COMPOSE).map(drop)
    }

    /// The containers of a service, as they are told.
    fn of(&self, agent: &Agent, service: &str) -> Result<Vec<Value>> {
        let mut rows = agent.ask("containers")?;
        rows.retain(|row| row["project"] == *self.name && row["service"] == service);
        Ok(rows)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn networks(row: &Value) -> Vec<&str> {
    let networks = row["networks"].as_array().into_iter().flatten();
    networks.filter_map(|network| network["name"].as_str()).collect()
}

/// A figure of all replicas.
fn sum(rows: &[Value], direction: &str, figure: &str) -> u64 {
    rows.iter().filter_map(|row| row[direction][figure].as_u64()).sum()
}

#[test]
fn a_project_has_its_replicas_profiles_and_networks_from_outside() -> Result<()> {
    let lab = Lab::new("compose")?;
    let outside = lab.network("outside", &[])?;
    let project = Project::new(&lab, &image::ready(image::TESTBOX)?, &outside.name)?;
    let agent = Agent::start("compose")?;
    project.compose(&["up", "--detach", "--scale", "web=3", "--scale", "asker=0"])?;
    let front = format!("{}_front", project.name);
    wait_for("three replicas", PATIENCE, || {
        let web = project.of(&agent, "web")?;
        let on_both = |row: &Value| {
            let names = networks(row);
            is_watched(row) && names.contains(&front.as_str()) && names.contains(&outside.name.as_str())
        };
        Ok((web.len() == 3 && web.iter().all(on_both)).then_some(()))
    })?;
    ensure!(project.of(&agent, "probe")?.is_empty(), "its profile is not asked for");
    project.compose(&["--profile", "debug", "up", "--detach", "--scale", "web=3", "--scale", "asker=1"])?;
    wait_for("the profile's container", PATIENCE, || {
        Ok(project.of(&agent, "probe")?.iter().any(is_watched).then_some(()))
    })?;
    // It asks when it is watched and known: what comes before is counted otherwise.
    let asker = wait_for("the client to be watched", PATIENCE, || {
        let rows = project.of(&agent, "asker")?;
        Ok(rows.iter().find(|row| is_watched(row)).and_then(|row| row["id"].as_str().map(str::to_owned)))
    })?;
    let count = COUNT.to_string();
    let get = ["get", "http://web/", "--count", &count, "--every", "20ms", "--timeout", "30s"];
    let said = docker(&[&["exec", &asker, "/testbox"], &get[..]].concat())?;
    ensure!(said.contains(&format!("{COUNT} of {COUNT} answered")), "{said}");
    // What the client's service sent is what the replicas of the other got, and the other way round.
    let mut last = String::new();
    let totals = wait_for("equal totals of both services", PATIENCE, || {
        let told = agent.ask("services")?;
        let service = told
            .iter()
            .find(|row| row["service"]["service"] == "web" && row["service"]["project"] == *project.name);
        let connections = service.map_or(0, |row| row["connections"].as_u64().unwrap_or_default());
        let replicas = service.and_then(|row| row["replicas"].as_array()).cloned().unwrap_or_default();
        let pairs = agent.ask("pairs")?;
        let is = |end: &Value, service: &str| {
            end["container"]["service"] == service && end["container"]["project"] == *project.name
        };
        let between: Vec<Value> = pairs
            .into_iter()
            .filter(|pair| is(&pair["client"], "asker") && is(&pair["server"], "web"))
            .collect();
        let web = project.of(&agent, "web")?;
        let exact = web.len() == 3 && web.iter().all(|row| row["unaccounted_bytes"] == 0);
        let conversations: u64 = between.iter().filter_map(|pair| pair["conversations"].as_u64()).sum();
        let all = connections == COUNT && conversations == COUNT;
        let there = ["sent", "received"].map(|way| sum(&between, way, "bytes"));
        let here = ["received", "sent"].map(|way| sum(&replicas, way, "bytes"));
        last =
            format!("{connections} connections, {conversations} conversations, {there:?} {here:?}: {web:#?}");
        Ok((all && exact && there == here && there[0] > 0).then_some(()))
    });
    totals.context(last)?;
    project.compose(&["up", "--detach", "--scale", "web=1", "--scale", "asker=1"])?;
    wait_for("one replica", PATIENCE, || {
        let running = |row: &&Value| row["state"] == "running";
        Ok((project.of(&agent, "web")?.iter().filter(running).count() == 1).then_some(()))
    })?;
    agent.end()?;
    lab.close()
}
