//! A network of a driver that Docker does not have: a plugin, made here, that gives each container one end of a veth.

use crate::agent::{Agent, PATIENCE, is_watched, send};
use crate::crossings::{ALL, Cell, NONE, Site, What, receiver};
use crate::elsewhere::{ip, ip_in};
use crate::inside::{together, wait_until_exact, wait_until_exact_as};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where Docker looks for plugins.
const FOLDER: &str = "/run/docker/plugins";
/// The host's own address, at each of its ends.
const GATEWAY: &str = "198.18.92.1";

/// A plugin, which answers as long as the process lives, and cannot be found any more when this is dropped.
struct Plugin(PathBuf);

impl Plugin {
    fn start(name: &str) -> Result<Self> {
        fs::create_dir_all(FOLDER)?;
        let socket = Path::new(FOLDER).join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket)?;
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || serve(connection));
            }
        });
        Ok(Self(socket))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Answers one request after another.
fn serve(mut connection: UnixStream) -> Result<()> {
    let mut requests = BufReader::new(connection.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if requests.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            requests.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let told = match answer(&first, &asked) {
            Ok(told) => told.to_string(),
            Err(error) => json!({ "Err": format!("{error:#}") }).to_string(),
        };
        let kind = "application/vnd.docker.plugins.v1.1+json";
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{told}",
            told.len()
        )?;
    }
}

fn answer(request: &str, asked: &Value) -> Result<Value> {
    let method = request.split([' ', '.']).nth(2).context("a method")?;
    let device = || {
        let id = asked["EndpointID"].as_str().and_then(|id| id.get(..8)).context("an endpoint")?;
        anyhow::Ok(format!("vw{id}"))
    };
    Ok(match method {
        "Activate" => json!({ "Implements": ["NetworkDriver"] }),
        "GetCapabilities" => json!({ "Scope": "local" }),
        "CreateEndpoint" => {
            let device = device()?;
            ip(&format!("link add {device} type veth peer name {device}p"))?;
            ip(&format!("addr add {GATEWAY}/32 dev {device}"))?;
            ip(&format!("link set {device} up"))?;
            let address = asked["Interface"]["Address"].as_str().and_then(|it| it.split('/').next());
            ip(&format!("route add {}/32 dev {device}", address.context("an address")?))?;
            json!({})
        }
        // Else Docker makes a network of its own for what is outside, which stays.
        "Join" => json!({
            "InterfaceName": { "SrcName": format!("{}p", device()?), "DstPrefix": "eth" },
            "DisableGatewayService": true,
        }),
        "DeleteEndpoint" => {
            ip(&format!("link del {}", device()?))?;
            json!({})
        }
        "EndpointOperInfo" => json!({ "Value": {} }),
        _ => json!({}),
    })
}

/// A lab's network of a plugin's driver.
fn network(lab: &Lab, driver: &str) -> Result<Network> {
    lab.network("net", &["--driver", driver, "--subnet", "198.18.92.0/24"])
}

/// Whether a container is told to be watched at this device of its own, for that network.
fn is_at_its_device(row: &Value, container: &Container, network: &Network, device: &str) -> bool {
    let networks = row["networks"].as_array().into_iter().flatten();
    let mut its = networks.filter(|at| at["name"] == *network.name);
    its.next().is_some_and(|at| at["interface"] == format!("{device} of {}", &container.id[..12]))
}

#[test]
fn a_container_on_a_plugins_network_is_counted_at_its_own_device_and_told_with_the_driver() -> Result<()> {
    let driver = format!("vwplugin{}", std::process::id());
    let _plugin = Plugin::start(&driver)?;
    let lab = Lab::new("plugin")?;
    let net = network(&lab, &driver)?;
    let one = lab.container("one").on(&net).run(&["sleep"])?;
    let agent = Agent::start("plugin")?;
    let is_on = |row: &Value| {
        is_watched(row)
            && row["networks"][0]["driver"] == *driver
            && is_at_its_device(row, &one, &net, "eth0")
    };
    agent.wait_for_row("its device to be watched", &one, is_on)?;
    send(&one, &format!("{GATEWAY}:9"), 100, 50)?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64() >= Some(100);
    agent.wait_for_row("what it sent", &one, sent)?;
    wait_until_exact(&agent, &one)?;
    one.disconnect(&net)?;
    let is_gone = |row: &Option<Value>| row.as_ref().is_none_or(|row| !is_watched(row));
    wait_for("it to be watched no longer", PATIENCE, || Ok(is_gone(&agent.row(&one)?).then_some(())))?;

    // And again, beside a bridge network.
    let bridge = lab.network("bridge", &[])?;
    let roamer = lab.container("roamer").on(&bridge).run(&["sleep"])?;
    let on_bridge = agent.wait_for_row("the bridge network", &roamer, is_watched)?;
    let held = agent.holds()?;
    roamer.connect(&net)?;
    let both = |row: &Value| is_at_its_device(row, &roamer, &net, "eth1") && row["unaccounted_bytes"] == 0;
    agent.wait_for_row("both networks", &roamer, both)?;
    send(&roamer, &format!("{GATEWAY}:9"), 60, 50)?;
    let devices = || Ok(together(roamer.own_counters("eth0")?, &roamer.own_counters("eth1")?));
    let row = wait_until_exact_as(&agent, &roamer, devices)?;
    ensure!(
        row["sent"]["packets"].as_u64() >= on_bridge["sent"]["packets"].as_u64().map(|it| it + 60),
        "{row}"
    );
    roamer.disconnect(&net)?;
    let alone = |row: &Value| row["networks"].as_array().map(Vec::len) == Some(1) && is_watched(row);
    agent.wait_for_row("the bridge network alone", &roamer, alone)?;
    agent.wait_until_holds(&held)?;
    agent.end()
}

#[test]
fn between_a_plugins_network_and_a_bridge_every_way_is_told_as_it_is() -> Result<()> {
    let driver = format!("vwcross{}", std::process::id());
    let _plugin = Plugin::start(&driver)?;
    let lab = Lab::new("crossplug")?;
    let (net, bridge) = (network(&lab, &driver)?, lab.network("bridge", &[])?);
    let one = receiver(&lab, "one", &net, &[])?;
    let shop = receiver(&lab, "shop", &bridge, &[])?;
    let open = receiver(&lab, "open", &bridge, &["--publish", "7/udp"])?;
    let both = receiver(&lab, "both", &bridge, &[])?;
    both.connect(&net)?;
    // The plugin tells Docker of no gateway.
    ip_in(one.pid()?, &format!("route add default via {GATEWAY}"))?;
    let agent = Agent::start("crossplug")?;
    let site = Site { agent: &agent, engine: None };
    for (container, at) in [(&one, 1), (&shop, 1), (&open, 1), (&both, 2)] {
        site.wait_until_watched(container, at)?;
    }
    let check = |from, to: &str, port: u16, arrives, says| {
        site.check(&Cell { from, what: What::Datagrams, to: format!("{to}:{port}"), arrives, says })
    };
    check(&shop, &both.address(&bridge)?, 7, (&both, ALL), ["same-network", "allow", "delivered"])?;
    check(&shop, &one.address(&net)?, 7, (&one, ALL), ["cross-network", "allow", "delivered"])?;
    check(&one, &shop.address(&bridge)?, 7, (&shop, NONE), ["cross-network", "deny", "blocked"])?;
    let violation = ["cross-network", "deny", "delivered"];
    check(&one, &open.address(&bridge)?, 7, (&open, ALL), violation)?;
    let port = open.published_port("7/udp")?;
    check(&one, GATEWAY, port, (&open, ALL), ["published-port", "allow", "delivered"])?;
    agent.end()
}
