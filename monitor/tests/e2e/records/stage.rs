//! An agent that writes records, and who talks beside it.

use anyhow::Result;
use lab::{Container, Lab, Network, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Two containers on a network; each connection of `client` is a flow at both.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) network: Network,
    pub(crate) server: Container,
    pub(crate) client: Container,
}

impl Stage {
    /// An agent that writes to this file, then the containers: all of their traffic is in its records.
    pub(crate) fn new(name: &str, file: &str, more: &[&str]) -> Result<(Running, SocketAddr, Self)> {
        let words = ["agent", "--metrics-listen", "127.0.0.1:0", "--records-file", file];
        let running = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&[&words, more].concat())?;
        let at = address(&running)?;
        wait_for("the watch", PATIENCE, || Ok(running.errors().contains("watching").then_some(())))?;
        Ok((running, at, Self::build(name)?))
    }

    pub(crate) fn build(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let server = lab.container("server").on(&network).run(&["sink", "9000"])?;
        let client = lab.container("client").on(&network).run(&["sleep"])?;
        Ok(Self { lab, network, server, client })
    }

    pub(crate) fn connect(&self, count: u32) -> Result<()> {
        let to = format!("{}:9000", self.server.address(&self.network)?);
        self.client.exec(&["/testbox", "connect-storm", &to, "--count", &count.to_string()]).map(drop)
    }
}

/// Where an agent answers.
pub(crate) fn address(running: &Running) -> Result<SocketAddr> {
    wait_for("the address of the metrics", PATIENCE, || {
        let said = running.errors();
        let address = said.split_once("http://").and_then(|(_, behind)| behind.split_once('/'));
        address.map(|(address, _)| Ok(address.parse()?)).transpose()
    })
}

/// What the flows at a container's veth have: skbs and their bytes, sent and received.
pub(crate) fn of_flows(lines: &[Value], container: &Container) -> [u64; 4] {
    let ours = lines.iter().filter(|line| {
        line["type"] == "flow"
            && line["observed_at"]["kind"] == "veth"
            && line["local"]["container"]["id"] == *container.id
    });
    ours.fold([0; 4], |sums, line| {
        let figures =
            [("sent", "skbs"), ("sent", "skb_bytes"), ("received", "skbs"), ("received", "skb_bytes")];
        let mut figures = figures.iter().map(|(direction, unit)| line[direction][unit].as_u64().unwrap_or(0));
        sums.map(|sum| sum + figures.next().unwrap_or(0))
    })
}

pub(crate) fn of_device(container: &Container, on: &Network) -> Result<[u64; 4]> {
    let counted = container.host_device(on)?.counters()?;
    Ok([counted.rx_packets, counted.rx_bytes, counted.tx_packets, counted.tx_bytes])
}
