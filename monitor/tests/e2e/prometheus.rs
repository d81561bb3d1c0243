//! A real Prometheus asks a real agent: figures, every query of the dashboard, and alerts.
//!
//! Needs `prometheus` and `promtool`, both of Debian's package of that name.

#[path = "prometheus/dashboard.rs"]
mod dashboard;
#[path = "prometheus/server.rs"]
mod server;
#[path = "prometheus/stage.rs"]
mod stage;

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch, text, wait_for};
use serde_json::Value;
use server::Prometheus;
use stage::Stage;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// The folder of what is there for others to use.
const CONTRIB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/prometheus");

/// An agent, and where it answers.
fn agent(more: &[&str]) -> Result<(Running, SocketAddr)> {
    let words = [&["agent", "--socket", "off", "--metrics-listen", "127.0.0.1:0"], more].concat();
    let mut running = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&words)?;
    let at = running.metrics()?;
    Ok((running, at))
}

/// Waits until Prometheus has of a container what its device has counted.
fn wait_for_equal(prometheus: &Prometheus, container: &Container, on: &Network) -> Result<()> {
    let device = container.host_device(on)?;
    wait_for(&format!("the figures of {}", container.name), PATIENCE, || {
        let counted = device.counters()?;
        let mut equal = true;
        for (family, expected) in [
            ("receive_packets", counted.tx_packets),
            ("receive_bytes", counted.tx_bytes),
            ("transmit_packets", counted.rx_packets),
            ("transmit_bytes", counted.rx_bytes),
        ] {
            let query = format!("container_network_{family}_total{{name=\"{}\"}}", container.name);
            let found = prometheus.query(&query)?;
            equal &= found.len() == 1 && found[0]["value"][1].as_str() == Some(&*expected.to_string());
        }
        Ok(equal.then_some(()))
    })
}

/// Waits until an alert about this agent fires with these labels.
fn wait_for_alert(
    prometheus: &Prometheus,
    name: &str,
    agent: SocketAddr,
    labels: &[(&str, &str)],
) -> Result<Value> {
    let instance = agent.to_string();
    let wanted = [&[("alertname", name), ("instance", &instance)], labels].concat();
    wait_for(&format!("{name} {labels:?}"), PATIENCE, || {
        let fires = |alert: &Value| {
            alert["state"] == "firing" && wanted.iter().all(|(label, is)| alert["labels"][label] == *is)
        };
        Ok(prometheus.alerts()?.into_iter().find(fires))
    })
}

#[test]
fn prometheus_has_what_the_kernel_counts_every_panel_has_data_and_findings_alert() -> Result<()> {
    // The agent first: what is found later has to be seen as a step of a counter that was there.
    let (_agent, at) = agent(&["--metrics-pairs", "--metrics-cadvisor"])?;
    let prometheus = Prometheus::start("panels", at)?;
    wait_for("the first figures", PATIENCE, || {
        Ok(prometheus.query("vethwatch_violations_total").map(|found| !found.is_empty())?.then_some(()))
    })?;
    let stage = Stage::set_up()?;

    let mut without_data = dashboard::queries()?;
    ensure!(without_data.len() > 40, "{} queries", without_data.len());
    let waited = wait_for("data for every query of the dashboard", PATIENCE, || {
        let mut still = Vec::new();
        for query in without_data.drain(..) {
            let found = prometheus.query(&query.expression)?;
            if !query.is_answered_by(&found) {
                still.push(query);
            }
        }
        without_data = still;
        Ok(without_data.is_empty().then_some(()))
    });
    waited.with_context(|| format!("without data: {without_data:#?}"))?;

    let cross = ("rule", "cross-network");
    wait_for_alert(&prometheus, "VethwatchViolation", at, &[cross, ("outcome", "answered")])?;
    wait_for_alert(&prometheus, "VethwatchViolationAttempted", at, &[cross, ("outcome", "blocked")])?;
    wait_for_alert(&prometheus, "VethwatchBroken", at, &[("rule", "same-network")])?;
    let is_any = |names: &[&str]| -> Result<bool> {
        let alerts = prometheus.alerts()?;
        Ok(alerts.iter().any(|alert| names.iter().any(|name| alert["labels"]["alertname"] == **name)))
    };
    ensure!(!is_any(&["VethwatchAgentUnwell", "VethwatchDockerAway"])?, "{:?}", prometheus.alerts());
    // One page that comes late on a busy machine makes it an agent that is down, until the next.
    let well = wait_for("an agent that is up", PATIENCE, || {
        Ok((!is_any(&["VethwatchAgentDown", "VethwatchNoAgents"])?).then_some(()))
    });
    well.with_context(|| format!("{:?}", prometheus.alerts()))?;

    let [sender, receiver] = stage.exchange(500)?;
    for container in [&sender, &receiver] {
        wait_for_equal(&prometheus, container, &stage.front)?;
    }
    stage.close()
}

#[test]
fn lost_flows_alert_and_so_does_an_agent_that_is_gone() -> Result<()> {
    let lab = Lab::new("prom-lost")?;
    let network = lab.network("net", &[])?;
    let (agent, at) = agent(&["--max-flows", "64"])?;
    let prometheus = Prometheus::start("lost", at)?;
    let lost = "vethwatch_lost_events_total{reason=\"flow_map_full\"}";
    // Containers of others on this machine may have lost some already.
    let so_far = || -> Result<Option<f64>> {
        let found = prometheus.query(lost)?;
        found.first().and_then(|found| found["value"][1].as_str()).map(|text| Ok(text.parse()?)).transpose()
    };
    let before = wait_for("a series of the loss", PATIENCE, so_far)?;
    let server = lab.container("server").on(&network).run(&["sink", "80"])?;
    let to = format!("{}:80", server.address(&network)?);
    lab.container("client").on(&network).run(&["connect-storm", &to, "--count", "5000"])?;
    wait_for("flows to be lost", PATIENCE, || Ok(so_far()?.filter(|now| *now > before)))?;
    let alert = wait_for_alert(&prometheus, "VethwatchCountsLost", at, &[("reason", "flow_map_full")])?;
    ensure!(alert["labels"]["severity"] == "warning", "{alert}");

    agent.signal(libc::SIGTERM)?;
    agent.end()?;
    let alert = wait_for_alert(&prometheus, "VethwatchAgentDown", at, &[])?;
    ensure!(alert["labels"]["severity"] == "critical", "{alert}");
    lab.close()
}

#[test]
fn promtool_finds_the_rules_right_and_each_alert_as_its_test_says() -> Result<()> {
    let promtool = |words: &[&str]| {
        let mut command = Command::new("promtool");
        text(command.args(words).current_dir(CONTRIB), PATIENCE)
    };
    promtool(&["check", "config", "prometheus.yml"])?;
    let checked = promtool(&["check", "rules", "--lint", "all", "--lint-fatal", "vethwatch.rules.yml"])?;
    ensure!(checked.contains("SUCCESS"), "{checked}");
    let tested = promtool(&["test", "rules", "vethwatch.test.yml"])?;
    ensure!(tested.contains("SUCCESS"), "{tested}");
    Ok(())
}
