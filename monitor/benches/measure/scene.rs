//! A server between containers, and loads for it.

use anyhow::{Context, Result};
use lab::{Container, Device, Lab, Network, image, wait_for};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// What starting or stopping an agent, or a load, is given to be over.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);

/// One kind of load.
pub(crate) struct Load {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What [`Load::done`] counts.
    pub(crate) operation: &'static str,
    /// Smallest ratio allowed for the silent agent, where the project has set one.
    pub(crate) allowed: Option<f64>,
    /// The client's words, to which the server's address is added.
    client: &'static [&'static str],
    /// What its processes are called.
    pub(crate) processes: &'static [&'static str],
    /// Operations so far.
    pub(crate) done: fn(&Scene) -> Result<u64>,
}

/// The loads.
pub(crate) const LOADS: [Load; 3] = [
    Load {
        name: "TCP, one stream",
        operation: "segment",
        allowed: Some(0.98),
        client: &["iperf3", "-t", "0", "-c"],
        processes: &["iperf3"],
        done: segments,
    },
    Load {
        name: "UDP, 64 B",
        operation: "packet",
        allowed: Some(0.92),
        client: &["iperf3", "-t", "0", "-u", "-l", "64", "-b", "0", "-c"],
        processes: &["iperf3"],
        done: packets,
    },
    Load {
        name: "HTTP, nginx and wrk",
        operation: "request",
        allowed: None,
        client: &["wrk", "-t1", "-c16", "-d1h"],
        processes: &["nginx", "wrk"],
        done: requests,
    },
];

/// A server of everything on a network.
pub(crate) struct Scene {
    address: String,
    /// The host's end of the server's interface.
    pub(crate) device: Device,
    _server: Container,
    network: Network,
    debian: String,
    lab: Lab,
}

impl Scene {
    /// Starts it.
    pub(crate) fn new() -> Result<Self> {
        let lab = Lab::new("bench")?;
        let network = lab.network("net", &[])?;
        let debian = image::ready(image::DEBIAN)?;
        let serve = "iperf3 -s >/dev/null & echo hello >/tmp/index.html; \
            printf 'daemon off; worker_processes 1; pid /tmp/pid; error_log /dev/null; events {} http { access_log off; \
            keepalive_requests 1000000000; server { listen 80; root /tmp; location /status { stub_status; } } }' \
            >/tmp/nginx.conf; exec nginx -c /tmp/nginx.conf";
        let server = lab.container("server").image(&debian).on(&network).run(&["sh", "-c", serve])?;
        let address = server.address(&network)?;
        let device = server.host_device(&network)?;
        let scene = Self { address, device, _server: server, network, debian, lab };
        wait_for("nginx to answer", Duration::from_secs(10), || Ok(requests(&scene).ok()))?;
        Ok(scene)
    }

    /// One of the device's counters, read in some microseconds: the processors are full.
    fn counter(&self, name: &str) -> Result<u64> {
        let path = format!("/sys/class/net/{}/statistics/{name}", self.device.name);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Ok(text.trim().parse()?)
    }

    /// Starts a client; the load ends when it is removed.
    pub(crate) fn start(&self, load: &Load) -> Result<Container> {
        let target = if load.client[0] == "wrk" {
            format!("http://{}:80/index.html", self.address)
        } else {
            self.address.clone()
        };
        let words = [load.client, &[&target]].concat();
        let client = self.lab.container("client").image(&self.debian).on(&self.network).run(&words)?;
        let before = (load.done)(self)?;
        wait_for("the load to run", Duration::from_secs(10), || {
            Ok(((load.done)(self)? > before + 1_000).then_some(()))
        })?;
        sleep(SETTLE);
        Ok(client)
    }
}

/// Segments of 1,448 B: what one carries at an MTU of 1,500 with timestamps. The device counts what the server receives
/// as sent.
fn segments(scene: &Scene) -> Result<u64> {
    Ok(scene.counter("tx_bytes")? / 1_448)
}

fn packets(scene: &Scene) -> Result<u64> {
    scene.counter("tx_packets")
}

/// Requests that nginx has taken so far.
fn requests(scene: &Scene) -> Result<u64> {
    let mut connection = TcpStream::connect((scene.address.as_str(), 80))?;
    connection.write_all(b"GET /status HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    connection.read_to_string(&mut page)?;
    let (_, counts) = page.split_once("requests").context("a status page")?;
    counts.split_whitespace().nth(2).context("a count of requests")?.parse().context("reading the count")
}
