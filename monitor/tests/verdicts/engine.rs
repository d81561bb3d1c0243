//! Engines with other settings than the host's.

use anyhow::{Context, Result, ensure};
use lab::{Engine, Vethwatch, image, wait_for};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Without the userland proxy it is the firewall that leads a published port to its container, also for those who
/// ask from inside; what it leads into another network, Docker's isolation drops.
#[test]
fn without_the_userland_proxy_a_published_port_is_blocked_from_another_network() -> Result<()> {
    let image = image::ready(image::TESTBOX)?;
    let engine = Engine::start(r#"{"userland-proxy": false}"#, &image)?;
    for network in ["vw-a", "vw-b"] {
        engine.docker(&["network", "create", network])?;
    }
    let gateway = |network: &str| {
        engine.docker(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network])
    };
    let run = |name: &str, network: &str, options: &[&str], words: &[&str]| {
        let usual = ["run", "--detach", "--pull", "never", "--name", name, "--network", network];
        engine.docker(&[&usual, options, &[&image], words].concat())
    };
    run("vw-server", "vw-b", &["--publish", "28080:80"], &["serve-http", "80"])?;
    let usual = ["violations", "--json", "--tick", "200ms", "--kind", "violation,broken,crossing"];
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let vethwatch = vethwatch.within(&engine.namespace).with("DOCKER_HOST", &engine.host());
    let mut running = vethwatch.start(&usual)?;
    let near = format!("http://{}:28080/", gateway("vw-b")?);
    run("vw-near", "vw-b", &[], &["get", &near, "--count", "3", "--every", "100ms", "--timeout", "30s"])?;
    let far = format!("http://{}:28080/", gateway("vw-a")?);
    run("vw-far", "vw-a", &[], &["get", &far, "--count", "1000", "--every", "100ms"])?;
    let found = running.wait_for("what is decided", PATIENCE, |lines| {
        let decided = |line: &&Value| line["type"] == "finding" && line["outcome"] != "attempted";
        lines.iter().rfind(decided).cloned()
    })?;
    ensure!(found["kind"] == "broken" && found["rule"] == "published-port", "{found}");
    ensure!(found["outcome"] == "blocked" && found["drop_reason"] == "NETFILTER_DROP", "{found}");
    ensure!(found["source"]["container"]["name"] == "vw-far", "{found}");
    wait_for("the same network to be led to it", PATIENCE, || {
        Ok(engine.docker(&["logs", "vw-near"])?.contains("3 of 3 answered").then_some(()))
    })?;
    let other = |line: &&Value| line["type"] == "finding" && line["id"] != found["id"];
    let all = running.lines("finding");
    ensure!(!all.iter().any(|line| other(&line)), "{all:?}");
    running.signal(libc::SIGINT).context("ending")?;
    running.end().map(drop)
}
