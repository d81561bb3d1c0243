//! What goes between overlay networks, `docker_gwbridge` and bridges, on a swarm of one node.

use crate::agent::{Agent, vethwatch};
use crate::crossings::What::{Connections, Datagrams};
use crate::crossings::{ALL, Cell, NONE, Site, route};
use crate::elsewhere::ip;
use anyhow::{Context, Result};
use lab::{Container, Engine, image};

/// The node's own address, on a link of its own.
const NODE: &str = "198.18.253.1";
/// What Docker makes for the containers of overlay networks to reach what is outside.
const GATEWAYS: &str = "docker_gwbridge";

/// An engine that is a swarm of its own.
struct Node {
    engine: Engine,
    image: String,
}

impl Node {
    /// Starts it; `gateways` are options of `docker_gwbridge`, which is made beforehand if there are any.
    fn start(gateways: &[&str]) -> Result<Self> {
        let image = image::ready(image::TESTBOX)?;
        let engine = Engine::start("{}", &image)?;
        if !gateways.is_empty() {
            engine.docker(&[&["network", "create"], gateways, &[GATEWAYS]].concat())?;
        }
        ip(&format!("-n {} link add u0 type veth peer name u1", engine.namespace))?;
        ip(&format!("-n {} addr add {NODE}/24 dev u0", engine.namespace))?;
        for device in ["u0", "u1"] {
            ip(&format!("-n {} link set {device} up", engine.namespace))?;
        }
        engine.docker(&[
            "swarm",
            "init",
            "--advertise-addr",
            NODE,
            "--listen-addr",
            &format!("{NODE}:2377"),
        ])?;
        Ok(Self { engine, image })
    }

    fn overlay(&self, name: &str, subnet: &str) -> Result<()> {
        let words = ["network", "create", "--driver", "overlay", "--attachable", "--subnet", subnet, name];
        self.engine.docker(&words).map(drop)
    }

    /// A container that receives at port 7.
    fn receiver(&self, name: &str, network: &str, options: &[&str]) -> Result<Container> {
        self.run(name, network, options, &["udp-receive", "7", "--idle", "1000s"])
    }

    fn run(&self, name: &str, network: &str, options: &[&str], what: &[&str]) -> Result<Container> {
        let words = ["run", "--detach", "--pull", "never", "--name", name, "--network", network];
        let id = self.engine.docker(&[&words, options, &[&self.image], what].concat())?;
        Ok(Container { name: name.to_owned(), id: id.trim().to_owned() })
    }

    fn connect(&self, container: &Container, network: &str) -> Result<()> {
        self.engine.docker(&["network", "connect", network, &container.id]).map(drop)
    }

    /// A container's address on a network, as that network lists it.
    fn address(&self, of: &Container, network: &str) -> Result<String> {
        let format = format!("{{{{(index .Containers {:?}).IPv4Address}}}}", of.id);
        let told = self.engine.docker(&["network", "inspect", "--format", &format, network])?;
        let (address, _) = told.trim().split_once('/').with_context(|| format!("no address: {told}"))?;
        Ok(address.to_owned())
    }

    fn gateway(&self, network: &str) -> Result<String> {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        Ok(self.engine.docker(&["network", "inspect", "--format", format, network])?.trim().to_owned())
    }

    fn pid(&self, of: &Container) -> Result<u32> {
        Ok(self.engine.docker(&["inspect", "--format", "{{.State.Pid}}", &of.id])?.trim().parse()?)
    }

    fn agent(&self, name: &str) -> Result<Agent> {
        let program = vethwatch().within(&self.engine.namespace).with("DOCKER_HOST", &self.engine.host());
        Agent::start_by(program, name)
    }
}

#[test]
fn between_overlay_networks_and_bridges_every_way_is_told_as_it_is() -> Result<()> {
    let node = Node::start(&[])?;
    node.overlay("vw-ov", "198.51.100.0/24")?;
    node.overlay("vw-other", "203.0.113.0/24")?;
    node.engine.docker(&["network", "create", "vw-net"])?;
    let forwards = ["--sysctl", "net.ipv4.ip_forward=1"];
    let [one, two] = ["vw-one", "vw-two"].map(|name| node.receiver(name, "vw-ov", &[]));
    let (one, two) = (one?, two?);
    let open = node.run("vw-open", "vw-ov", &["--publish", "28080:80"], &["serve-http", "80"])?;
    let [far, away] = ["vw-far", "vw-away"].map(|name| node.receiver(name, "vw-other", &[]));
    let (far, away) = (far?, away?);
    let [shop, mail] = ["vw-shop", "vw-mail"].map(|name| node.receiver(name, "vw-net", &[]));
    let (shop, mail) = (shop?, mail?);
    let both = node.receiver("vw-both", "vw-ov", &forwards)?;
    node.connect(&both, "vw-other")?;
    let mixed = node.receiver("vw-mixed", "vw-net", &forwards)?;
    node.connect(&mixed, "vw-ov")?;
    let agent = node.agent("crossov")?;
    let site = Site { agent: &agent, engine: Some(&node.engine) };
    for container in [&one, &two, &open, &far, &away, &shop, &mail] {
        site.wait_until_watched(container, 1)?;
    }
    for container in [&both, &mixed] {
        site.wait_until_watched(container, 2)?;
    }
    let check = |from, to: &str, port: u16, arrives, says| {
        site.check(&Cell { from, what: Datagrams, to: format!("{to}:{port}"), arrives, says })
    };
    let at = |of: &Container, network: &str| node.address(of, network);

    // Neighbours.
    let neighbours = ["same-network", "allow", "delivered"];
    check(&one, &at(&two, "vw-ov")?, 7, (&two, ALL), neighbours)?;
    check(&both, &at(&far, "vw-other")?, 7, (&far, ALL), neighbours)?;
    check(&mixed, &at(&shop, "vw-net")?, 7, (&shop, ALL), neighbours)?;
    check(&mixed, &at(&one, "vw-ov")?, 7, (&one, ALL), neighbours)?;

    // By docker_gwbridge, whose containers may not talk to each other.
    let blocked = ["cross-network", "deny", "blocked"];
    check(&two, &at(&one, GATEWAYS)?, 7, (&one, NONE), ["icc-disabled", "deny", "blocked"])?;
    check(&one, &at(&shop, "vw-net")?, 7, (&shop, NONE), blocked)?;
    check(&shop, &at(&one, GATEWAYS)?, 7, (&one, NONE), blocked)?;
    for (from, network) in [(&shop, "vw-net"), (&one, GATEWAYS)] {
        // Docker's proxy is a client of its own: the server counts one for each.
        let to = format!("{}:28080", node.gateway(network)?);
        let says = ["published-port", "allow", "answered"];
        site.check(&Cell { from, what: Connections, to, arrives: (&open, ALL), says })?;
    }

    // By a container on both.
    let (crossing, violation) =
        (["cross-network", "allow", "delivered"], ["cross-network", "deny", "delivered"]);
    let at_away = at(&away, "vw-other")?;
    route(&one, node.pid(&one)?, &at_away, &at(&both, "vw-ov")?)?;
    check(&one, &at_away, 7, (&away, ALL), crossing)?;
    let (at_two, at_mail) = (at(&two, "vw-ov")?, at(&mail, "vw-net")?);
    route(&mail, node.pid(&mail)?, &at_two, &at(&mixed, "vw-net")?)?;
    route(&two, node.pid(&two)?, &at_mail, &at(&mixed, "vw-ov")?)?;
    check(&mail, &at_two, 7, (&two, ALL), crossing)?;
    check(&two, &at_mail, 7, (&mail, ALL), violation)?;
    agent.end()
}

#[test]
fn a_gateway_bridge_that_lets_its_containers_talk_is_a_network_like_others() -> Result<()> {
    let gateways = [
        "--opt",
        "com.docker.network.bridge.name=docker_gwbridge",
        "--opt",
        "com.docker.network.bridge.enable_icc=true",
    ];
    let node = Node::start(&gateways)?;
    node.overlay("vw-ov", "198.51.100.0/24")?;
    node.overlay("vw-other", "203.0.113.0/24")?;
    let (one, far) = (node.receiver("vw-one", "vw-ov", &[])?, node.receiver("vw-far", "vw-other", &[])?);
    let agent = node.agent("crossicc")?;
    let site = Site { agent: &agent, engine: Some(&node.engine) };
    site.wait_until_watched(&one, 1)?;
    site.wait_until_watched(&far, 1)?;
    // Two overlay networks are apart, and this is the way between them.
    let to = format!("{}:7", node.address(&far, GATEWAYS)?);
    let says = ["same-network", "allow", "delivered"];
    site.check(&Cell { from: &one, what: Datagrams, to, arrives: (&far, ALL), says })?;
    agent.end()
}
