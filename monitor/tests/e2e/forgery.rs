//! Frames with somebody else's address as their source are booked to the interface that sent them.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch};
use serde_json::Value;
use std::time::Duration;

/// How many frames are forged.
const FORGED: u64 = 100;

/// Where they go.
const PORT: u16 = 4_343;

const PATIENCE: Duration = Duration::from_secs(30);

/// A forger, the one whose address is forged, and the one who gets the frames.
struct Stage {
    lab: Lab,
    network: Network,
    forger: Container,
    victim: Container,
    receiver: Container,
    vethwatch: Running,
}

impl Stage {
    fn set_up(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let sleeper = |name: &str| lab.container(name).on(&network).run(&["sleep"]);
        let (forger, victim, receiver) = (sleeper("forger")?, sleeper("victim")?, sleeper("receiver")?);
        let mut vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&["flows", "--json"])?;
        vethwatch.wait_until_watching(&lab, &network, &receiver.address(&network)?)?;
        Ok(Self { lab, network, forger, victim, receiver, vethwatch })
    }

    /// Sends the frames and waits until all of them are in flows of the forger.
    fn forge(&mut self, more: &[&str]) -> Result<Vec<Value>> {
        let to = self.receiver.address(&self.network)?;
        let mac = self.receiver.mac(&self.network)?;
        let (count, port) = (FORGED.to_string(), PORT.to_string());
        let mut send = vec!["/testbox", "send-frames", "--to", &to, "--destination-mac", &mac];
        send.extend(["--count", &count, "--port", &port]);
        send.extend(more);
        self.forger.exec(&send)?;
        let forger = self.forger.id.clone();
        self.vethwatch.wait_for("the forged frames", PATIENCE, |lines| {
            let flows: Vec<Value> = sent_by(lines, &forger).cloned().collect();
            (packets(&flows) >= FORGED).then_some(flows)
        })
    }

    /// Packets to the receiver's port that were booked to the victim.
    fn booked_to_victim(&self) -> u64 {
        let lines = self.vethwatch.lines("flow");
        packets(&sent_by(&lines, &self.victim.id).cloned().collect::<Vec<_>>())
    }
}

fn sent_by<'a>(lines: &'a [Value], container: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| {
        line["local"]["container"]["id"] == container
            && line["remote"]["port"] == PORT
            && line["type"] == "flow"
    })
}

fn packets(flows: &[Value]) -> u64 {
    flows.iter().filter_map(|flow| flow["sent"]["packets"].as_u64()).sum()
}

#[test]
fn a_forged_source_address_is_an_entry_of_the_sender_of_its_own() -> Result<()> {
    let mut stage = Stage::set_up("forgery-address")?;
    let address = stage.victim.address(&stage.network)?;
    let flows = stage.forge(&["--from", &address])?;
    ensure!(packets(&flows) == FORGED, "{} packets: {flows:?}", packets(&flows));
    for flow in &flows {
        ensure!(flow["local"]["address"] == *address, "the entry does not show the forged address: {flow}");
    }
    let to_victim = stage.booked_to_victim();
    ensure!(to_victim == 0, "{to_victim} packets were booked to the one whose address was forged");
    stage.lab.close()
}

#[test]
fn a_forged_ethernet_address_changes_nothing_about_who_sent() -> Result<()> {
    let mut stage = Stage::set_up("forgery-mac")?;
    let from = stage.forger.address(&stage.network)?;
    let mac = stage.victim.mac(&stage.network)?;
    let flows = stage.forge(&["--from", &from, "--source-mac", &mac])?;
    ensure!(packets(&flows) == FORGED, "{} packets: {flows:?}", packets(&flows));
    let to_victim = stage.booked_to_victim();
    ensure!(to_victim == 0, "{to_victim} packets were booked to the one whose Ethernet address was forged");
    stage.lab.close()
}

#[test]
fn the_totals_of_the_one_whose_address_is_forged_do_not_change() -> Result<()> {
    let mut stage = Stage::set_up("forgery-totals")?;
    let victim = stage.victim.host_device(&stage.network)?;
    let address = stage.victim.address(&stage.network)?;
    let before = victim.counters().context("reading the victim's device")?;
    stage.forge(&["--from", &address])?;
    let after = victim.counters().context("reading the victim's device")?;
    // Its device is the witness: the victim itself sent next to nothing, so the forged frames would stand out.
    let sent = after.rx_packets - before.rx_packets;
    ensure!(sent < FORGED, "the victim sent {sent} packets of its own: the test proves nothing");
    let lines = stage.vethwatch.lines("flow");
    let counted: u64 = lines
        .iter()
        .filter(|line| line["local"]["container"]["id"] == *stage.victim.id)
        .filter_map(|line| line["sent"]["packets"].as_u64())
        .sum();
    ensure!(counted <= sent, "{counted} packets in the victim's flows, {sent} on its device");
    stage.lab.close()
}
