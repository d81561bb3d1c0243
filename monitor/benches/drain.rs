//! How long it takes to drain a generation of 65,536 flows: flip, grace period, then every entry read and handed
//! over.
//!
//! `cargo xtask bench drain`; `cargo bench -p monitor --bench drain -- ROUNDS` for other rounds; needs root.

mod measure;

use measure::devices::Bridge;
use measure::statistics::Sample;
use measure::traffic::Generator;
use monitor::collector::{Collector, Settings};
use monitor::model::Observation;
use std::time::Duration;
use tokio::sync::mpsc;

/// Flows in the generation.
const FLOWS: u32 = 65_536;

fn main() {
    let rounds: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(15);
    let mut bridge = Bridge::new();
    let (_, peer) = bridge.add_pair();
    let (out, mut observations) = mpsc::channel(4_096);
    let settings = Settings { tick: Duration::from_millis(1_500), max_flows: FLOWS, ..Settings::default() };
    let collector = Collector::start(settings, out).expect("the collector starts");
    let mut generator = Generator::new(&peer).expect("a packet socket");
    let (mut grace, mut drain, mut each) = (Sample::default(), Sample::default(), Sample::default());

    wait_for(&mut observations, |observation| matches!(observation, Observation::Attached { .. }));
    while drain.len() < rounds {
        // A tick begins when the last drain's figures arrive, so the whole burst falls into one generation.
        wait_for(&mut observations, |observation| matches!(observation, Observation::Resources(_)));
        generator.rewind();
        generator.send_new_flows(FLOWS).expect("the burst is sent");
        let mut resources = None;
        wait_for(&mut observations, |observation| {
            if let Observation::Resources(latest) = observation {
                resources = Some(*latest);
            }
            resources.is_some()
        });
        let resources = resources.expect("the wait ended with figures");
        if resources.flows < u64::from(FLOWS) * 99 / 100 {
            continue;
        }
        grace.push(millis(resources.grace_ns));
        drain.push(millis(resources.drain_ns));
        #[expect(clippy::cast_precision_loss, reason = "figures are small")]
        each.push(resources.drain_ns as f64 / resources.flows as f64);
    }
    collector.stop();

    println!("{rounds} generations of {FLOWS} IPv4 flows, mapped, read and handed over in parts of 4,096.\n");
    println!("| part | median | 10 % | 90 % | allowed |\n| --- | --- | --- | --- | --- |");
    row("drain, ms", &drain, "15");
    row("drain, ns an entry", &each, "");
    row("grace period before it, ms", &grace, "");
}

fn row(name: &str, sample: &Sample, allowed: &str) {
    println!(
        "| {name} | {:.1} | {:.1} | {:.1} | {allowed} |",
        sample.median(),
        sample.quantile(0.1),
        sample.quantile(0.9)
    );
}

fn millis(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

/// Takes observations until one fits.
fn wait_for(observations: &mut mpsc::Receiver<Observation>, mut fits: impl FnMut(&Observation) -> bool) {
    while !fits(&observations.blocking_recv().expect("the collector lives")) {}
}
