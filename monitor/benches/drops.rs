//! What watching the kernel's drops costs: the kernel for a drop, and the agent while 200,000 packets a second are
//! dropped.
//!
//! `cargo xtask bench drops`; `cargo bench -p monitor --bench drops -- ROUNDS` for more rounds; needs root.
//!
//! The price of a drop is measured twice: by sending packets that are dropped with and without vethwatch, in turn; and
//! by the kernel's own statistics of the program. A drop that is ours is also counted at the device it came in by, so
//! its first figure holds both.

mod measure;

use anyhow::{Context, Result};
use measure::devices::{Bridge, ip};
use measure::process::Agent;
use measure::statistics::Sample;
use measure::traffic::Generator;
use monitor::collector::clock::kernel_now;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Packets of one reading.
const PACKETS: u32 = 50_000;
/// Packets a second of the flood.
const FLOOD: u32 = 200_000;
/// The flood is sent in parts, one in this time.
const PART: Duration = Duration::from_millis(1);
/// How long the agent's CPU time is read for, with and without the flood.
const WINDOW: Duration = Duration::from_secs(3);
/// A silent agent.
const SILENT: &[&str] = &["containers", "--for", "1h"];
/// Where the kernel is told to keep statistics of programs.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

fn main() -> Result<()> {
    let rounds: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(20);
    let mut bridge = Bridge::new();
    let (host, peer) = bridge.add_pair();
    let pair = Pair::new();
    let index = fs::read_to_string(format!("/sys/class/net/{host}/ifindex"))?.trim().parse()?;
    let device = lab::Device::by_index(index)?;
    let mut kinds = [
        Kind::new("not ours, known by its reason (`OTHERHOST`)", Generator::new(&pair.near)?),
        Kind::new("not ours (`UNHANDLED_PROTO` at a device that is not watched)", pair.unhandled()?),
        Kind::new("ours (`NO_TX_TARGET` at a watched one)", Generator::new(&peer)?),
    ];
    for _ in 0..rounds {
        kinds.iter_mut().try_for_each(Kind::without)?;
        let agent = Agent::start(SILENT, &device)?;
        kinds.iter_mut().try_for_each(Kind::with)?;
        drop(agent);
    }
    let agent = Agent::start(SILENT, &device)?;
    let ran = kinds.each_ref().map(|kind| kind.run_time(&agent));
    println!(
        "Nanoseconds a drop, {rounds} rounds of {PACKETS} with and without vethwatch in turn, medians.\n"
    );
    println!(
        "| a drop that is | without | with | price | of the program alone |\n| --- | ---: | ---: | ---: | ---: |"
    );
    for (kind, ran) in kinds.iter().zip(ran) {
        kind.print(ran?);
    }
    let [_, _, ours] = &kinds;
    flood(&agent, &ours.generator, rounds.div_ceil(2))
}

/// One kind of drop.
struct Kind {
    name: &'static str,
    generator: Generator,
    /// Nanoseconds a packet without vethwatch.
    without: Sample,
    /// The same with it.
    with: Sample,
}

impl Kind {
    fn new(name: &'static str, generator: Generator) -> Self {
        Self { name, generator, without: Sample::default(), with: Sample::default() }
    }

    fn without(&mut self) -> Result<()> {
        self.without.push(self.time()?);
        Ok(())
    }

    fn with(&mut self) -> Result<()> {
        self.with.push(self.time()?);
        Ok(())
    }

    /// Nanoseconds a packet. It is dropped before its sending is over: a veth's other end receives on the same
    /// processor.
    fn time(&self) -> Result<f64> {
        let start = kernel_now();
        self.generator.send_same(PACKETS)?;
        Ok(kernel_now().since(start).as_secs_f64() * 1e9 / f64::from(PACKETS))
    }

    /// Nanoseconds of a run of the program, by the kernel's own statistics.
    fn run_time(&self, agent: &Agent) -> Result<f64> {
        let _kept = Statistics::keep()?;
        let (time, runs) = agent.tracepoint_program()?;
        self.generator.send_same(PACKETS)?;
        let (time_then, runs_then) = agent.tracepoint_program()?;
        Ok(ratio(time_then - time, runs_then - runs))
    }

    fn print(&self, ran: f64) {
        let (without, with) = (self.without.median(), self.with.median());
        println!("| {} | {without:.0} | {with:.0} | {:.0} | {ran:.0} |", self.name, with - without);
    }
}

#[expect(clippy::cast_precision_loss, reason = "what one reading holds is small")]
fn ratio(sum: u64, count: u64) -> f64 {
    sum as f64 / count as f64
}

/// The agent's CPU time with and without a flood of drops of ours, in turn.
fn flood(agent: &Agent, generator: &Generator, rounds: usize) -> Result<()> {
    let (mut idle, mut busy, mut rate) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..rounds {
        let share = |work: &dyn Fn() -> Result<u32>| -> Result<(f64, f64)> {
            let (start, before) = (kernel_now(), agent.cpu_time()?);
            let packets = work()?;
            let took = kernel_now().since(start).as_secs_f64();
            Ok(((agent.cpu_time()? - before).as_secs_f64() / took, f64::from(packets) / took))
        };
        idle.push(
            share(&|| {
                sleep(WINDOW);
                Ok(0)
            })?
            .0,
        );
        let (used, sent) = share(&|| send(generator))?;
        busy.push(used);
        rate.push(sent);
    }
    let [idle, busy, rate] = [idle, busy, rate].map(|sample| sample.median());
    println!(
        "\nThe agent's share of one core, medians of {rounds} windows of {} s in turn.\n",
        WINDOW.as_secs()
    );
    println!("| drops a second | share | a drop |\n| ---: | ---: | ---: |\n| 0 | {:.2} % | |", idle * 100.0);
    println!("| {rate:.0} | {:.2} % | {:.1} ns |", busy * 100.0, (busy - idle) * 1e9 / rate);
    Ok(())
}

/// Sends the flood for one window; returns how many packets that were.
fn send(generator: &Generator) -> Result<u32> {
    let start = kernel_now();
    let mut sent = 0;
    for part in 1.. {
        generator.send_same(FLOOD / 1_000)?;
        sent += FLOOD / 1_000;
        if kernel_now().since(start) >= WINDOW {
            break;
        }
        sleep(start.plus(PART * part).since(kernel_now()));
    }
    Ok(sent)
}

/// A veth pair on no bridge, so that nobody watches it; gone when dropped.
struct Pair {
    near: String,
    far: String,
}

impl Pair {
    fn new() -> Self {
        let [near, far] = ["n", "f"].map(|end| format!("vw-{end}{}", std::process::id()));
        ip(&format!("link add {near} type veth peer name {far}"));
        ip(&format!("link set {near} up"));
        ip(&format!("link set {far} up"));
        Self { near, far }
    }

    /// Sends frames to the far end that no protocol wants.
    fn unhandled(&self) -> Result<Generator> {
        let mut generator = Generator::new(&self.near)?;
        let path = format!("/sys/class/net/{}/address", self.far);
        let address = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        for (to, byte) in generator.frame().iter_mut().zip(address.trim().split(':')) {
            *to = u8::from_str_radix(byte, 16).context("reading an Ethernet address")?;
        }
        generator.frame()[12..14].copy_from_slice(&[0x88, 0xb5]);
        Ok(generator)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.near));
    }
}

/// The kernel keeps statistics of programs; as before when dropped.
struct Statistics {
    before: String,
}

impl Statistics {
    fn keep() -> Result<Self> {
        let before = fs::read_to_string(STATISTICS).with_context(|| format!("reading {STATISTICS}"))?;
        fs::write(STATISTICS, "1").with_context(|| format!("writing {STATISTICS}"))?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(STATISTICS, &self.before) {
            eprintln!("{STATISTICS}: {error}");
        }
    }
}
