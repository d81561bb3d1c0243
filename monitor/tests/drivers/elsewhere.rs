//! Containers without a network, and devices that somebody moves in.

use crate::agent::{Agent, is_watched};
use anyhow::{Context, Result, ensure};
use lab::Lab;
use serde_json::Value;
use std::process::Command;

pub(crate) fn ip(words: &str) -> Result<()> {
    let status = Command::new("ip").args(words.split(' ')).status().context("running ip")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

/// `ip`, in the network namespace of a process.
pub(crate) fn ip_in(pid: u32, words: &str) -> Result<()> {
    let target = format!("--net=/proc/{pid}/ns/net");
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
    ip_in(alone.pid()?, &format!("addr add 198.18.89.77/24 dev {device}p"))?;
    ip_in(alone.pid()?, &format!("link set {device}p up"))?;
    agent.wait_for_row("the device to be watched", &alone, is_watched)?;
    alone.exec(&["/testbox", "udp-send", "198.18.89.1:9", "--count", "25"])?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64() >= Some(25) && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("what it sent there", &alone, sent)?;
    // Each packet once: at the host's end, and not at its own as well.
    ensure!(alone.own_programs(&format!("{device}p"))? == 0, "it is watched at both ends");
    agent.end()
}

#[test]
fn a_device_without_an_end_that_is_watched_on_the_host_is_watched_where_it_was_moved_to() -> Result<()> {
    let lab = Lab::new("moved")?;
    let alone = lab.container("alone").options(&["--network", "none"]).run(&["sleep"])?;
    let agent = Agent::start("moved")?;
    agent.wait_for_row("the container", &alone, |row| row["not_watched_reason"].is_string())?;
    let device = format!("vwm{}", std::process::id() % 1_000_000);
    // No port of a bridge: the host's end is nobody's.
    ip(&format!("link add {device} type veth peer name {device}p"))?;
    ip(&format!("link set {device}p netns {}", alone.pid()?))?;
    ip(&format!("addr add 198.18.90.1/24 dev {device}"))?;
    ip(&format!("link set {device} up"))?;
    ip_in(alone.pid()?, &format!("addr add 198.18.90.2/24 dev {device}p"))?;
    ip_in(alone.pid()?, &format!("link set {device}p up"))?;
    agent.wait_for_row("the device to be watched", &alone, is_watched)?;
    ensure!(alone.own_programs(&format!("{device}p"))? == 2);
    alone.exec(&["/testbox", "udp-send", "198.18.90.1:9", "--count", "25"])?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64() >= Some(25) && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("what it sent there", &alone, sent)?;
    // Taken away, it is watched no longer, and what was counted stays.
    ip(&format!("link del {device}"))?;
    let gone = |row: &Value| !is_watched(row) && row["sent"]["packets"].as_u64() >= Some(25);
    agent.wait_for_row("that it has gone", &alone, gone)?;
    agent.end()
}
