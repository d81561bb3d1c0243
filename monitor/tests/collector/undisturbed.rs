//! What is sent on a device arrives while we come and go.

use crate::neighbours::assert_nothing_left;
use crate::rig::{Host, Watch, ifindex_of, inside, run};
use monitor::collector::leftovers::{self, Emptied, Removed};
use monitor::collector::{Settings, probe};
use monitor::model::{AttachMode, Observation};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time between two datagrams.
const PACE: Duration = Duration::from_micros(100);
/// Ends the stream.
const END: [u8; 1] = [0];

/// How many datagrams from one container to the other were lost while `work` was done.
fn lost_during(containers: &[String; 2], work: impl FnOnce()) -> u64 {
    let receiver = inside(&containers[1], || UdpSocket::bind("10.99.1.2:5000").unwrap());
    set_socket_recv_buffer_size_force(&receiver, 64 << 20).unwrap();
    let sender = inside(&containers[0], || UdpSocket::bind("10.99.1.1:0").unwrap());
    sender.connect("10.99.1.2:5000").unwrap();
    let done = AtomicBool::new(false);
    let (sent, received) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0_u64;
            while !done.load(Ordering::Relaxed) {
                sender.send(&[1; 22]).unwrap();
                sent += 1;
                std::thread::sleep(PACE);
            }
            sender.send(&END).unwrap();
            sent
        });
        let receiving = scope.spawn(|| {
            let (mut received, mut buffer) = (0_u64, [0; 64]);
            while receiver.recv(&mut buffer).unwrap() != END.len() {
                received += 1;
            }
            received
        });
        work();
        done.store(true, Ordering::Relaxed);
        (sending.join().unwrap(), receiving.join().unwrap())
    });
    println!("{} of {sent} lost", sent - received);
    sent - received
}

/// Two containers that can reach each other, and `others` more.
fn containers(host: &mut Host, others: usize) -> [String; 2] {
    for n in 1..=2 + others {
        host.veth(n);
    }
    let two = [host.container(1), host.container(2)];
    (3..=2 + others).for_each(|n| drop(host.container(n)));
    run(&format!("ip netns exec {} ping -q -c 1 10.99.1.2", two[0]));
    two
}

/// Comes and goes, once it watches the bridge and so many devices.
fn come_and_go(settings: &Settings, devices: usize) {
    let mut watch = Watch::start(settings.clone());
    for n in 1..=devices {
        watch.attached(&format!("v{n}"));
    }
    watch.attached("br0");
    watch.stop();
}

#[test]
fn no_packet_is_lost_when_it_comes_and_goes() {
    let mut host = Host::new();
    let two = containers(&mut host, 4);
    let clsact = host.settings(AttachMode::Clsact);
    let rounds = |settings: &Settings| (0..5).for_each(|_| come_and_go(settings, 6));
    if probe::has_tcx() {
        let of_its_own_choice = Settings { attach: None, ..clsact.clone() };
        assert_eq!(lost_during(&two, || rounds(&of_its_own_choice)), 0);
    }
    // The kernel's own loss, which is said wherever clsact can be asked for; and this test can see one.
    assert_ne!(
        lost_during(&two, || rounds(&clsact)),
        0,
        "the kernel loses none under clsact any more: say so"
    );
}

#[test]
fn a_qdisc_is_only_given_to_and_taken_from_devices_without_traffic() {
    if !probe::has_tcx() {
        return;
    }
    let mut host = Host::new();
    (1..=4).for_each(|n| drop(host.veth(n)));
    host.container(4);
    let mut watch = Watch::start(Settings { attach: None, ..host.settings(AttachMode::Tcx) });
    let mut mode = |name: &str| {
        watch.wait(&format!("{name} attached"), |observation| match observation {
            Observation::Attached { interface, mode, .. } if interface.name.as_str() == name => Some(*mode),
            _ => None,
        })
    };
    for (name, expected) in [
        ("v1", AttachMode::Clsact),
        ("v2", AttachMode::Clsact),
        ("v3", AttachMode::Clsact),
        ("v4", AttachMode::Tcx),
        ("br0", AttachMode::Tcx),
    ] {
        assert_eq!(mode(name), expected, "{name}");
    }
    host.container(1);
    watch.stop();
    assert_nothing_left(&["v2", "v3", "v4", "br0"]);
    let qdisc = || run("tc qdisc show dev v1").contains("clsact");
    let filters = ["ingress", "egress"].map(|hook| run(&format!("tc filter show dev v1 {hook}")));
    assert!(qdisc() && filters.iter().all(String::is_empty), "{filters:?}");

    assert_eq!(leftovers::remove_all(&host.state_dir, Emptied::LetBe).unwrap(), []);
    assert!(qdisc(), "it stays while the device is in use");
    let removed = leftovers::remove_all(&host.state_dir, Emptied::Remove).unwrap();
    assert_eq!(removed, [Removed::Qdisc { ifindex: ifindex_of("v1") }]);
    assert_nothing_left(&["v1"]);
}

#[test]
fn a_qdisc_that_stayed_is_removed_when_its_device_is_no_longer_in_use() {
    if !probe::has_tcx() {
        return;
    }
    let mut host = Host::new();
    (1..=3).for_each(|n| drop(host.veth(n)));
    let settings = Settings { attach: None, ..host.settings(AttachMode::Tcx) };
    let mut watch = Watch::start(settings.clone());
    watch.attached("v1");
    host.container(1);
    watch.stop();
    assert!(run("tc qdisc show dev v1").contains("clsact"));
    run("ip link set v1 down");
    let removed = leftovers::remove_all(&host.state_dir, Emptied::LetBe).unwrap();
    assert_eq!(removed, [Removed::Qdisc { ifindex: ifindex_of("v1") }]);
}
