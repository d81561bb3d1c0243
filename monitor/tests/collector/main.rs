//! The collector against real devices: in network namespaces of its own, as root.
//!
//! `cargo test -p monitor --test collector`

mod foreign;
mod rig;

use foreign::Foreign;
use monitor::collector::{Command, clock, leftovers};
use monitor::model::{AttachMode, InterfaceNumber, Observation, Reading};
use rig::{Host, PATIENCE, Watch, device_like, inside, run};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

const MODES: [AttachMode; 2] = [AttachMode::Tcx, AttachMode::Clsact];
/// `TC_ACT_OK`: the packet passes, and no program behind is asked.
const PASS: i32 = 0;

/// Names a process that is to attach and wait to be killed.
const HELPER: &str = "VW_HELPER_STATE_DIR";

/// Two containers on a bridge, watched from before they could send.
fn two_containers(host: &mut Host, watch: &mut Watch) -> ([String; 2], [InterfaceNumber; 2]) {
    let numbers = [1, 2].map(|n| {
        let veth = host.veth(n);
        watch.attached(&veth).0
    });
    ([host.container(1), host.container(2)], numbers)
}

/// Pings, large and small, and a TCP transfer both ways.
fn traffic(containers: &[String; 2]) {
    run(&format!("ip netns exec {} ping -q -c 50 -i 0.002 10.99.1.2", containers[0]));
    run(&format!("ip netns exec {} ping -q -c 5 -i 0.01 -s 8000 10.99.1.2", containers[0]));
    let listener = inside(&containers[1], || TcpListener::bind("10.99.1.2:5000").unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let mut stream = inside(&containers[0], || TcpStream::connect("10.99.1.2:5000").unwrap());
    stream.write_all(&vec![7; 8 << 20]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), 8 << 20);
    server.join().unwrap();
}

/// Our totals are what the device counted, if it counted nothing between its two readings.
#[track_caller]
fn check_exact(reading: &Reading) {
    let (before, after) = (reading.device_before.unwrap(), reading.device_after.unwrap());
    assert_eq!((before.sent_skbs, before.received_skbs), (after.sent_skbs, after.received_skbs), "not quiet");
    let ours = reading.totals.traffic();
    assert_eq!(device_like(ours.sent), (after.sent_skbs, after.sent_bytes), "{reading:?}");
    assert_eq!(device_like(ours.received), (after.received_skbs, after.received_bytes), "{reading:?}");
    assert!(ours.sent.skbs > 100 && ours.sent.packets > ours.sent.skbs, "GSO happened: {ours:?}");
}

/// Flows, ARP and the rest are the totals.
#[track_caller]
fn check_flows(watch: &Watch, number: InterfaceNumber, reading: &Reading) {
    let flows = watch.flows()[&number];
    let totals = &reading.totals;
    assert_eq!(flows.sent + totals.sent.arp + totals.sent.other, totals.sent.all());
    assert_eq!(flows.received + totals.received.arp + totals.received.other, totals.received.all());
    assert!(totals.not_recorded().is_zero());
}

#[test]
fn totals_are_the_devices_counters_and_the_flows_are_the_totals() {
    for mode in MODES {
        let mut host = Host::new();
        let mut watch = Watch::start(host.settings(mode));
        let (containers, numbers) = two_containers(&mut host, &mut watch);
        traffic(&containers);
        let quiet = numbers.map(|number| watch.quiet_reading(number));
        quiet.iter().for_each(check_exact);
        let took = watch.stop();
        assert!(took < Duration::from_millis(500), "the stop took {took:?}");
        for number in numbers {
            let last = watch.last_reading(number);
            check_exact(&last);
            check_flows(&watch, number, &last);
        }
        assert_eq!(watch.losses(), [], "{mode:?}");
    }
}

#[test]
fn two_instances_at_once_are_both_exact() {
    for mode in MODES {
        let mut host = Host::new();
        let mut first = Watch::start(host.settings(mode));
        let mut second = Watch::start(host.settings(mode));
        let (containers, numbers) = two_containers(&mut host, &mut first);
        let others = ["v1", "v2"].map(|veth| second.attached(veth).0);
        traffic(&containers);
        for (watch, numbers) in [(&mut first, numbers), (&mut second, others)] {
            numbers.map(|number| watch.quiet_reading(number));
            watch.stop();
            for number in numbers {
                let last = watch.last_reading(number);
                check_exact(&last);
                check_flows(watch, number, &last);
            }
        }
        assert_nothing_left(&["v1", "v2", "br0"]);
    }
}

/// Nothing is attached to these devices in either way, and they have no clsact qdisc.
#[track_caller]
fn assert_nothing_left(devices: &[&str]) {
    for device in devices {
        let attached = run(&format!("bpftool net show dev {device}"));
        assert!(!attached.contains("vethwatch"), "{attached}");
        let qdiscs = run(&format!("tc qdisc show dev {device}"));
        assert!(!qdiscs.contains("clsact"), "{qdiscs}");
    }
}

#[test]
fn nothing_of_ours_is_left_after_a_stop() {
    for mode in MODES {
        let host = Host::new();
        host.veth(1);
        let mut watch = Watch::start(host.settings(mode));
        watch.attached("v1");
        watch.attached("br0");
        assert!(run("bpftool net show dev v1").contains("vethwatch_in"));
        watch.stop();
        assert_nothing_left(&["v1", "br0"]);
    }
}

#[test]
fn a_program_of_somebody_else_still_runs_and_hides_nothing_under_tcx() {
    let mut host = Host::new();
    let veth = host.veth(1);
    host.veth(2);
    let foreign = Foreign::load(PASS);
    let ifindex = std::fs::read_to_string(format!("/proc/self/net/dev")).map(|_| ifindex_of(&veth)).unwrap();
    let _link = foreign.attach(ifindex);
    let mut watch = Watch::start(host.settings(AttachMode::Tcx));
    let numbers = ["v1", "v2"].map(|veth| watch.attached(veth).0);
    let containers = [host.container(1), host.container(2)];
    traffic(&containers);
    let reading = watch.quiet_reading(numbers[0]);
    check_exact(&reading);
    assert_eq!(foreign.count(), reading.totals.traffic().sent.skbs);
    watch.stop();
    assert!(run("bpftool net show dev v1").contains("tcx/ingress"), "the foreign program stays");
}

#[test]
fn a_filter_and_a_qdisc_of_somebody_else_stay_and_hide_nothing_under_clsact() {
    let mut host = Host::new();
    host.veth(1);
    host.veth(2);
    run("tc qdisc add dev v1 clsact");
    run("tc filter add dev v1 ingress prio 1 protocol all matchall action pass");
    let mut watch = Watch::start(host.settings(AttachMode::Clsact));
    let numbers = ["v1", "v2"].map(|veth| watch.attached(veth).0);
    // One that comes later must not be hidden by ours.
    run("tc filter add dev v2 ingress prio 50 protocol all matchall action pass");
    let containers = [host.container(1), host.container(2)];
    traffic(&containers);
    let reading = watch.quiet_reading(numbers[1]);
    check_exact(&reading);
    let foreign = run("tc -s filter show dev v2 ingress");
    let skbs = reading.totals.traffic().sent.skbs;
    assert!(foreign.contains(&format!(" {skbs} pkt")), "{skbs}: {foreign}");
    watch.stop();
    assert!(run("tc qdisc show dev v1").contains("clsact"));
    for device in ["v1", "v2"] {
        let filters = run(&format!("tc filter show dev {device} ingress"));
        assert!(filters.contains("matchall") && !filters.contains("vethwatch"), "{filters}");
    }
}

fn ifindex_of(device: &str) -> u32 {
    let shown = run(&format!("ip -o link show {device}"));
    shown.split(':').next().unwrap().parse().unwrap()
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let host = Host::new();
    host.veth(1);
    host.veth(2);
    run("tc qdisc add dev v2 clsact");
    run("tc filter add dev v2 egress prio 7 protocol all matchall action pass");
    let mut living = Watch::start(host.settings(AttachMode::Clsact));
    living.attached("v1");
    let mut helper = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_waits_to_be_killed", "--nocapture"])
        .env(HELPER, &host.state_dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let filters = || run("tc filter show dev v2 ingress").matches("vethwatch_in").count();
    wait_until("the helper has attached", || filters() == 2);
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert_eq!(filters(), 2);

    let removed = leftovers::remove_all(&host.state_dir).unwrap();
    assert!(removed.len() >= 4, "{removed:?}");
    assert_eq!(filters(), 1, "the living one's stay");
    assert!(run("tc filter show dev v2 egress").contains("matchall"));
    assert_eq!(leftovers::remove_all(&host.state_dir).unwrap(), []);
    living.stop();
    assert_eq!(filters(), 0);
    assert!(run("tc qdisc show dev v2").contains("clsact"));
    assert_nothing_left(&["v1", "br0"]);
}

#[test]
fn a_process_that_waits_to_be_killed() {
    let Some(state_dir) = std::env::var_os(HELPER) else { return };
    let (out, mut observations) = tokio::sync::mpsc::channel(1_024);
    let settings = monitor::collector::Settings {
        attach: Some(AttachMode::Clsact),
        state_dir: state_dir.into(),
        ..Default::default()
    };
    let _collector = monitor::collector::Collector::start(settings, out).unwrap();
    while observations.blocking_recv().is_some() {}
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = clock::kernel_now().plus(PATIENCE);
    while !condition() {
        assert!(clock::kernel_now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_containers_end_is_read_and_its_namespace_found() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(AttachMode::Tcx));
    let ([container, _], [number, _]) = two_containers(&mut host, &mut watch);
    let shown = run(&format!("ip -n {container} -o link show eth0"));
    let mac = shown.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let namespace = watch.wait("the peer", |observation| match observation {
        Observation::Changed { interface, .. } if interface.number == number => {
            let peer = interface.peer.as_ref()?;
            let named = peer.name.as_ref().is_some_and(|name| name.as_str() == "eth0");
            (named && peer.mac?.to_string() == mac).then_some(peer.namespace?)
        }
        _ => None,
    });
    let mut check = |sandbox: String, expected| {
        assert!(watch.collector().asker().ask(Command::Namespace { sandbox: sandbox.clone() }));
        let answer = watch.wait("an answer", |observation| match observation {
            Observation::Namespace { sandbox: of, namespace } if *of == sandbox => Some(*namespace),
            _ => None,
        });
        assert_eq!(answer, expected, "{sandbox}");
    };
    check(format!("/run/netns/{container}"), Some(namespace));
    check("/proc/1/ns/mnt".into(), None);
    check("/dev/random".into(), None);
    check("relative".into(), None);
    watch.stop();
}

#[test]
fn a_device_that_goes_is_told_with_its_last_reading() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(AttachMode::Tcx));
    let (containers, numbers) = two_containers(&mut host, &mut watch);
    traffic(&containers);
    let quiet = watch.quiet_reading(numbers[0]);
    run("ip link del v1");
    let last = watch.wait("v1 detached", |observation| match observation {
        Observation::Detached { number, last, .. } if *number == numbers[0] => Some(*last),
        _ => None,
    });
    assert!(last.totals.traffic().sent.skbs >= quiet.totals.traffic().sent.skbs);
    assert!(last.device_before.is_some());
    watch.stop();
    check_flows(&watch, numbers[0], &last);
}

#[test]
fn a_full_table_is_told_and_tried_again() {
    let host = Host::new();
    let settings = monitor::collector::Settings {
        max_interfaces: 1,
        watch_bridges: false,
        ..host.settings(AttachMode::Tcx)
    };
    let mut watch = Watch::start(settings);
    host.veth(1);
    watch.attached("v1");
    host.veth(2);
    watch.wait("v2 refused", |observation| match observation {
        Observation::NotWatched(not) if not.name.as_str() == "v2" => Some(()),
        _ => None,
    });
    run("ip link del v1");
    watch.wait("v2 attached after all", |observation| match observation {
        Observation::Attached { interface, .. } if interface.name.as_str() == "v2" => Some(()),
        _ => None,
    });
    watch.stop();
}

#[test]
fn the_hosts_addresses_are_told_when_they_change() {
    let host = Host::new();
    let mut watch = Watch::start(host.settings(AttachMode::Tcx));
    run("ip addr add 10.98.0.1/24 dev br0");
    watch.wait("the new address", |observation| match observation {
        Observation::Host(host) => host
            .addresses
            .iter()
            .find(|(_, name, address)| name.as_str() == "br0" && address.to_string() == "10.98.0.1")
            .map(drop),
        _ => None,
    });
    watch.stop();
}

#[test]
fn a_full_generation_is_drained_fast() {
    let mut host = Host::new();
    let settings =
        monitor::collector::Settings { tick: Duration::from_secs(3), ..host.settings(AttachMode::Tcx) };
    let mut watch = Watch::start(settings);
    let (containers, numbers) = two_containers(&mut host, &mut watch);
    inside(&containers[0], || {
        let sockets = ["10.99.1.1:4000", "10.99.1.1:4001"].map(|local| UdpSocket::bind(local).unwrap());
        for socket in sockets {
            for port in 1..=32_000_u16 {
                // A port nobody listens on is answered by ICMP, which the next call reports.
                let _ = socket.send_to(&[0; 22], ("10.99.1.2", port));
            }
        }
    });
    let most = |watch: &Watch| watch.resources().max_by_key(|resources| resources.flows).copied();
    watch.wait("a full generation", |observation| match observation {
        Observation::Resources(resources) if resources.flows > 50_000 => Some(()),
        _ => None,
    });
    let fullest = most(&watch).unwrap();
    println!("drained {} flows in {:?}", fullest.flows, Duration::from_nanos(fullest.drain_ns));
    watch.stop();
    let last = watch.last_reading(numbers[0]);
    assert_eq!(watch.flows()[&numbers[0]].sent.skbs + last.totals.not_recorded().skbs, {
        let sent = &last.totals.sent;
        sent.ipv4.skbs + sent.ipv6.skbs
    });
}

#[test]
fn attaching_is_fast() {
    let host = Host::new();
    for n in 101..=150 {
        host.veth(n);
    }
    for mode in MODES {
        let began = clock::kernel_now();
        let mut watch = Watch::start(host.settings(mode));
        let last = (101..=150).map(|n| watch.attached(&format!("v{n}")).1).max().unwrap();
        println!("{mode:?}: 50 devices that were there already: {:?} after start", last.since(began));
        let mut latencies: Vec<Duration> = (1..=100)
            .map(|n| {
                run(&format!("ip link add v{n} type veth peer name p{n}"));
                let began = clock::kernel_now();
                run(&format!("ip link set v{n} master br0"));
                watch.attached(&format!("v{n}")).1.since(began)
            })
            .collect();
        latencies.sort();
        println!(
            "{mode:?}: from `ip link set master` to attached: median {:?}, worst {:?}",
            latencies[50], latencies[99]
        );
        for n in 1..=100 {
            run(&format!("ip link del v{n}"));
        }
        println!("{mode:?}: stopped in {:?}", watch.stop());
    }
}
