//! What changes while vethwatch runs: containers renamed, paused, restarted, connected and disconnected, sharing a
//! namespace; a Docker daemon that goes away and returns.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch, docker, wait_for};
use serde_json::Value;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// Sends ten datagrams from a container to a port of an address; nobody needs to listen.
fn send(from: &Container, to: &str, port: u16) -> Result<()> {
    from.exec(&["/testbox", "udp-send", &format!("{to}:{port}"), "--count", "10", "--rate", "100"]).map(drop)
}

/// The flows to a remote port, once all ten datagrams are in them.
fn flows_to(running: &mut Running, port: u16) -> Result<Vec<Value>> {
    running.wait_for(&format!("ten datagrams to port {port}"), PATIENCE, |lines| {
        let flows: Vec<Value> = lines
            .iter()
            .filter(|line| {
                line["type"] == "flow" && line["remote"]["port"] == port && line["sent"]["packets"] != 0
            })
            .cloned()
            .collect();
        let packets: u64 = flows.iter().filter_map(|flow| flow["sent"]["packets"].as_u64()).sum();
        (packets >= 10).then_some(flows)
    })
}

struct Stage {
    lab: Lab,
    network: Network,
    receiver: Container,
    address: String,
    running: Running,
}

impl Stage {
    fn new(name: &str, vethwatch: &Vethwatch) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let receiver = lab.container("receiver").on(&network).run(&["sleep"])?;
        let address = receiver.address(&network)?;
        let mut running = vethwatch.start(&["flows", "--json"])?;
        running.wait_until_watching(&lab, &network, &address)?;
        Ok(Self { lab, network, receiver, address, running })
    }

    /// Has a container send to a port that nothing else is sent to, until a flow to it is told as wanted: then it is known
    /// what Docker says of the container.
    fn wait_until_told(&self, from: &Container, port: u16, is_wanted: impl Fn(&Value) -> bool) -> Result<()> {
        wait_for(&format!("flows to port {port} as wanted"), PATIENCE, || {
            send(from, &self.address, port)?;
            let flows = self.running.lines("flow");
            Ok(flows.iter().any(|flow| flow["remote"]["port"] == port && is_wanted(flow)).then_some(()))
        })
    }
}

#[test]
fn a_renamed_paused_and_restarted_container_keeps_its_identity() -> Result<()> {
    let mut stage = Stage::new("live-rename", &vethwatch())?;
    let sender = stage.lab.container("sender").on(&stage.network).run(&["sleep"])?;
    send(&sender, &stage.address, 4_001)?;
    for flow in flows_to(&mut stage.running, 4_001)? {
        ensure!(flow["local"]["container"]["name"] == *sender.name, "{flow}");
        ensure!(flow["remote"]["container"]["name"] == *stage.receiver.name, "{flow}");
    }
    let renamed = format!("{}-renamed", sender.name);
    docker(&["rename", &sender.id, &renamed])?;
    docker(&["pause", &sender.id])?;
    docker(&["unpause", &sender.id])?;
    stage.wait_until_told(&sender, 4_009, |flow| flow["local"]["container"]["name"] == *renamed)?;
    send(&sender, &stage.address, 4_002)?;
    for flow in flows_to(&mut stage.running, 4_002)? {
        ensure!(flow["local"]["container"]["name"] == *renamed, "{flow}");
    }
    docker(&["restart", "--time", "0", &sender.id])?;
    send(&sender, &stage.address, 4_003)?;
    for flow in flows_to(&mut stage.running, 4_003)? {
        ensure!(flow["local"]["container"]["id"] == *sender.id, "{flow}");
        ensure!(flow["local"]["container"]["name"] == *renamed, "{flow}");
    }
    stage.lab.close()
}

#[test]
fn networks_that_are_joined_and_left_meanwhile_are_told_apart() -> Result<()> {
    let mut stage = Stage::new("live-connect", &vethwatch())?;
    let other = stage.lab.network("other", &["--ipv6", "--subnet", "fd76:7700:2::/64"])?;
    let there = stage.lab.container("there").on(&other).run(&["sleep"])?;
    let sender = stage.lab.container("sender").on(&stage.network).run(&["sleep"])?;
    sender.connect(&other)?;
    send(&sender, &there.address(&other)?, 4_011)?;
    for flow in flows_to(&mut stage.running, 4_011)? {
        ensure!(flow["network"]["name"] == *other.name, "{flow}");
        ensure!(flow["local"]["container"]["id"] == *sender.id, "{flow}");
        ensure!(flow["remote"]["container"]["id"] == *there.id, "{flow}");
    }
    send(&sender, &format!("[{}]", there.ipv6_address(&other)?), 4_012)?;
    for flow in flows_to(&mut stage.running, 4_012)? {
        ensure!(flow["network"]["name"] == *other.name, "{flow}");
        ensure!(flow["remote"]["container"]["id"] == *there.id, "{flow}");
    }
    send(&sender, &stage.address, 4_013)?;
    for flow in flows_to(&mut stage.running, 4_013)? {
        ensure!(flow["network"]["name"] == *stage.network.name, "{flow}");
    }
    sender.disconnect(&other)?;
    sender.connect(&other)?;
    send(&sender, &there.address(&other)?, 4_014)?;
    for flow in flows_to(&mut stage.running, 4_014)? {
        ensure!(flow["local"]["container"]["id"] == *sender.id, "{flow}");
    }
    stage.lab.close()
}

#[test]
fn two_containers_in_one_namespace_are_one_owner_with_two_names() -> Result<()> {
    let mut stage = Stage::new("live-shared", &vethwatch())?;
    let owner = stage.lab.container("owner").on(&stage.network).run(&["sleep"])?;
    let namespace = format!("container:{}", owner.id);
    let guest = stage.lab.container("guest").options(&["--network", &namespace]).run(&["sleep"])?;
    let has_guest = |flow: &Value| {
        let names = flow["local"]["shares_namespace_with"].as_array();
        names.is_some_and(|names| names.iter().any(|name| name == &guest.name))
    };
    stage.wait_until_told(&guest, 4_029, has_guest)?;
    send(&guest, &stage.address, 4_021)?;
    for flow in flows_to(&mut stage.running, 4_021)? {
        ensure!(flow["local"]["container"]["id"] == *owner.id, "{flow}");
        ensure!(has_guest(&flow), "{flow}");
    }
    stage.lab.close()
}

#[test]
fn fifty_containers_that_run_already_are_all_watched() -> Result<()> {
    let lab = Lab::new("live-fifty")?;
    let network = lab.network("net", &[])?;
    let containers = (0..50)
        .map(|number| lab.container(&number.to_string()).on(&network).run(&["sleep"]))
        .collect::<Result<Vec<_>>>()?;
    let lines = vethwatch().json(&["top", "--once", "--json"])?;
    for container in &containers {
        let row = lines.iter().find(|line| line["id"] == *container.id).context("it is listed")?;
        ensure!(row["networks"][0]["interface"].is_string(), "it is not watched: {row}");
        ensure!(row["unaccounted_bytes"] == 0, "{row}");
    }
    lab.close()
}

/// The engine's socket behind another one, which can be cut and mended.
struct Proxy {
    path: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Proxy {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vw-live-{}.sock", std::process::id()));
        let proxy = Self { path, open: Arc::default() };
        proxy.mend()?;
        Ok(proxy)
    }

    /// Listens. The thread lives as long as the test: nobody finds a socket whose file is gone.
    fn mend(&self) -> Result<()> {
        let listener = UnixListener::bind(&self.path).context("listening")?;
        let open = Arc::clone(&self.open);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(engine) = UnixStream::connect("/var/run/docker.sock") else { return };
                for (from, to) in [(&client, &engine), (&engine, &client)] {
                    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
                    open.lock().unwrap_or_else(PoisonError::into_inner).extend(from.try_clone());
                    std::thread::spawn(move || {
                        // Either end may close at any time.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Ok(())
    }

    fn cut(&self) {
        // Gone already when the test ends while it is cut.
        let _ = std::fs::remove_file(&self.path);
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

#[test]
fn an_engine_that_goes_away_and_returns_costs_names_and_no_counts() -> Result<()> {
    let proxy = Proxy::new()?;
    let vethwatch = vethwatch().with("DOCKER_HOST", &format!("unix://{}", proxy.path.display()));
    let mut stage = Stage::new("live-away", &vethwatch)?;
    let known = stage.lab.container("known").on(&stage.network).run(&["sleep"])?;
    send(&known, &stage.address, 4_031)?;
    flows_to(&mut stage.running, 4_031)?;

    proxy.cut();
    let stranger = stage.lab.container("stranger").on(&stage.network).run(&["sleep"])?;
    let device = stranger.host_device(&stage.network)?;
    send(&known, &stage.address, 4_032)?;
    for flow in flows_to(&mut stage.running, 4_032)? {
        ensure!(flow["local"]["container"]["id"] == *known.id, "a name that was known is lost: {flow}");
    }
    send(&stranger, &stage.address, 4_033)?;
    for flow in flows_to(&mut stage.running, 4_033)? {
        ensure!(flow["local"]["kind"] == "unknown", "nobody could know this one: {flow}");
        ensure!(flow["observed_at"]["interface"] == *device.name, "{flow}");
    }

    proxy.mend()?;
    let named = stage.running.wait_for("the stranger's name", PATIENCE, |lines| {
        // One datagram each time it is looked: the first flow after the engine is back has the name.
        send(&stranger, &stage.address, 4_034).ok()?;
        lines.iter().find(|line| line["local"]["container"]["id"] == *stranger.id).cloned()
    })?;
    ensure!(named["local"]["container"]["name"] == *stranger.name, "{named}");
    stage.lab.close()
}
