//! What has no interface on the host, and how that is said.

use crate::agent::{Agent, is_watched, vethwatch};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab};
use serde_json::Value;
use std::process::Command;

fn ip(words: &str) -> Result<()> {
    let status = Command::new("ip").args(words.split(' ')).status().context("running ip")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

/// `ip`, in the namespace of a container.
fn ip_in(container: &Container, words: &str) -> Result<()> {
    let target = format!("--net=/proc/{}/ns/net", container.pid()?);
    let status = Command::new("nsenter").args([target.as_str(), "ip"]).args(words.split(' ')).status()?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

#[test]
fn a_container_without_a_network_is_told_so_and_watched_when_somebody_gives_it_a_device() -> Result<()> {
    let lab = Lab::new("none")?;
    let net = lab.network("net", &["--subnet", "198.18.89.0/24", "--gateway", "198.18.89.1"])?;
    let alone = lab.container("alone").options(&["--network", "none"]).run(&["sleep"])?;
    let agent = Agent::start("none")?;
    let row = agent.wait_for_row("the container", &alone, |row| row["not_watched_reason"].is_string())?;
    ensure!(!is_watched(&row) && row["not_watched_reason"] == "it has no network", "{row}");

    let device = format!("vwn{}", std::process::id() % 1_000_000);
    ip(&format!("link add {device} type veth peer name {device}p"))?;
    ip(&format!("link set {device}p netns {}", alone.pid()?))?;
    ip(&format!("link set {device} master {} up", net.bridge))?;
    ip_in(&alone, &format!("addr add 198.18.89.77/24 dev {device}p"))?;
    ip_in(&alone, &format!("link set {device}p up"))?;
    agent.wait_for_row("the device to be watched", &alone, is_watched)?;
    alone.exec(&["/testbox", "udp-send", "198.18.89.1:9", "--count", "25"])?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64() >= Some(25) && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("what it sent there", &alone, sent)?;
    agent.end()
}

#[test]
fn a_container_on_a_macvlan_network_is_counted_among_those_that_are_not_watched() -> Result<()> {
    let lab = Lab::new("macvlan")?;
    let parent = lab.network("parent", &[])?;
    let option = format!("parent={}", parent.bridge);
    let lan = lab.network("lan", &["--driver", "macvlan", "--opt", &option, "--subnet", "198.18.78.0/24"]);
    let camera = match lan.and_then(|lan| lab.container("camera").on(&lan).run(&["sleep"])) {
        Ok(camera) => camera,
        Err(error) => {
            eprintln!("skipped: no macvlan network here: {error:#}");
            return Ok(());
        }
    };
    let agent = Agent::start("macvlan")?;
    let reason =
        |row: &Value| row["not_watched_reason"].as_str().unwrap_or_default().starts_with("a macvlan network");
    let row = agent.wait_for_row("why it is not watched", &camera, reason)?;
    ensure!(!is_watched(&row) && row.get("sent").is_none(), "{row}");
    let lines = agent.ask("containers")?;
    let status = lines.iter().find(|line| line["type"] == "status").context("a status")?;
    let listed = status["containers_not_watched"].as_array().into_iter().flatten();
    ensure!(listed.clone().any(|it| it["id"] == *camera.id), "{status}");
    let missing = status["missing"]["containers"].as_str().context("that something is missing")?;
    ensure!(missing.contains(&format!("{} (macvlan)", camera.name)), "{missing}");
    agent.end()?;
    let doctor = vethwatch().json(&["doctor", "--json"])?;
    let told = doctor.iter().find(|line| line["subject"] == "drivers").context("a line of doctor")?;
    ensure!(told["result"] == "limited" && told["found"].to_string().contains(&camera.name), "{told}");
    Ok(())
}
