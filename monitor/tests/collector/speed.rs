//! How fast it is. The figures are printed; only what would be a fault fails.

use crate::rig::{Host, Watch, inside, modes, run, two_containers};
use monitor::collector::{Settings, clock};
use monitor::model::{AttachMode, Observation};
use monitor_common::settings::{self as kernel, map_sizes};
use std::net::UdpSocket;
use std::time::Duration;

/// One packet of each of `flows` UDP flows to the other container.
pub(crate) fn many_flows(container: &str, flows: u16) {
    inside(container, || {
        let socket = UdpSocket::bind("10.99.1.1:0").unwrap();
        for port in 1..=flows {
            // A port nobody listens on is answered by ICMP, which the next call reports.
            let _ = socket.send_to(&[0; 22], ("10.99.1.2", port));
        }
    });
}

#[test]
fn a_full_generation_is_drained_fast() {
    let mut host = Host::new();
    let settings = Settings { tick: Duration::from_secs(3), ..host.settings(modes()[0]) };
    let mut watch = Watch::start(settings);
    let (containers, numbers) = two_containers(&mut host, &mut watch);
    many_flows(&containers[0], 32_000);
    many_flows(&containers[0], 32_000);
    let full = watch.wait("a full generation", |observation| match observation {
        Observation::Resources(resources) if resources.flows > 32_000 => Some(*resources),
        _ => None,
    });
    println!("flip to last batch of {} flows: {:?}", full.flows, Duration::from_nanos(full.drain_ns));
    let most = watch.resources().map(|resources| resources.ring_bytes).max();
    assert_eq!(full.ring_capacity, u64::from(size_of_ring()));
    assert!(most.is_some_and(|most| (64..=full.ring_capacity).contains(&most)), "first packets: {most:?}");
    watch.stop();
    let totals = watch.last_reading(numbers[0]).totals.sent;
    let flows = watch.flows()[&numbers[0]].sent;
    assert_eq!(flows + totals.not_recorded, totals.ipv4 + totals.ipv6);
}

/// What the ring of events has room for on as many CPUs.
fn size_of_ring() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap().try_into().unwrap();
    let sizes = map_sizes(&kernel::Settings::DEFAULT, cpus);
    sizes.into_iter().find_map(|(map, bytes)| (map == "EVENTS").then_some(bytes)).unwrap()
}

#[test]
fn attaching_is_fast() {
    let host = Host::new();
    for n in 101..=150 {
        host.veth(n);
    }
    for mode in modes() {
        let began = clock::kernel_now();
        let mut watch = Watch::start(host.settings(mode));
        let loaded = clock::kernel_now();
        let last = (101..=150).map(|n| watch.attached(&format!("v{n}")).1).max().unwrap();
        println!(
            "{mode:?}: loaded in {:?}; 50 devices that were there: {:?} later",
            loaded.since(began),
            last.since(loaded)
        );
        let mut latencies: Vec<Duration> = (1..=100)
            .map(|n| {
                run(&format!("ip link add v{n} type veth peer name p{n}"));
                let began = clock::kernel_now();
                run(&format!("ip link set v{n} master br0"));
                watch.attached(&format!("v{n}")).1.since(began)
            })
            .collect();
        latencies.sort_unstable();
        let [median, worst] = [latencies[50], latencies[99]];
        println!("{mode:?}: from `ip link set master` to attached: median {median:?}, worst {worst:?}");
        for n in 1..=100 {
            run(&format!("ip link del v{n}"));
        }
        println!("{mode:?}: stopped in {:?}", watch.stop());
    }
}

#[test]
fn five_hundred_interfaces_cost_little() {
    let host = Host::new();
    std::fs::create_dir_all(&host.state_dir).unwrap();
    let batch = host.state_dir.join("links");
    let line = |n| format!("link add v{n} type veth peer name p{n}\nlink set v{n} master br0\n");
    std::fs::write(&batch, (1..=500).map(line).collect::<String>()).unwrap();
    run(&format!("ip -batch {}", batch.display()));
    let mut watch = Watch::start(host.settings(AttachMode::Clsact));
    watch.attached("v500");
    let ticks = |watch: &Watch| watch.resources().map(|resources| resources.flips).max().unwrap_or(0);
    watch.wait("a tick", |observation| {
        matches!(observation, Observation::Totals(all) if all.len() > 500).then_some(())
    });
    let (first, began) = (ticks(&watch), cpu_of_drain());
    watch.wait("fifty ticks", |observation| match observation {
        Observation::Resources(resources) if resources.flips >= first + 50 => Some(()),
        _ => None,
    });
    let per_tick = (cpu_of_drain() - began) / u32::try_from(ticks(&watch) - first).unwrap();
    println!("a tick with 501 interfaces and no flows: {per_tick:?} of CPU");
    watch.stop();
}

/// CPU time of the drain threads of this process.
fn cpu_of_drain() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let drains = threads.filter(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "vw-drain")
    });
    let nanoseconds = drains.filter_map(|thread| {
        let statistics = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        statistics.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
