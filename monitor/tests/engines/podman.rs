//! Podman, at its socket for Docker's clients: its default network and one of its own.

use crate::PATIENCE;
use anyhow::{Context, Result, ensure};
use lab::{Engine, Packages, Running, Vethwatch, image, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The image, as Podman calls it once it was loaded.
const IMAGE: &str = "localhost/vw-testbox:latest";

struct Podman(Engine);

impl Podman {
    fn run(&self, name: &str, options: &[&str], words: &[&str]) -> Result<()> {
        let group = self.0.group();
        let usual = ["run", "--detach", "--pull", "never", "--cgroup-parent", &group, "--name", name];
        self.0.docker(&[&usual, options, &[IMAGE], words].concat()).map(drop)
    }

    fn address(&self, container: &str, network: &str) -> Result<String> {
        let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
        self.0.docker(&["inspect", "--format", &format, container])
    }

    /// A container that asks a server over HTTP, again and again. (What is executed in a container is kept for five minutes.)
    fn client(&self, name: &str, server: &str) -> Result<()> {
        self.run(name, &[], &["get", &format!("http://{server}:80/"), "--every", "100ms", "--count", "1000"])
    }

    fn vethwatch(&self) -> Vethwatch {
        let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).within(&self.0.namespace);
        vethwatch.with("DOCKER_HOST", &self.0.host())
    }
}

/// An agent that watches Podman's containers.
struct Agent {
    vethwatch: Vethwatch,
    running: Running,
    socket: PathBuf,
}

impl Agent {
    fn start(vethwatch: Vethwatch, folder: &Path) -> Result<Self> {
        let socket = folder.join("vethwatch.sock");
        let at = socket.to_string_lossy();
        let words = ["agent", "--metrics-listen", "off", "--tick", "200ms", "--socket", &at];
        let running = vethwatch.start(&words)?;
        Ok(Self { vethwatch, running, socket })
    }

    fn lines(&self) -> Result<Vec<Value>> {
        self.vethwatch.json(&["containers", "--json", "--socket", &self.socket.to_string_lossy()])
    }

    /// Waits until a container's row is as it should be.
    fn wait_for(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = None;
        let found = wait_for("a row", PATIENCE, || {
            let lines = self.lines().unwrap_or_default();
            last = lines.into_iter().find(|line| line["type"] == "container" && line["name"] == name);
            Ok(last.clone().filter(&fits))
        });
        found.with_context(|| format!("{name}: {last:#?}; {}", self.running.errors()))
    }
}

#[test]
fn podmans_containers_have_names_networks_and_exact_totals_and_its_networks_are_found_open() -> Result<()> {
    let packages = Packages::podman()?;
    let podman = Podman(Engine::podman(&packages, &image::ready(image::TESTBOX)?)?);
    podman.run("vw-web", &[], &["serve-http", "80"])?;
    podman.client("vw-client", &podman.address("vw-web", "podman")?)?;
    let agent = Agent::start(podman.vethwatch(), podman.0.folder())?;
    let words = ["violations", "--json", "--tick", "200ms", "--kind", "violation"];
    let mut findings = podman.vethwatch().start(&words)?;
    let is_at = |row: &Value, network: &str| {
        row["networks"][0]["name"] == network && row["networks"][0]["interface"].is_string()
    };
    for name in ["vw-web", "vw-client"] {
        agent.wait_for(name, |row| is_at(row, "podman"))?;
    }
    // A network and a container that come while it watches; Podman does not keep networks apart.
    podman.0.docker(&["network", "create", "vw-other"])?;
    podman.run("vw-far", &["--network", "vw-other"], &["serve-http", "80"])?;
    agent.wait_for("vw-far", |row| is_at(row, "vw-other"))?;
    podman.client("vw-stranger", &podman.address("vw-far", "vw-other")?)?;
    let found = findings.wait_for("what crossed", PATIENCE, |lines| {
        lines.iter().rfind(|line| line["type"] == "finding" && line["outcome"] == "answered").cloned()
    })?;
    ensure!(found["rule"] == "cross-network", "{found}");
    ensure!(found["source"]["container"]["name"] == "vw-stranger", "{found}");
    ensure!(found["destination"]["container"]["name"] == "vw-far", "{found}");
    let is_exact = |row: &Value| row["unaccounted_bytes"] == 0 && row["sent"]["packets"].as_u64() >= Some(30);
    agent.wait_for("vw-client", is_exact)?;
    let status = agent.lines()?.pop().context("a status")?;
    let version = status["docker"]["version"].as_str().unwrap_or_default();
    ensure!(version.ends_with("(Podman)"), "{status}");
    ensure!(status["losses"].get("docker_answers_refused").is_none(), "{status}");
    for (running, signal) in [(findings, libc::SIGINT), (agent.running, libc::SIGTERM)] {
        running.signal(signal)?;
        running.end()?;
    }
    Ok(())
}
