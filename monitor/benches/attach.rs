//! From the creation of a veth to the programs in place on it: alone, and while 64,000 flows are being ingested.
//!
//! `cargo xtask bench attach`; `cargo bench -p monitor --bench attach -- ROUNDS` for other rounds; needs root. The time runs from before `ip link add … master …` is started,
//! so starting that command is in it.

mod measure;

use measure::devices::Bridge;
use measure::statistics::Sample;
use measure::traffic::Generator;
use monitor::collector::{Collector, Settings, clock};
use monitor::model::{KernelTime, Observation};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// When each interface was attached, by name.
type Attached = Arc<Mutex<HashMap<String, KernelTime>>>;

fn main() {
    let rounds: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100);
    let (out, observations) = mpsc::channel(4_096);
    let collector = Collector::start(Settings::default(), out).expect("the collector starts");
    let attached = Attached::default();
    let reader = std::thread::spawn({
        let attached = Arc::clone(&attached);
        move || read(observations, &attached)
    });

    let mut bridge = Bridge::new();
    let (_, peer) = bridge.add_pair();
    let alone = measure_rounds(&mut bridge, &attached, rounds);
    let busy = under_load(&peer, || measure_rounds(&mut bridge, &attached, rounds));
    collector.stop();
    reader.join().expect("the reader ends with the collector");

    println!("{rounds} veth pairs, one after the other.\n");
    println!("| load | median | 90 % | worst |\n| --- | --- | --- | --- |");
    for (name, sample) in [("none", alone), ("64,000 new flows a second", busy)] {
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.2} ms |",
            sample.median(),
            sample.quantile(0.9),
            sample.worst()
        );
    }
}

fn read(mut observations: mpsc::Receiver<Observation>, attached: &Attached) {
    while let Some(observation) = observations.blocking_recv() {
        if let Observation::Attached { interface, at, .. } = observation {
            attached.lock().expect("no one panics with it").insert(interface.name.as_str().to_owned(), at);
        }
    }
}

fn measure_rounds(bridge: &mut Bridge, attached: &Attached, rounds: usize) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..rounds {
        let start = clock::kernel_now();
        let (host, _) = bridge.add_pair();
        let deadline = start.plus(Duration::from_secs(5));
        let at = loop {
            if let Some(at) = attached.lock().expect("no one panics with it").remove(&host) {
                break at;
            }
            assert!(clock::kernel_now() < deadline, "{host} was not attached within 5 s");
            std::thread::sleep(Duration::from_millis(1));
        };
        sample.push(at.since(start).as_secs_f64() * 1e3);
        bridge.remove_pair();
    }
    sample
}

/// Runs `work` while 64,000 new flows a second are sent on `device`.
fn under_load<T>(device: &str, work: impl FnOnce() -> T) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let mut generator = Generator::new(device).expect("a packet socket");
    let sender = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                generator.send_new_flows(6_400).expect("the burst is sent");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    });
    let result = work();
    stop.store(true, Ordering::Relaxed);
    sender.join().expect("the sender ends");
    result
}
