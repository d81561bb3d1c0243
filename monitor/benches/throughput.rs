//! What watching costs the traffic: TCP and UDP throughput and requests a second between two containers, without
//! vethwatch, with it silent, and with it printing every flow, in turn beside the same running load, with the confidence
//! interval of the ratio and the CPU time an operation.
//!
//! `cargo xtask bench throughput`; `cargo bench -p monitor --bench throughput -- ROUNDS` for more rounds; needs root,
//! Docker, and the image `vw-lab`.

mod measure;

use anyhow::Result;
use lab::Container;
use measure::process::{Agent, machine_ticks};
use measure::scene::{LOADS, Load, SETTLE, Scene};
use measure::statistics::{Sample, ratio};
use monitor::collector::clock::kernel_now;
use std::thread::sleep;
use std::time::Duration;

/// How long one reading of a rate takes.
const WINDOW: Duration = Duration::from_millis(1_500);
/// Rounds beside one load, before it is started anew: a connection keeps the processors it happened to get.
const ROUNDS_A_LOAD: usize = 5;

/// What runs beside the load: nothing, or vethwatch with these arguments.
const ARMS: [Option<&[&str]>; 3] =
    [None, Some(&["containers", "--for", "1h"]), Some(&["flows", "--json", "--for", "1h"])];

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
