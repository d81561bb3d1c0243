//! What the agent itself costs: CPU at 3,000 new flows a second, and resident memory with 65,536 flows.
//!
//! `cargo xtask bench agent`; `cargo bench -p monitor --bench agent -- SECONDS` for longer runs; needs root.

mod measure;

use anyhow::Result;
use measure::devices::Bridge;
use measure::process::Agent;
use measure::traffic::Generator;
use monitor::collector::clock::kernel_now;
use std::time::Duration;

fn main() -> Result<()> {
    let seconds: u32 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(30);
    let mut bridge = Bridge::new();
    let (host, peer) = bridge.add_pair();
    let mut generator = Generator::new(&peer)?;
    println!(
        "Each CPU figure over {seconds} s. Silent is `vethwatch containers`, which keeps everything and prints at its"
    );
    println!("end; streaming is `vethwatch flows --json`, whose every line is read and thrown away.\n");
    println!("| figure | silent | streaming | allowed |\n| --- | --- | --- | --- |");
    let index = std::fs::read_to_string(format!("/sys/class/net/{host}/ifindex"))?.trim().parse()?;
    let device = lab::Device::by_index(index)?;
    let mut cost = |arguments: &[&str]| Cost::of(&Agent::start(arguments, &device)?, &mut generator, seconds);
    let silent = cost(&["containers", "--for", "1h"])?;
    let streaming = cost(&["flows", "--json", "--for", "1h"])?;
    let row = |name: &str, figure: fn(&Cost) -> String, allowed: &str| {
        println!("| {name} | {} | {} | {allowed} |", figure(&silent), figure(&streaming));
    };
    row("CPU of one core, idle", |cost| format!("{:.2} %", cost.idle * 100.0), "");
    row("CPU of one core, 3,000 new flows a second", |cost| format!("{:.2} %", cost.busy * 100.0), "2 %");
    row("resident memory at the start", |cost| megabytes(cost.empty), "");
    row("resident memory with 65,536 flows", |cost| megabytes(cost.full), "40 MB");
    Ok(())
}

/// What one agent costs.
struct Cost {
    idle: f64,
    busy: f64,
    empty: u64,
    full: u64,
}

impl Cost {
    fn of(agent: &Agent, generator: &mut Generator, seconds: u32) -> Result<Self> {
        let idle = share(agent, seconds, || Ok(()))?;
        let empty = agent.resident()?;
        let busy = share(agent, seconds, || Ok(generator.send_new_flows(300)?))?;
        generator.rewind();
        share(agent, 7, || Ok(generator.send_new_flows(1_024)?))?;
        // The highest of the ticks that follow: the flows are still kept, and the last batches were just taken in.
        let mut full = 0;
        share(agent, 3, || {
            full = full.max(agent.resident()?);
            Ok(())
        })?;
        Ok(Self { idle, busy, empty, full })
    }
}

/// The share of one core that the agent uses while `step` is done every 100 ms.
fn share(agent: &Agent, seconds: u32, mut step: impl FnMut() -> Result<()>) -> Result<f64> {
    let (start, before) = (kernel_now(), agent.cpu_time()?);
    while kernel_now().since(start) < Duration::from_secs(seconds.into()) {
        step()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok((agent.cpu_time()? - before).as_secs_f64() / kernel_now().since(start).as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a process's memory is small")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
