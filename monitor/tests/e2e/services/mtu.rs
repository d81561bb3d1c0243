//! Answers of TCP that do not fit on the way, which leads through a namespace of the test's own: where ICMP says so and is heard,
//! where the container drops it, and where it never arrives; against what both kernels and the firewall counted.

use crate::failures::{inside, kernel_count, row};
use crate::rig::{Agent, PATIENCE};
use crate::unseen::Unseen;
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Outside, image, text, wait_for};
use serde_json::Value;
use std::process::Command;

/// What fits on the way to the client, while all devices of both ends take 1500 bytes.
const MTU: u64 = 1_300;
/// The router's address there, and the client's.
const NEAR: &str = "203.0.113.9";
const FAR: &str = "203.0.113.10";
/// Bytes of an answer.
const ANSWER: u64 = 300_000;

/// A namespace behind an outside that routes there, by a device with a small MTU; gone when dropped.
struct Far(String);

impl Far {
    fn behind(outside: &Outside) -> Result<Self> {
        let router = &outside.name;
        let far = Self(format!("vw-far-{}", std::process::id()));
        ip(&format!("netns add {}", far.0))?;
        ip(&format!("-n {router} link add far type veth peer name eth0 netns {}", far.0))?;
        ip(&format!("-n {router} addr add {NEAR}/30 dev far"))?;
        ip(&format!("-n {router} link set far mtu {MTU} up"))?;
        ip(&format!("-n {} addr add {FAR}/30 dev eth0", far.0))?;
        ip(&format!("-n {} link set eth0 up", far.0))?;
        ip(&format!("-n {} route add default via {NEAR}", far.0))?;
        outside.run(&["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])?;
        ip(&format!("route add {FAR}/32 via {} dev {}", outside.address, outside.device))?;
        Ok(far)
    }

    /// Bytes of an answer that came within so many seconds.
    fn get(&self, from: &str, seconds: u32) -> Result<u64> {
        let mut curl = Command::new("ip");
        curl.args(["netns", "exec", &self.0, "curl", "--silent", "--output", "/dev/null", "--max-time"]);
        curl.args([&seconds.to_string(), "--write-out", "%{size_download}", from]);
        // One that hangs is no success.
        let said = curl.output().context("run curl")?.stdout;
        Ok(String::from_utf8(said)?.trim().parse()?)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.0)) {
            eprintln!("{error:#}");
        }
    }
}

#[test]
fn answers_that_do_not_fit_on_the_way_are_a_finding_if_their_sender_does_not_hear_so() -> Result<()> {
    let lab = Lab::new("mtu")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    // Each has a kernel of its own, which remembers what fits.
    let server = |name: &str, port: u16| {
        let serve =
            format!("head -c {ANSWER} /dev/zero > /tmp/big; cd /tmp; exec python3 -m http.server {port}");
        let publish = ["--publish", &port.to_string()].map(str::to_owned);
        let options: Vec<&str> = publish.iter().map(String::as_str).collect();
        let spec = lab.container(name).image(&debian).on(&network).compose("lab", name).options(&options);
        spec.run(&["sh", "-c", &serve])
    };
    let obeys = server("obeys", 8_001)?;
    let deaf = server("deaf", 8_002)?;
    let blind = server("blind", 8_003)?;
    let outside = Outside::new(&[])?;
    let far = Far::behind(&outside)?;
    let agent = Agent::watching("mtu", &[&obeys, &deaf, &blind])?;
    let unseen = Unseen::start("mtu")?;
    let mut found = agent.start(&["violations", "--kind", "broken"])?;
    let url = |of: &Container, port: u16, file: &str| -> Result<String> {
        Ok(format!("http://{}:{}/{file}", outside.host, of.published_port(&port.to_string())?))
    };
    for (server, port) in [(&obeys, 8_001), (&deaf, 8_002), (&blind, 8_003)] {
        let small = url(server, port, "nothing")?;
        wait_for("small answers", PATIENCE, || Ok((far.get(&small, 5)? > 0).then_some(())))?;
    }

    ensure!(far.get(&url(&obeys, 8_001, "big")?, 30)? == ANSWER, "it was to arrive");
    inside(&deaf, "iptables -A INPUT -p icmp --icmp-type fragmentation-needed -j DROP")?;
    let came = far.get(&url(&deaf, 8_002, "big")?, 15)?;
    ensure!(came < ANSWER, "all {came} bytes came though nobody was told that they do not fit");
    let dropped = ["-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];
    outside.run(&[&["iptables", "-A", "OUTPUT"], &dropped[..]].concat())?;
    let came = far.get(&url(&blind, 8_003, "big")?, 8)?;
    ensure!(came < ANSWER, "all {came} bytes came though nobody was told that they do not fit");

    let rows = wait_for("all errors and all segments that were sent again", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        let is_whole = |server: &Container, port: u16, errors: u64| -> Result<bool> {
            let Some(row) = row(&rows, port) else { return Ok(false) };
            let told = row["retransmitted_by_server"].as_u64().context("a count")?;
            let again = kernel_count(server, "snmp", "RetransSegs")?;
            Ok(unseen.is_all(told, again, &server.address(&network)?)? && packets(row) == errors)
        };
        // Of one whose firewall drops them, its kernel counts none.
        let heard = kernel_count(&obeys, "snmp", "InDestUnreachs")?;
        let all = is_whole(&obeys, 8_001, heard)?
            && is_whole(&deaf, 8_002, refused(&deaf)?)?
            && is_whole(&blind, 8_003, 0)?;
        Ok(all.then_some(rows))
    })
    .with_context(|| {
        let kernel = |server: &Container| {
            ["RetransSegs", "InDestUnreachs"].map(|counter| kernel_count(server, "snmp", counter).ok())
        };
        let kernels = [&obeys, &deaf, &blind].map(kernel);
        let unseen = [&obeys, &deaf, &blind].map(|server| unseen.of(&server.address(&network).ok()?).ok());
        format!(
            "{kernels:?}, {unseen:?} unseen, {:?} dropped: {:#?}",
            refused(&deaf),
            agent.ask(&["failures"])
        )
    })?;
    let [of_obeys, of_deaf, of_blind] =
        [8_001, 8_002, 8_003].map(|port| row(&rows, port).cloned().unwrap_or_default());
    ensure!(packets(&of_obeys) > 0 && of_obeys["wrong_mtu"] == false, "{of_obeys}");
    ensure!(
        of_blind["retransmitted_by_server"].as_u64() > Some(1) && of_blind["wrong_mtu"] == false,
        "{of_blind}"
    );
    let error = &of_deaf["icmp_errors"][0];
    ensure!(
        of_deaf["wrong_mtu"] == true && error["mtu"] == MTU && error["packets_of"] == "server",
        "{of_deaf}"
    );
    ensure!(error["sender"]["address"] == *outside.address, "{error}");

    let of_mtu = |lines: &[Value]| -> Vec<Value> {
        lines.iter().filter(|line| line["rule"] == "wrong-mtu" && line["state"] == "open").cloned().collect()
    };
    let finding = found.wait_for("the finding", PATIENCE, |lines| of_mtu(lines).into_iter().next())?;
    ensure!(finding["kind"] == "broken" && finding["outcome"] == "blocked", "{finding}");
    ensure!(
        finding["destination"]["address"] == FAR && finding["ports"] == serde_json::json!([8_002]),
        "{finding}"
    );
    ensure!(finding["source"]["container"]["id"] == *deaf.id, "{finding}");
    let evidence = &finding["evidence"];
    ensure!(evidence[0]["at"] == *deaf.name && evidence[1]["at"] == *outside.address, "{finding}");
    ensure!(evidence[1]["saw"].as_str().unwrap_or_default().contains(&MTU.to_string()), "{finding}");
    // It may have been told anew meanwhile.
    let all = of_mtu(&found.lines("finding"));
    ensure!(all.iter().all(|line| line["id"] == finding["id"]), "{all:?}");
    drop(found);
    agent.end()?;
    drop(far);
    lab.close()
}

/// Errors of ICMP in a row.
fn packets(row: &Value) -> u64 {
    let all = row["icmp_errors"].as_array().into_iter().flatten();
    all.filter_map(|error| error["packets"].as_u64()).sum()
}

/// Packets that the first rule of a container's own firewall dropped.
fn refused(container: &Container) -> Result<u64> {
    let namespace = format!("--net=/proc/{}/ns/net", container.pid()?);
    let words = [&namespace, "iptables", "-n", "-v", "-x", "-L", "INPUT"];
    let listed = text(Command::new("nsenter").args(words), PATIENCE)?;
    let rule =
        listed.lines().find(|line| line.contains("DROP") && line.contains("icmp")).context("a rule")?;
    Ok(rule.split_whitespace().next().context("a counter")?.parse()?)
}

fn ip(words: &str) -> Result<()> {
    text(Command::new("ip").args(words.split(' ')), PATIENCE).map(drop)
}
