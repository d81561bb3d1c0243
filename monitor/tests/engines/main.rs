//! What newer engines do otherwise than the machine's: the findings that come of it must be those of that engine.
//!
//! Podman is tried as well, through the socket where it answers as Docker does.
//!
//! Needs root, Docker, the image of the testbox, and Debian's packages within reach.

mod podman;

use anyhow::{Context, Result, ensure};
use lab::{Engine, Outside, Packages, Running, Vethwatch, image};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";

/// The client's Ethernet address, as it was asked for.
const MAC: &str = "02:42:c0:ff:ee:88";

/// Kind, rule, outcome, who sent, who was meant, port.
type Found = [String; 6];

/// An engine with networks of every kind it knows, a server on each, and a client on some.
struct World {
    engine: Engine,
    image: String,
    has_modes: bool,
}

impl World {
    fn new(packages: &Packages, has_modes: bool) -> Result<Self> {
        let image = image::ready(image::TESTBOX)?;
        let world = Self { engine: Engine::of_packages(packages, "{}", &image)?, image, has_modes };
        let mode = |mode: &str| format!("{MODE}={mode}");
        let (open, routed, isolated) = (mode("nat-unprotected"), mode("routed"), mode("isolated"));
        world.network("vw-a", &[])?;
        world.network("vw-b", &[])?;
        world.network("vw-internal", &["--internal"])?;
        world.network("vw-quiet", &["--opt", "com.docker.network.bridge.enable_icc=false"])?;
        world.network("vw-open", &["--opt", &open])?;
        world.network("vw-routed", &["--opt", &routed])?;
        world.run("client", "vw-a", &["--mac-address", MAC], &["sleep"])?;
        world.run("quiet", "vw-quiet", &[], &["sleep"])?;
        for network in ["vw-a", "vw-internal", "vw-quiet"] {
            world.server(network, &[])?;
        }
        for network in ["vw-b", "vw-open", "vw-routed"] {
            world.server(network, &["--publish", "80"])?;
        }
        if has_modes {
            world.network("vw-isolated", &["--internal", "--opt", &isolated])?;
            world.server("vw-isolated", &[])?;
        }
        Ok(world)
    }

    fn network(&self, name: &str, options: &[&str]) -> Result<()> {
        self.engine.docker(&[&["network", "create"], options, &[name]].concat()).map(drop)
    }

    fn run(&self, name: &str, network: &str, options: &[&str], words: &[&str]) -> Result<()> {
        let name = format!("vw-{name}");
        let usual = ["run", "--detach", "--pull", "never", "--name", &name, "--network", network];
        self.engine.docker(&[&usual, options, &[&self.image], words].concat()).map(drop)
    }

    /// A server on a network, called by it, which answers on port 80.
    fn server(&self, network: &str, options: &[&str]) -> Result<()> {
        self.run(&format!("at-{network}"), network, options, &["serve-http", "80"])
    }

    fn address(&self, server: &str, network: &str) -> Result<String> {
        let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
        self.engine.docker(&["inspect", "--format", &format, server])
    }

    /// The port of the host that leads to a server's port 80.
    fn published(&self, network: &str) -> Result<String> {
        let ports = self.engine.docker(&["port", &format!("vw-at-{network}"), "80"])?;
        let port = ports.lines().next().and_then(|line| line.rsplit(':').next());
        port.map(str::to_owned).context("a published port")
    }

    /// Whether a container is answered at a port of a server within a time.
    fn reaches(&self, from: &str, network: &str, port: u16, within: &str) -> Result<bool> {
        let url = format!("http://{}:{port}/", self.address(&format!("vw-at-{network}"), network)?);
        let get = ["exec", from, "/testbox", "get", &url, "--count", "1", "--timeout", within];
        let said = self.engine.docker(&get);
        Ok(said.is_ok_and(|said| said.contains("1 of 1 answered")))
    }

    fn vethwatch(&self) -> Vethwatch {
        let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).within(&self.engine.namespace);
        vethwatch.with("DOCKER_HOST", &self.engine.host())
    }

    /// What is told of the client's networks.
    fn networks_of_client(&self) -> Result<Value> {
        let lines = self.vethwatch().json(&["containers", "--json", "--for", "1s"])?;
        let client = lines.iter().find(|line| line["name"] == "vw-client").context("no client")?;
        Ok(client["networks"].clone())
    }

    fn watch(&self) -> Result<Running> {
        let words = ["violations", "--json", "--tick", "200ms", "--kind", "violation,broken,crossing"];
        let mut running = self.vethwatch().start(&words)?;
        // It has begun when it finds something: a port of the host that nobody serves.
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        let gateway = self.engine.docker(&["network", "inspect", "--format", gateway, "vw-a"])?;
        let url = format!("http://{gateway}:9/");
        running.wait_for("the first finding", PATIENCE, |lines| {
            let get = ["exec", "vw-client", "/testbox", "get", &url, "--count", "1"];
            // It is refused, which is what makes the finding.
            let _ = self.engine.docker(&get);
            lines.iter().find(|line| line["rule"] == "host-access").map(drop)
        })?;
        Ok(running)
    }
}

/// What was found, each once, as it was last told, without that of the beginning.
fn found(lines: &[Value]) -> BTreeSet<Found> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let end = |end: &Value| match &end["container"]["name"] {
        Value::String(name) => name.clone(),
        _ => text(&end["kind"]),
    };
    let of_finding = |line: &Value| {
        let what = ["kind", "rule", "outcome"].map(|key| text(&line[key]));
        let [kind, rule, outcome] = what;
        [kind, rule, outcome, end(&line["source"]), end(&line["destination"]), line["ports"].to_string()]
    };
    let findings = lines.iter().filter(|line| line["type"] == "finding" && line["rule"] != "host-access");
    let mut last = std::collections::BTreeMap::new();
    for line in findings {
        last.insert(text(&line["id"]), of_finding(line));
    }
    last.into_values().collect()
}

/// Has everybody try everything that Docker has an opinion on; what comes of it and what is found must be these.
fn check(suite: &str, has_modes: bool, reached: &[(&str, u16)], expected: &[[&str; 6]]) -> Result<()> {
    let packages = Packages::docker(suite)?;
    let world = World::new(&packages, has_modes)?;
    let outside = Outside::of_namespace(&world.engine.namespace)?;
    let networks = world.networks_of_client()?;
    ensure!(networks[0]["mac"] == MAC && networks[0]["interface"].is_string(), "{networks}");
    let mut running = world.watch()?;
    let mut networks = vec!["vw-a", "vw-b", "vw-internal", "vw-quiet", "vw-open", "vw-routed"];
    networks.extend(world.has_modes.then_some("vw-isolated"));
    let all = networks.iter().map(|network| (*network, 80));
    let mut answered = Vec::new();
    for (network, port) in all.chain([("vw-open", 81), ("vw-routed", 81)]) {
        // Who has to answer may take its time on a busy machine; the others do not answer at all.
        let within = if reached.contains(&(network, port)) { "10s" } else { "1s" };
        if world.reaches("vw-client", network, port, within)? {
            answered.push((network, port));
        }
    }
    ensure!(!world.reaches("vw-quiet", "vw-quiet", 80, "1s")?, "its network keeps its containers apart");
    ensure!(answered == reached, "{suite} let through {answered:?}");
    for network in ["vw-b", "vw-open"] {
        let url = format!("http://{}:{}/", outside.host, world.published(network)?);
        outside.run(&["curl", "-sS", "-m", "5", "-o", "/dev/null", &url])?;
    }
    let expected: BTreeSet<Found> = expected.iter().map(|finding| finding.map(str::to_owned)).collect();
    let told = running.wait_for("what must be found", PATIENCE, |lines| {
        let found = found(lines);
        (found == expected).then_some(found)
    });
    told.with_context(|| format!("found {:#?}", found(&running.lines("finding"))))?;
    running.signal(libc::SIGINT)?;
    running.end().map(drop)?;
    Ok(())
}

fn blocked<'a>(rule: &'a str, source: &'a str, destination: &'a str, ports: &'a str) -> [&'a str; 6] {
    ["violation", rule, "blocked", source, destination, ports]
}

/// Docker 26 keeps the option of a gateway mode, and does nothing about it.
#[test]
fn of_debian_13_keeps_all_networks_apart_whatever_their_gateway_mode() -> Result<()> {
    let apart = |to: &'static str, ports: &'static str| blocked("cross-network", "vw-client", to, ports);
    check(
        "trixie",
        false,
        &[("vw-a", 80)],
        &[
            apart("vw-at-vw-b", "[80]"),
            apart("vw-at-vw-internal", "[80]"),
            apart("vw-at-vw-quiet", "[80]"),
            apart("vw-at-vw-open", "[80,81]"),
            apart("vw-at-vw-routed", "[80,81]"),
            blocked("icc-disabled", "vw-quiet", "vw-at-vw-quiet", "[80]"),
        ],
    )
}

/// Docker 28 drops most before it would be routed, opens published ports of routed networks to other networks, and those
/// of unprotected ones to the outside alone.
#[test]
fn of_debian_sid_opens_published_ports_of_routed_networks_to_others() -> Result<()> {
    let apart = |to: &'static str, ports: &'static str| blocked("cross-network", "vw-client", to, ports);
    check(
        "sid",
        true,
        &[("vw-a", 80), ("vw-routed", 80)],
        &[
            apart("vw-at-vw-b", "[80]"),
            apart("vw-at-vw-internal", "[80]"),
            apart("vw-at-vw-quiet", "[80]"),
            apart("vw-at-vw-isolated", "[80]"),
            apart("vw-at-vw-open", "[80,81]"),
            apart("vw-at-vw-routed", "[81]"),
            ["crossing", "cross-network", "answered", "vw-client", "vw-at-vw-routed", "[80]"],
            blocked("icc-disabled", "vw-quiet", "vw-at-vw-quiet", "[80]"),
        ],
    )
}
