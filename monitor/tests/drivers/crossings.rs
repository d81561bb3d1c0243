//! What goes between networks of other drivers and bridges: each cell is sent, its receiver's kernel is asked what came, and
//! what is told of it is compared.

use crate::agent::{Agent, PATIENCE, is_watched};
use crate::elsewhere::{ip, ip_in};
use anyhow::{Context, Result, ensure};
use lab::{Container, Engine, Lab, Network, Outside, Segment, docker, wait_for};
use serde_json::Value;
use std::fs;
use std::net::UdpSocket;

/// How many of it are sent of each cell.
const COUNT: u64 = 20;
/// What arrives of them.
pub(crate) const ALL: u64 = COUNT;
pub(crate) const NONE: u64 = 0;
/// The segment's addresses, for documentation (RFC 5737).
const SUBNET: &str = "192.0.2.0/24";
const GATEWAY: &str = "192.0.2.1";

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Datagrams,
    /// Which are opened to a server of HTTP, which answers.
    Connections,
}

/// One row of the table: who sends what to which address and port.
pub(crate) struct Cell<'a> {
    pub(crate) from: &'a Container,
    pub(crate) what: What,
    pub(crate) to: String,
    /// Whose kernel is asked, and what has to arrive there.
    pub(crate) arrives: (&'a Container, u64),
    /// The rule, what it expects, and the outcome.
    pub(crate) says: [&'a str; 3],
}

/// An agent, and the engine that it watches, if that is one of the test's own.
pub(crate) struct Site<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) engine: Option<&'a Engine>,
}

impl Site<'_> {
    fn docker(&self, words: &[&str]) -> Result<String> {
        self.engine.map_or_else(|| docker(words), |engine| engine.docker(words))
    }

    /// What a container's kernel says to have handed to its sockets.
    fn received(&self, what: What, container: &Container) -> Result<u64> {
        let pid = self.docker(&["inspect", "--format", "{{.State.Pid}}", &container.id])?;
        let counters = fs::read_to_string(format!("/proc/{}/net/snmp", pid.trim()))?;
        let (protocol, counter) = match what {
            What::Datagrams => ("Udp: ", "InDatagrams"),
            What::Connections => ("Tcp: ", "PassiveOpens"),
        };
        let mut lines = counters.lines().filter_map(|line| line.strip_prefix(protocol));
        let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
        let mut both = names.split(' ').zip(values.split(' '));
        let (_, value) = both.find(|(name, _)| *name == counter).context("a counter")?;
        Ok(value.parse()?)
    }

    /// Waits until a container is watched at so many interfaces.
    pub(crate) fn wait_until_watched(&self, container: &Container, at: usize) -> Result<()> {
        let is_at = |row: &Value| {
            let networks = row["networks"].as_array().into_iter().flatten();
            is_watched(row) && networks.filter(|network| network["interface"].is_string()).count() >= at
        };
        self.agent.wait_for_row("all its devices to be watched", container, is_at).map(drop)
    }

    /// Sends what a cell says, and compares what came of it and what is told.
    pub(crate) fn check(&self, cell: &Cell<'_>) -> Result<()> {
        let Cell { from, what, to, arrives: (whom, expected), says } = cell;
        let before = self.received(*what, whom)?;
        let (count, url) = (COUNT.to_string(), format!("http://{to}/"));
        let (words, protocol) = match what {
            What::Datagrams => (["udp-send", to, "--rate", "200"], "udp"),
            What::Connections => (["get", &url, "--every", "5ms"], "tcp"),
        };
        self.docker(&[&["exec", &from.id, "/testbox"], &words[..], &["--count", &count]].concat())?;
        let (address, port) = to.rsplit_once(':').context("a port")?;
        let port: u16 = port.parse()?;
        let is_it = |pair: &Value| {
            let server = &pair["server"];
            pair["client"]["container"]["id"] == *from.id
                && pair["protocol"] == protocol
                && server["address"] == *address
                && server["port"] == port
        };
        let mut last = Value::Null;
        let told = wait_for("what is told", PATIENCE, || {
            let pairs = self.agent.ask("pairs")?;
            last = pairs.into_iter().find(is_it).unwrap_or_default();
            let verdict = &last["verdict"];
            let fits = [&verdict["rule"], &verdict["expected"], &verdict["outcome"]] == *says;
            let arrived = self.received(*what, whom)? - before;
            Ok((fits && arrived == *expected).then_some(()))
        });
        told.with_context(|| {
            let arrived = self.received(*what, whom).map(|now| now - before);
            format!("{} to {to}: {expected} and {says:?} expected, {arrived:?} and {last:#}", from.name)
        })
    }
}

/// A container that receives at port 7.
pub(crate) fn receiver(lab: &Lab, name: &str, on: &Network, options: &[&str]) -> Result<Container> {
    let receive = ["udp-receive", "7", "--idle", "1000s"];
    lab.container(name).on(on).options(options).run(&receive)
}

/// Has a container reach an address by another one.
pub(crate) fn route(container: &Container, pid: u32, to: &str, by: &str) -> Result<()> {
    ip_in(pid, &format!("route add {to}/32 via {by}")).with_context(|| container.name.clone())
}

/// A namespace between a segment and the host, which forwards between them; the host knows the way to the segment.
fn router(segment: &Segment) -> Result<Outside> {
    let router = Outside::new(&[])?;
    ip(&format!("link set {} netns {}", segment.other, router.name))?;
    ip(&format!("-n {} addr add {GATEWAY}/24 dev {}", router.name, segment.other))?;
    ip(&format!("-n {} link set {} up", router.name, segment.other))?;
    router.run(&["sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"])?;
    ip(&format!("route add {SUBNET} via {} dev {}", router.address, router.device))?;
    Ok(router)
}

#[test]
fn between_a_macvlan_network_and_a_bridge_every_way_is_told_as_it_is() -> Result<()> {
    let segment = Segment::new("c")?;
    let router = router(&segment)?;
    let lab = Lab::new("crosslan")?;
    let net = lab.network("net", &[])?;
    let lan = lab.macvlan("lan", &segment, &["--subnet", SUBNET, "--gateway", GATEWAY])?;
    let Some(lan) = lan else { return Ok(()) };
    let [camera, printer] = ["camera", "printer"].map(|name| receiver(&lab, name, &lan, &[]));
    let [shop, mail] = ["shop", "mail"].map(|name| receiver(&lab, name, &net, &[]));
    let (camera, printer, shop, mail) = (camera?, printer?, shop?, mail?);
    let open = receiver(&lab, "open", &net, &["--publish", "7/udp"])?;
    let both = receiver(&lab, "both", &net, &["--sysctl", "net.ipv4.ip_forward=1"])?;
    both.connect(&lan)?;
    let agent = Agent::start("crosslan")?;
    let site = Site { agent: &agent, engine: None };
    for container in [&camera, &printer, &shop, &mail, &open] {
        site.wait_until_watched(container, 1)?;
    }
    site.wait_until_watched(&both, 2)?;
    let check = |from, to: &str, port: u16, arrives, says| {
        site.check(&Cell { from, what: What::Datagrams, to: format!("{to}:{port}"), arrives, says })
    };
    let (at_lan, at_net) = (both.address(&lan)?, both.address(&net)?);
    let address = |of: &Container, on| of.address(on);

    // A container on both is a neighbour of either.
    let neighbours = ["same-network", "allow", "delivered"];
    check(&shop, &at_net, 7, (&both, ALL), neighbours)?;
    check(&camera, &at_lan, 7, (&both, ALL), neighbours)?;
    check(&both, &address(&shop, &net)?, 7, (&shop, ALL), neighbours)?;
    check(&both, &address(&camera, &lan)?, 7, (&camera, ALL), neighbours)?;

    // By the host and the segment's router.
    let crossing = ["cross-network", "allow", "delivered"];
    check(&shop, &address(&camera, &lan)?, 7, (&camera, ALL), crossing)?;
    check(&camera, &address(&shop, &net)?, 7, (&shop, NONE), ["cross-network", "deny", "blocked"])?;
    // Docker lets everybody to a container's own address and port that is published.
    let violation = ["cross-network", "deny", "delivered"];
    check(&camera, &address(&open, &net)?, 7, (&open, ALL), violation)?;
    let port = open.published_port("7/udp")?;
    check(&camera, &router.host, port, (&open, ALL), ["published-port", "allow", "delivered"])?;

    // By the container on both.
    let (at_mail, at_printer) = (address(&mail, &net)?, address(&printer, &lan)?);
    route(&mail, mail.pid()?, &at_printer, &at_net)?;
    route(&printer, printer.pid()?, &at_mail, &at_lan)?;
    check(&mail, &at_printer, 7, (&printer, ALL), crossing)?;
    check(&printer, &at_mail, 7, (&mail, ALL), violation)?;

    // The host answers.
    let service = UdpSocket::bind((router.host.as_str(), 0))?;
    let at = service.local_addr()?.port();
    let echo = std::thread::spawn(move || -> Result<()> {
        let mut datagram = [0; 2_048];
        for _ in 0..COUNT {
            let (length, from) = service.recv_from(&mut datagram)?;
            service.send_to(&datagram[..length], from)?;
        }
        Ok(())
    });
    check(&camera, &router.host, at, (&shop, NONE), ["host-access", "allow", "answered"])?;
    echo.join().expect("the thread does not panic")?;
    for container in [&camera, &printer, &shop, &mail, &open, &both] {
        let exact = |row: &Value| row["unaccounted_bytes"] == 0;
        agent.wait_for_row("exact counts", container, exact)?;
    }
    ensure!(both.own_programs("eth1")? == 2, "its device on the segment");
    agent.end()
}
