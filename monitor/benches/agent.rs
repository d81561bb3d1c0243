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
    let (_, peer) = bridge.add_pair();
    let mut generator = Generator::new(&peer)?;
    let agent = Agent::start()?;

    let idle = share(&agent, seconds, || Ok(()))?;
    let empty = agent.resident()?;
    let busy = share(&agent, seconds, || Ok(generator.send_new_flows(300)?))?;
    generator.rewind();
    share(&agent, 7, || Ok(generator.send_new_flows(1_024)?))?;
    // The highest of the ticks that follow: the flows are still kept, and the last batches were just taken in.
    let mut full = 0;
    share(&agent, 3, || {
        full = full.max(agent.resident()?);
        Ok(())
    })?;
    drop(agent);

    println!("`vethwatch flows --json`, output read and thrown away; each CPU figure over {seconds} s.\n");
    println!("| figure | measured | allowed |\n| --- | --- | --- |");
    println!("| CPU of one core, idle | {:.2} % | |", idle * 100.0);
    println!("| CPU of one core, 3,000 new flows a second | {:.2} % | 2 % |", busy * 100.0);
    println!("| resident memory at the start | {:.1} MB | |", megabytes(empty));
    println!("| resident memory with 65,536 flows | {:.1} MB | 40 MB |", megabytes(full));
    Ok(())
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
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
