//! Which share of the processors' time under load the programs in the kernel take: where the processors are is looked at
//! thousands of times a second (`perf`), beside the loads of the benchmark `throughput`. A neighbour on a shared machine
//! changes how fast everything is, and hardly which share a part has: this tells what differences of throughput cannot.
//!
//! `cargo xtask bench share`; `cargo bench -p monitor --bench share -- WINDOWS` for more windows; needs root, Docker, the
//! image `vw-lab`, and `perf`.

mod measure;

use anyhow::{Context, Result, ensure};
use measure::process::Agent;
use measure::scene::{LOADS, Load, Scene};
use measure::statistics::Sample;
use std::process::Command;
use std::time::Duration;

/// How long `perf` may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is looked in one window, seconds.
const WINDOW: &str = "3";
/// How often a second; no round number, so that it keeps step with nothing.
const FREQUENCY: &str = "4999";
/// The kernel's own way to the programs, which exists for any.
const DISPATCH: &[&str] =
    &["tc_run", "tcx_run", "cls_bpf_classify", "bpf_trace_run4", "__bpf_trace_kfree_skb"];
/// What the kernel does for packets in place of a process.
const SOFTIRQ: &str = "ksoftirqd/";

fn main() -> Result<()> {
    let windows = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(8);
    let scene = Scene::new()?;
    println!(
        "Beside each load, {windows} windows of {WINDOW} s with `vethwatch containers`, in which it is noted {FREQUENCY} times \
         a second on every processor where it is (`perf record -e cpu-clock`). The share is that of all notes of the load's \
         own processes and of softirq; the median of the windows, the least and the most in brackets. Programs: those of \
         vethwatch. Dispatch: the kernel's own code that calls programs, whatever they do.\n"
    );
    println!("| load | programs | dispatch | both | allowed |");
    println!("| --- | --- | --- | --- | --- |");
    LOADS.iter().try_for_each(|load| measure_load(&scene, load, windows))
}

fn measure_load(scene: &Scene, load: &Load, windows: usize) -> Result<()> {
    let client = scene.start(load)?;
    let agent = Agent::start(&["containers", "--for", "1h"], &scene.device)?;
    let [mut programs, mut dispatch, mut both] = <[Sample; 3]>::default();
    for _ in 0..windows {
        let seen = Seen::look(load)?;
        programs.push(seen.share(seen.programs));
        dispatch.push(seen.share(seen.dispatch));
        both.push(seen.share(seen.programs + seen.dispatch));
    }
    drop(agent);
    client.remove()?;
    let percent = |sample: &Sample| {
        let [least, median, most] = [0.0, 0.5, 1.0].map(|share| 100.0 * sample.quantile(share));
        format!("{median:.2} % ({least:.2} to {most:.2})")
    };
    println!(
        "| {} | {} | {} | {} | {} |",
        load.name,
        percent(&programs),
        percent(&dispatch),
        percent(&both),
        load.allowed.map_or_else(|| "–".to_owned(), |allowed| format!("≤ {:.0} %", 100.0 * (1.0 - allowed))),
    );
    Ok(())
}

/// Where the processors were in one window.
#[derive(Default)]
struct Seen {
    all: u32,
    programs: u32,
    dispatch: u32,
}

impl Seen {
    fn look(load: &Load) -> Result<Self> {
        let file = std::env::temp_dir().join(format!("vw-share-{}", std::process::id()));
        let mut record = Command::new("perf");
        record.args(["record", "--quiet", "--all-cpus", "-e", "cpu-clock", "-F", FREQUENCY, "-o"]).arg(&file);
        lab::text(record.args(["--", "sleep", WINDOW]), PATIENCE)?;
        let mut script = Command::new("perf");
        script.args(["script", "-F", "comm,ip,sym", "-i"]).arg(&file);
        let notes = lab::text(&mut script, PATIENCE);
        std::fs::remove_file(&file).context("removing what perf noted")?;
        let mut seen = Self::default();
        notes?.lines().for_each(|note| seen.note(note, load));
        ensure!(seen.all > 1_000 && seen.programs > 0, "perf saw no load, or no programs");
        Ok(seen)
    }

    /// One note: the process, the address, the symbol.
    fn note(&mut self, note: &str, load: &Load) {
        let mut words = note.split_whitespace();
        let Some(process) = words.next() else { return };
        if !load.processes.contains(&process) && !process.starts_with(SOFTIRQ) {
            return;
        }
        self.all += 1;
        let symbol = words.nth(1).unwrap_or_default();
        if symbol.starts_with("bpf_prog_") && symbol.contains("_vethwatch_") {
            self.programs += 1;
        } else if DISPATCH.contains(&symbol) {
            self.dispatch += 1;
        }
    }

    fn share(&self, of: u32) -> f64 {
        f64::from(of) / f64::from(self.all)
    }
}
