//! How fast it is. The figures are printed; only what would be a fault fails.

use crate::rig::{Host, Watch, inside, modes, run, two_containers};
use monitor::collector::{Settings, clock};
use monitor::model::Observation;
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
    watch.stop();
    let totals = watch.last_reading(numbers[0]).totals.sent;
    let flows = watch.flows()[&numbers[0]].sent;
    assert_eq!(flows + totals.not_recorded, totals.ipv4 + totals.ipv6);
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
