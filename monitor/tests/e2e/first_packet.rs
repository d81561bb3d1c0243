//! A container's very first packet is counted: the programs are there before it.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many containers each test starts.
const CONTAINERS: usize = 100;

/// Longer than a tick, and than Docker takes to tell a name on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The port that first packets are sent to.
const PORT: u16 = 4_242;

/// A network, somebody to send to, and a vethwatch that prints flows.
struct Stage {
    lab: Lab,
    network: Network,
    target: String,
    vethwatch: Running,
}

impl Stage {
    fn set_up(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        // It must stay: its address would go to one of the senders, whose packets to itself cross no interface.
        let receiver = lab.container("receiver").on(&network).run(&["sleep"])?;
        let address = receiver.address(&network)?;
        let mut vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&["flows", "--json"])?;
        vethwatch.wait_until_watching(&lab, &network, &address)?;
        Ok(Self { lab, network, target: format!("{address}:{PORT}"), vethwatch })
    }

    /// Starts a container that sends one datagram the moment it starts.
    fn start(&self, number: usize) -> Result<Container> {
        let name = format!("sender{number}");
        self.lab.container(&name).on(&self.network).run(&["first-packet", &self.target])
    }

    /// Waits until each of these containers has exactly one sent packet in its flows to the receiver.
    fn expect_one_packet_each(&mut self, senders: &[Container]) -> Result<()> {
        let counted = self.vethwatch.wait_for("every first packet", PATIENCE, |lines| {
            let counted = first_packets(lines);
            senders.iter().all(|sender| counted.contains_key(&sender.name)).then_some(counted)
        });
        let counted = counted.map_err(|error| error.context(self.missing(senders)))?;
        for sender in senders {
            ensure!(counted[&sender.name] == 1, "{} packets of {}", counted[&sender.name], sender.name);
        }
        Ok(())
    }
}

impl Stage {
    /// Whose packets are not in their flows, with what their device and their log say, and flows to the receiver
    /// that are nobody's.
    fn missing(&self, senders: &[Container]) -> String {
        let lines = self.vethwatch.lines("flow");
        let counted = first_packets(&lines);
        let missing = senders.iter().filter(|sender| !counted.contains_key(&sender.name)).map(|sender| {
            let device = sender.host_device(&self.network);
            let counters = device.as_ref().map_err(ToString::to_string).map(|device| device.counters());
            format!("{} at {device:?} with {counters:?}, which said {:?}", sender.name, sender.logs())
        });
        let nobody = lines
            .iter()
            .filter(|line| line["remote"]["port"] == PORT && line["local"]["container"]["name"].is_null())
            .map(|line| format!("{} at {}", line["local"], line["observed_at"]["interface"]));
        let missing: Vec<_> = missing.collect();
        let nobody: Vec<_> = nobody.collect();
        format!("missing: {missing:#?}; of nobody: {nobody:#?}; {}", self.vethwatch.errors())
    }
}

/// Sent packets to the receiver's port, by the name of the container that sent them.
fn first_packets(lines: &[Value]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for line in lines.iter().filter(|line| line["type"] == "flow" && line["remote"]["port"] == PORT) {
        if let Some(name) = line["local"]["container"]["name"].as_str() {
            *counted.entry(name.to_owned()).or_default() += line["sent"]["packets"].as_u64().unwrap_or(0);
        }
    }
    counted
}

#[test]
fn containers_started_one_after_the_other_have_their_first_packet_counted() -> Result<()> {
    let mut stage = Stage::set_up("first-one")?;
    let mut senders = Vec::new();
    for number in 0..CONTAINERS {
        senders.push(stage.start(number)?);
    }
    stage.expect_one_packet_each(&senders)
}

#[test]
fn containers_started_twenty_at_a_time_have_their_first_packet_counted() -> Result<()> {
    let mut stage = Stage::set_up("first-many")?;
    let numbers: Vec<usize> = (0..CONTAINERS).collect();
    let mut senders = Vec::new();
    for batch in numbers.chunks(20) {
        let stage = &stage;
        let started = std::thread::scope(|scope| {
            let starts: Vec<_> =
                batch.iter().map(|&number| scope.spawn(move || stage.start(number))).collect();
            starts
                .into_iter()
                .map(|start| start.join().expect("a start does not panic"))
                .collect::<Result<Vec<_>>>()
        })?;
        senders.extend(started);
    }
    stage.expect_one_packet_each(&senders)
}

#[test]
fn what_crossed_before_the_watch_is_shown_as_such() -> Result<()> {
    let lab = Lab::new("first-before")?;
    let network = lab.network("net", &[])?;
    let receiver = lab.container("receiver").on(&network).run(&["sleep"])?;
    let to = format!("{}:{PORT}", receiver.address(&network)?);
    let keeper = lab.container("keeper").on(&network).run(&["first-packet", &to])?;
    lab::wait_for("the keeper's datagram", PATIENCE, || Ok(keeper.logs()?.contains("sent 1").then_some(())))?;
    let device = keeper.host_device(&network)?;
    let before = device.counters()?;
    let lines = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).json(&["containers", "--json"])?;
    let row = lines.iter().find(|line| line["id"] == *keeper.id).context("the container is not listed")?;
    let shown = row["before_watch"]["sent"]["skbs"].as_u64().context("before_watch is absent")?;
    ensure!(
        shown >= before.rx_packets && shown > 0,
        "{shown} before the watch, {} on the device",
        before.rx_packets
    );
    ensure!(
        row["sent"]["packets"].as_u64() < Some(shown),
        "what came before the watch is counted again: {row}"
    );
    Ok(())
}
