//! What the agent keeps of the last hour, against what the kernel's devices count.

use crate::rig::{PATIENCE, Rig, of_type, send};
use anyhow::{Context, Result, ensure};
use lab::{Container, Deadline, Device, Lab, wait_for};
use serde_json::Value;
use std::time::Duration;

/// How long the agent stands still.
const STILL: Duration = Duration::from_secs(4);

/// A sum over the lines of a container.
fn sum(lines: &[Value], of: &Container, way: &str, what: &str) -> u64 {
    let its = of_type(lines, "history").filter(|line| line["container"]["id"] == *of.id);
    its.filter_map(|line| line[way][what].as_u64()).sum()
}

/// What the device of a container counted, and what all of its history came to: skbs and bytes that it sent, and received.
fn both(rig: &Rig, of: &Container, device: &Device, words: &[&str]) -> Result<[[u64; 4]; 2]> {
    let lines = rig.ask(words)?;
    let history =
        ["sent", "received"].map(|way| ["skbs", "skb_bytes"].map(|what| sum(&lines, of, way, what)));
    let it = device.counters()?;
    let [[sent, sent_bytes], [received, received_bytes]] = history;
    Ok([
        [it.rx_packets, it.rx_bytes, it.tx_packets, it.tx_bytes],
        [sent, sent_bytes, received, received_bytes],
    ])
}

#[test]
fn history_is_what_devices_count_also_where_the_agent_stood_still() -> Result<()> {
    let rig = Rig::new("history")?;
    let lab = Lab::new("history")?;
    let agent = rig.agent(&["--tick", "250ms"])?;
    let network = lab.network("net", &[])?;
    let server = lab.container("server").on(&network).run(&["sleep"])?;
    let client = lab.container("client").on(&network).run(&["sleep"])?;
    let device = client.host_device(&network)?;
    let to = server.address(&network)?;
    send(&client, &to, 300)?;
    agent.signal(libc::SIGSTOP)?;
    let still = Deadline::after(STILL);
    send(&client, &to, 700)?;
    wait_for("the agent to have stood still", PATIENCE, || Ok(still.passed().then_some(())))?;
    agent.signal(libc::SIGCONT)?;

    // All of it by container, and its course, which is made of the same intervals. Both were watched before their first packet.
    for words in [&["history", "--json"][..], &["history", "--json", "--step", "1s", &client.name]] {
        let mut last = None;
        let same = wait_for("history and device to be the same", PATIENCE, || {
            let [device, history] = both(&rig, &client, &device, words)?;
            last = Some([device, history]);
            Ok((device == history && device[0] >= 1_000).then_some(()))
        });
        same.with_context(|| format!("{words:?}: {last:?}"))?;
    }
    let lines = rig.ask(&["history", "--json", "--step", "1s", &client.name])?;
    let course: Vec<&Value> = of_type(&lines, "history").collect();
    let longest = course.iter().filter_map(|line| line["seconds"].as_f64()).fold(0.0, f64::max);
    ensure!(longest >= STILL.as_secs_f64() - 0.5, "one interval is as long as it stood still: {longest}");
    for two in course.windows(2) {
        ensure!(two[0]["end"] == two[1]["start"], "no gap and nothing twice: {two:?}");
    }
    let past = of_type(&lines, "past").next().context("a line about all")?;
    let resolution = past["resolution_seconds"].as_f64().unwrap_or_default();
    ensure!(resolution >= STILL.as_secs_f64() - 0.5 && resolution <= longest, "{past}");

    // The pair has each datagram once, and a time before it has nothing of it.
    let pairs = rig.ask(&["pairs", "--json", "--since", "5m", "--container", &client.name])?;
    let datagrams: Vec<u64> = of_type(&pairs, "pair")
        .filter(|line| line["server"]["port"] == 4001)
        .filter_map(|line| line["sent"]["packets"].as_u64())
        .collect();
    ensure!(datagrams == [1_000], "{datagrams:?}");

    // Hook by hook: all of it left the client's interface and reached the server's, where nobody answers.
    let target = format!("{}:4001/udp", server.name);
    let why = rig.ask(&["why", "--json", "--since", "5m", &client.name, &target])?;
    let pair = of_type(&why, "pair").next().context("a pair of both")?;
    let devices = [&device, &server.host_device(&network)?];
    for (device, saw) in devices.iter().zip(["1000 packets sent", "1000 packets delivered"]) {
        let hooks = pair["evidence"].as_array().context("evidence")?;
        let is_it = |one: &Value| one["at"] == *device.name && one["saw"] == saw;
        ensure!(hooks.iter().any(is_it), "{saw} at {}: {pair}", device.name);
    }
    let explanation = pair["explanation"].as_str().unwrap_or_default();
    ensure!(explanation.contains("reached interface"), "{explanation}");

    // Where the traffic of the network went, to the packet; who was on it is not kept.
    let networks = rig.ask(&["networks", "--json", "--since", "5m"])?;
    let of_network = of_type(&networks, "network").find(|line| line["name"] == *network.name);
    let of_network = of_network.context("the network")?;
    let inside = of_network["totals"]["inside"]["packets"].as_u64().unwrap_or_default();
    ensure!(inside >= 1_000 && of_network["members"].is_null(), "{of_network}");
    let flows = rig.member().finish(&rig.asking(&["flows", "--since", "5m"], &rig.socket()))?;
    ensure!(flows.status.code() == Some(2) && flows.stderr.contains("pairs --since"), "{flows:?}");

    let (status, lines) = (rig.get("/v1/history?since=5m&of=pairs")?, of_type(&pairs, "pair").count());
    ensure!(of_type(&status, "pair").count() >= lines);
    let none =
        rig.member().finish(&rig.asking(&["history", "--since", "2h", "--until", "1h"], &rig.socket()))?;
    ensure!(
        none.status.code() == Some(3) && none.stderr.contains("the agent keeps what was since"),
        "{none:?}"
    );
    let alone = rig.root().finish(&["history"])?;
    ensure!(alone.status.code() == Some(2) && alone.stderr.contains("kept by an agent"), "{alone:?}");
    lab.close()
}
