//! Devices in namespaces of others, watched there.

use crate::rig::{Host, Watch, modes, run};
use lab::map_entries;
use monitor::collector::Command;
use monitor::model::{ContainerId, InterfaceKind, Observation};

/// Asks for a namespace to be looked into, for a container of this letter.
fn look_into(watch: &Watch, letter: &str, sandbox: &str) {
    let container = ContainerId::new(&letter.repeat(64)).unwrap();
    assert!(watch.collector().asker().ask(Command::WatchInside { container, sandbox: sandbox.to_owned() }));
}

/// A device has one entry by which its programs find it. It stays when somebody else wants the same device and is refused,
/// which the kernel does while the programs are on it, and goes with the device.
#[test]
fn the_entry_of_a_device_goes_with_it_and_not_with_another_that_was_refused() {
    let mut host = Host::new();
    host.veth(1);
    run("ip link set v1 nomaster");
    let container = host.container(1);
    run("ip route add 10.99.1.1/32 dev v1");
    let namespace = format!("/run/netns/{container}");
    let again = host.state_dir.join("again");
    std::fs::create_dir_all(&host.state_dir).unwrap();
    std::fs::write(&again, "").unwrap();
    let again = again.to_str().unwrap();
    run(&format!("mount --bind {namespace} {again}"));
    let mut watch = Watch::start(host.settings(modes()[0]));
    let entries = || map_entries(std::process::id(), "INSIDE").unwrap();
    look_into(&watch, "a", &namespace);
    let number = watch.wait("the device", |observation| match observation {
        Observation::Attached { interface, .. } if interface.kind == InterfaceKind::Inside => {
            Some(interface.number)
        }
        _ => None,
    });
    assert_eq!(entries(), 1);
    look_into(&watch, "b", again);
    watch.wait("that it is refused", |observation| match observation {
        Observation::InsideNotWatched { reason, .. } => reason.as_ref().map(drop),
        _ => None,
    });
    assert_eq!(entries(), 1, "it is the first one's");
    run(&format!("umount {again}"));
    run(&format!("ip netns exec {container} ping -q -c 20 -i 0.01 10.99.0.1"));
    run("ip link del v1");
    watch.wait("that it has gone", |observation| match observation {
        Observation::Detached { number: of, .. } if *of == number => Some(()),
        _ => None,
    });
    assert_eq!(entries(), 0);
    watch.stop();
    assert!(watch.last_reading(number).totals.traffic().sent.skbs >= 20, "what it sent was counted");
}
