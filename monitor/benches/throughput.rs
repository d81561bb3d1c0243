//! What watching costs the traffic: TCP and UDP throughput and requests a second between two containers, without
//! vethwatch, with it silent, and with it printing every flow, in turn beside the same running load, with the confidence
//! interval of the ratio and the CPU time an operation.
//!
//! `cargo xtask bench throughput`; `cargo bench -p monitor --bench throughput -- ROUNDS` for more rounds; needs root,
//! Docker, and the image `vw-lab`.

mod measure;

use anyhow::{Context, Result};
use lab::{Container, Device, Lab, Network, image, wait_for};
use measure::process::{Agent, machine_ticks};
use measure::statistics::{Sample, ratio};
use monitor::collector::clock::kernel_now;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// How long one reading of a rate takes.
const WINDOW: Duration = Duration::from_millis(1_500);
/// What starting or stopping an agent, or a load, is given to be over.
const SETTLE: Duration = Duration::from_millis(300);
/// Rounds beside one load, before it is started anew: a connection keeps the processors it happened to get.
const ROUNDS_A_LOAD: usize = 5;

/// What runs beside the load: nothing, or vethwatch with these arguments.
const ARMS: [Option<&[&str]>; 3] =
    [None, Some(&["containers", "--for", "1h"]), Some(&["flows", "--json", "--for", "1h"])];

/// One kind of load.
struct Load {
    name: &'static str,
    /// What [`Load::done`] counts.
    operation: &'static str,
    /// Smallest ratio allowed for the silent agent, where the project has set one.
    allowed: Option<f64>,
    /// The client's words, to which the server's address is added.
    client: &'static [&'static str],
    /// Operations so far.
    done: fn(&Scene) -> Result<u64>,
}

const LOADS: [Load; 3] = [
    Load {
        name: "TCP, one stream",
        operation: "segment",
        allowed: Some(0.98),
        client: &["iperf3", "-t", "0", "-c"],
        done: segments,
    },
    Load {
        name: "UDP, 64 B",
        operation: "packet",
        allowed: Some(0.92),
        client: &["iperf3", "-t", "0", "-u", "-l", "64", "-b", "0", "-c"],
        done: packets,
    },
    Load {
        name: "HTTP, nginx and wrk",
        operation: "request",
        allowed: None,
        client: &["wrk", "-t1", "-c16", "-d1h"],
        done: requests,
    },
];

fn main() -> Result<()> {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(20);
    let scene = Scene::new()?;
    println!(
        "{rounds} rounds beside a load between two containers; each round has a window of {} ms without vethwatch, one \
         with `vethwatch containers` (silent: it keeps everything and prints at its end) and one with `vethwatch flows \
         --json`, whose output is read; which comes first changes from round to round, and the load is started anew \
         every {ROUNDS_A_LOAD} rounds. The ratio is the median of the rounds' with/without, its interval 95 %. CPU is \
         what the whole machine spent an operation (servers, clients, kernel, agent), softirq the part in softirq.\n",
        WINDOW.as_millis()
    );
    println!(
        "| load | a second without | ratio, silent | allowed | ratio, streaming | CPU without → silent → streaming | softirq \
         without → silent → streaming |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    LOADS.iter().try_for_each(|load| measure_load(&scene, load, rounds))
}

/// Measurements beside one arm.
#[derive(Default)]
struct Side {
    rate: Sample,
    busy: Sample,
    softirq: Sample,
}

fn measure_load(scene: &Scene, load: &Load, rounds: usize) -> Result<()> {
    let mut sides: [Side; 3] = Default::default();
    let mut client = None;
    for round in 0..rounds {
        if round % ROUNDS_A_LOAD == 0 {
            client.take().map(Container::remove).transpose()?;
            client = Some(scene.start(load)?);
        }
        for turn in 0..ARMS.len() {
            let arm = (round + turn) % ARMS.len();
            let agent = ARMS[arm].map(|words| Agent::start(words, &scene.device)).transpose()?;
            sleep(SETTLE);
            sides[arm].read(scene, load)?;
            drop(agent);
        }
    }
    client.map(Container::remove).transpose()?;
    let [without, silent, streaming] = &sides;
    let ratio = |side: &Side| {
        let ratio = ratio(&without.rate, &side.rate);
        format!("{:.4} ({:.4} to {:.4})", ratio.median, ratio.low, ratio.high)
    };
    let spent = |of: fn(&Side) -> &Sample| {
        let [without, silent, streaming] = sides.each_ref().map(|side| of(side).median());
        format!("{without:.0} → {silent:.0} → {streaming:.0} ns a {}", load.operation)
    };
    println!(
        "| {} | {:.0} {}s | {} | {} | {} | {} | {} |",
        load.name,
        without.rate.median(),
        load.operation,
        ratio(silent),
        load.allowed.map_or_else(|| "–".to_owned(), |allowed| format!("≥ {allowed}")),
        ratio(streaming),
        spent(|side| &side.busy),
        spent(|side| &side.softirq),
    );
    Ok(())
}

impl Side {
    /// Reads the rate and the price over one window.
    fn read(&mut self, scene: &Scene, load: &Load) -> Result<()> {
        let (start, ticks, done) = (kernel_now(), machine_ticks(), (load.done)(scene)?);
        sleep(WINDOW);
        let (end, ticks_then, done_then) = (kernel_now(), machine_ticks(), (load.done)(scene)?);
        #[expect(clippy::cast_precision_loss, reason = "what one window holds is small")]
        let operations = (done_then - done) as f64;
        self.rate.push(operations / end.since(start).as_secs_f64());
        self.softirq.push(nanoseconds(ticks_then.0 - ticks.0) / operations);
        self.busy.push(nanoseconds(ticks_then.1 - ticks.1) / operations);
        Ok(())
    }
}

/// `/proc/stat` counts in ticks of 10 ms.
#[expect(clippy::cast_precision_loss, reason = "the ticks of one window are few")]
fn nanoseconds(ticks: u64) -> f64 {
    ticks as f64 * 1e7
}

/// A server of everything on a network.
struct Scene {
    address: String,
    /// The host's end of the server's interface.
    device: Device,
    _server: Container,
    network: Network,
    debian: String,
    lab: Lab,
}

impl Scene {
    fn new() -> Result<Self> {
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
    fn start(&self, load: &Load) -> Result<Container> {
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
