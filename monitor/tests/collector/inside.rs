//! Devices in namespaces of others, watched there.

use crate::rig::{Host, Watch, modes, run};
use lab::map_entries;
use monitor::collector::Command;
use monitor::model::{ContainerId, InterfaceKind, InterfaceNumber, Observation};

/// Asks for a namespace to be looked into, and waits until its device is watched.
fn watched(
    watch: &mut Watch,
    container: char,
    sandbox: &str,
    but: Option<InterfaceNumber>,
) -> InterfaceNumber {
    let container = ContainerId::new(&container.to_string().repeat(64)).unwrap();
    assert!(watch.collector().asker().ask(Command::WatchInside { container, sandbox: sandbox.to_owned() }));
    watch.wait(&format!("the device of {sandbox}"), |observation| match observation {
        Observation::Attached { interface, .. } if interface.kind == InterfaceKind::Inside => {
            Some(interface.number).filter(|number| Some(*number) != but)
        }
        _ => None,
    })
}

fn gone(watch: &mut Watch, which: InterfaceNumber) {
    watch.wait("that it is watched no longer", |observation| match observation {
        Observation::Detached { number, .. } if *number == which => Some(()),
        _ => None,
    });
}

/// A namespace's number is given again when it has ended, and its devices begin with the same ifindex. Here both have it at
/// once: the same namespace at two paths.
#[test]
fn the_entry_of_a_device_goes_with_it_unless_it_is_anothers_by_then() {
    let mut host = Host::new();
    host.veth(1);
    run("ip link set v1 nomaster");
    let container = host.container(1);
    run("ip route add 10.99.1.1/32 dev v1");
    let (first, second) = (host.state_dir.join("first"), format!("/run/netns/{container}"));
    std::fs::create_dir_all(&host.state_dir).unwrap();
    std::fs::write(&first, "").unwrap();
    let first = first.to_str().unwrap();
    run(&format!("mount --bind {second} {first}"));
    let mut watch = Watch::start(host.settings(modes()[0]));
    let entries = || map_entries(std::process::id(), "INSIDE").unwrap();
    let earlier = watched(&mut watch, 'a', first, None);
    assert_eq!(entries(), 1);
    let later = watched(&mut watch, 'b', &second, Some(earlier));
    assert_eq!(entries(), 1);

    run(&format!("umount {first}"));
    gone(&mut watch, earlier);
    assert_eq!(entries(), 1, "it is the later one's");
    run(&format!("ip netns exec {container} ping -q -c 20 -i 0.01 10.99.0.1"));
    run("ip link del v1");
    gone(&mut watch, later);
    assert_eq!(entries(), 0);
    watch.stop();
    assert!(watch.last_reading(later).totals.traffic().sent.skbs >= 20, "what it sent was counted");
}
