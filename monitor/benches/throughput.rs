//! What watching costs the traffic: TCP and UDP throughput and requests a second between two containers, with and
//! without vethwatch, alternating, with the confidence interval of the ratio and the CPU time an operation.
//!
//! `cargo xtask bench throughput`; `cargo bench -p monitor --bench throughput -- PAIRS` for more pairs; needs root, Docker, and the image `vw-lab`.

mod measure;

use anyhow::{Context, Result};
use lab::{Container, Device, Lab, image, wait_for};
use measure::process::{Agent, machine_ticks};
use measure::statistics::{Sample, ratio};
use std::time::Duration;

/// Seconds of load of one run.
const SECONDS: u32 = 3;

/// One kind of load.
struct Load {
    name: &'static str,
    unit: &'static str,
    /// What `operations` of a [`Run`] counts.
    operation: &'static str,
    /// Smallest ratio allowed, where the project has set one.
    allowed: Option<f64>,
    run: fn(&Scene) -> Result<Run>,
}

/// What a run did.
struct Run {
    /// In the load's unit.
    rate: f64,
    /// Segments, datagrams or requests it took.
    operations: f64,
}

const LOADS: [Load; 3] = [
    Load { name: "TCP, one stream", unit: "Gbit/s", operation: "segment", allowed: Some(0.98), run: tcp },
    Load { name: "UDP, 64 B", unit: "packets/s", operation: "packet", allowed: Some(0.92), run: udp },
    Load { name: "HTTP, nginx and wrk", unit: "requests/s", operation: "request", allowed: None, run: http },
];

fn main() -> Result<()> {
    let pairs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(20);
    let scene = Scene::new()?;
    println!(
        "{pairs} alternating pairs of {SECONDS} s each between two containers; in one run of each pair `vethwatch \
         flows --json` runs and its output is read. The ratio is the median of the pairs' with/without, its interval 95 %. CPU is what the whole \
         machine spent (servers, clients, kernel, agent), softirq the part in softirq.\n"
    );
    println!("| load | without | with | ratio | allowed | CPU without → with | softirq without → with |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    LOADS.iter().try_for_each(|load| measure_load(&scene, load, pairs))
}

/// Measurements of one load without (0) and with (1) the agent.
#[derive(Default)]
struct Side {
    rate: Sample,
    busy: Sample,
    softirq: Sample,
}

fn measure_load(scene: &Scene, load: &Load, pairs: usize) -> Result<()> {
    let mut sides = [Side::default(), Side::default()];
    (load.run)(scene).with_context(|| format!("warming up {}", load.name))?;
    for pair in 0..pairs {
        // Which of the two goes first alternates as well, so that a drift of the machine favours neither.
        for with in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            let agent =
                with.then(|| Agent::start(&["flows", "--json", "--for", "1h"], &scene.device)).transpose()?;
            let before = machine_ticks();
            let run = (load.run)(scene)?;
            let after = machine_ticks();
            drop(agent);
            let side = &mut sides[usize::from(with)];
            side.rate.push(run.rate);
            side.softirq.push(nanoseconds(after.0 - before.0) / run.operations);
            side.busy.push(nanoseconds(after.1 - before.1) / run.operations);
        }
    }
    let [without, with] = &sides;
    let ratio = ratio(&without.rate, &with.rate);
    println!(
        "| {} ({}) | {:.4} | {:.4} | {:.4} ({:.4} to {:.4}) | {} | {:.0} → {:.0} ns a {operation} | {:.0} → {:.0} ns a \
         {operation} |",
        load.name,
        load.unit,
        without.rate.median(),
        with.rate.median(),
        ratio.median,
        ratio.low,
        ratio.high,
        load.allowed.map_or_else(|| "–".to_owned(), |allowed| format!("≥ {allowed}")),
        without.busy.median(),
        with.busy.median(),
        without.softirq.median(),
        with.softirq.median(),
        operation = load.operation,
    );
    Ok(())
}

/// `/proc/stat` counts in ticks of 10 ms.
#[expect(clippy::cast_precision_loss, reason = "the ticks of one run are few")]
fn nanoseconds(ticks: u64) -> f64 {
    ticks as f64 * 1e7
}

/// Two containers on a network: a server of everything, and a client.
struct Scene {
    client: Container,
    address: String,
    /// The host's end of the server's interface.
    device: Device,
    _server: Container,
    _lab: Lab,
}

impl Scene {
    fn new() -> Result<Self> {
        let lab = Lab::new("bench")?;
        let network = lab.network("net", &[])?;
        let debian = image::ready(image::DEBIAN)?;
        let serve = "iperf3 -s >/dev/null & echo hello >/tmp/index.html; \
            printf 'daemon off; worker_processes 1; pid /tmp/pid; error_log /dev/null; events {} \
            http { access_log off; server { listen 80; root /tmp; } }' >/tmp/nginx.conf; exec nginx -c /tmp/nginx.conf";
        let server = lab.container("server").image(&debian).on(&network).run(&["sh", "-c", serve])?;
        let client = lab.container("client").image(&debian).on(&network).run(&["sleep", "infinity"])?;
        let address = server.address(&network)?;
        let url = format!("http://{address}/");
        wait_for("nginx to answer", Duration::from_secs(10), || {
            Ok(client.exec(&["curl", "-sf", &url]).ok())
        })?;
        let device = server.host_device(&network)?;
        Ok(Self { client, address, device, _server: server, _lab: lab })
    }

    /// The received sum of an iperf3 client's report.
    fn iperf3(&self, options: &[&str]) -> Result<serde_json::Value> {
        let seconds = SECONDS.to_string();
        let words = [&["iperf3", "-J", "-c", &self.address, "-t", &seconds], options].concat();
        let report: serde_json::Value = serde_json::from_str(&self.client.exec(&words)?)?;
        Ok(report["end"].clone())
    }
}

fn number(value: &serde_json::Value, field: &str) -> Result<f64> {
    value[field].as_f64().with_context(|| format!("no {field} in {value}"))
}

fn tcp(scene: &Scene) -> Result<Run> {
    let end = scene.iperf3(&[])?;
    let received = &end["sum_received"];
    let rate = number(received, "bits_per_second")? / 1e9;
    // 1,448 B: what a segment carries at an MTU of 1,500 with timestamps.
    Ok(Run { rate, operations: number(received, "bytes")? / 1_448.0 })
}

fn udp(scene: &Scene) -> Result<Run> {
    let end = scene.iperf3(&["-u", "-l", "64", "-b", "0"])?;
    let sum = &end["sum"];
    let packets = number(sum, "packets")?;
    Ok(Run { rate: packets / number(sum, "seconds")?, operations: packets })
}

fn http(scene: &Scene) -> Result<Run> {
    let (seconds, url) = (format!("{SECONDS}s"), format!("http://{}:80/index.html", scene.address));
    let report = scene.client.exec(&["wrk", "-t1", "-c16", "-d", &seconds, &url])?;
    let rate = report
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .with_context(|| format!("no rate in {report}"))?
        .trim()
        .parse::<f64>()?;
    Ok(Run { rate, operations: rate * f64::from(SECONDS) })
}
