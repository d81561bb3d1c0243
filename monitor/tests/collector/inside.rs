//! Devices in namespaces of others, watched there.

use crate::rig::{Host, Watch, device_like, modes, run};
use lab::map_entries;
use monitor::collector::Command;
use monitor::model::{ContainerId, DeviceCounters, InterfaceKind, InterfaceNumber, Observation};
use std::process::{Child, Command as Process};

/// Asks for a namespace to be looked into, for a container of this letter.
fn look_into(watch: &Watch, letter: &str, sandbox: &str) {
    let container = ContainerId::new(&letter.repeat(64)).unwrap();
    assert!(watch.collector().asker().ask(Command::WatchInside { container, sandbox: sandbox.to_owned() }));
}

/// A container whose veth is no port, so that it is watched inside; its name.
fn alone(host: &mut Host) -> String {
    host.veth(1);
    run("ip link set v1 nomaster");
    let container = host.container(1);
    run("ip route add 10.99.1.1/32 dev v1");
    // Nothing crosses but what is asked for.
    run("sysctl -q -w net.ipv6.conf.v1.disable_ipv6=1");
    run(&format!("ip netns exec {container} sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1"));
    container
}

/// A file in the state directory at which the container's namespace is, too.
fn mounted(host: &Host, container: &str, name: &str) -> String {
    let path = host.state_dir.join(name);
    std::fs::create_dir_all(&host.state_dir).unwrap();
    std::fs::write(&path, "").unwrap();
    let path = path.to_str().unwrap().to_owned();
    run(&format!("mount --bind /run/netns/{container} {path}"));
    path
}

/// Waits for the container's device to be watched; its number, and what it had counted by then.
fn watched(watch: &mut Watch) -> (InterfaceNumber, DeviceCounters) {
    watch.wait("the device", |observation| match observation {
        Observation::Attached { interface, before, after, .. } if interface.kind == InterfaceKind::Inside => {
            assert_eq!(before, after, "nothing crossed meanwhile");
            Some((interface.number, after.unwrap()))
        }
        _ => None,
    })
}

/// Has the container send and be answered as fast as it goes, for so many seconds.
fn flood(container: &str, seconds: u32) -> Child {
    let ping = format!("netns exec {container} ping -q -f -w {seconds} 10.99.0.1");
    Process::new("ip").args(ping.split(' ')).stdout(std::process::Stdio::null()).spawn().unwrap()
}

/// All that crossed the device since it is watched was counted, and that was something.
fn check_exact(watch: &mut Watch, (number, base): (InterfaceNumber, DeviceCounters)) {
    let reading = watch.quiet_reading(number);
    let (device, counted) = (reading.device_after.unwrap(), reading.totals.traffic());
    let crossed = [
        (device.sent_skbs - base.sent_skbs, device.sent_bytes - base.sent_bytes),
        (device.received_skbs - base.received_skbs, device.received_bytes - base.received_bytes),
    ];
    assert_eq!([counted.sent, counted.received].map(device_like), crossed);
    assert!(counted.sent.skbs > 100, "{counted:?}");
}

/// A device has one entry by which its programs find it. It stays what it is when somebody else wants the same device and is
/// refused, and goes with the device.
#[test]
fn the_entry_of_a_device_goes_with_it_and_not_with_another_that_was_refused() {
    let mut host = Host::new();
    let container = alone(&mut host);
    let others = ["b", "c", "d", "e", "f"].map(|letter| (letter, mounted(&host, &container, letter)));
    let mut watch = Watch::start(host.settings(modes()[0]));
    let entries = || map_entries(std::process::id(), "INSIDE").unwrap();
    look_into(&watch, "a", &format!("/run/netns/{container}"));
    let device = watched(&mut watch);
    assert_eq!(entries(), 1);
    let mut flood = flood(&container, 2);
    for (letter, path) in &others {
        look_into(&watch, letter, path);
        let reason = watch.wait("that it is refused", |observation| match observation {
            Observation::InsideNotWatched { container, reason: Some(reason) }
                if container.as_str().starts_with(letter) =>
            {
                Some(reason.clone())
            }
            _ => None,
        });
        assert!(reason.as_str().starts_with("it is watched already, in the namespace at "), "{reason}");
        assert_eq!(entries(), 1, "it is the first one's");
    }
    assert!(flood.wait().unwrap().success());
    check_exact(&mut watch, device);
    for (_, path) in others {
        run(&format!("umount {path}"));
    }
    run("ip link del v1");
    watch.wait("that it has gone", |observation| match observation {
        Observation::Detached { number: of, .. } if *of == device.0 => Some(()),
        _ => None,
    });
    assert_eq!(entries(), 0);
    watch.stop();
}

/// A namespace that cannot be opened for a while, though something is at its path, goes on to be watched; that it cannot be
/// opened is told, and that it can again.
#[test]
fn what_is_watched_goes_on_while_its_namespace_cannot_be_opened() {
    let mut host = Host::new();
    let container = alone(&mut host);
    let path = mounted(&host, &container, "there");
    let mut watch = Watch::start(host.settings(modes()[0]));
    look_into(&watch, "a", &path);
    let device = watched(&mut watch);
    run(&format!("umount {path}"));
    let mut flood = flood(&container, 1);
    let told = |observation: &Observation| match observation {
        Observation::InsideNotWatched { reason, .. } => Some(reason.as_ref().map(ToString::to_string)),
        _ => None,
    };
    let reason = watch.wait("why not", |observation| told(observation).flatten());
    let expected =
        format!("the network namespace at {path} could not be looked into: what is there is no namespace");
    assert_eq!(reason, expected);
    assert!(flood.wait().unwrap().success());
    run(&format!("mount --bind /run/netns/{container} {path}"));
    check_exact(&mut watch, device);
    let mut well = 0;
    watch.wait("that all is well again", |observation| {
        well += u32::from(told(observation) == Some(None));
        (well == 2).then_some(())
    });
    run(&format!("umount {path}"));
    std::fs::remove_file(&path).unwrap();
    watch.wait("that it has gone", |observation| match observation {
        Observation::Detached { number: of, .. } if *of == device.0 => Some(()),
        _ => None,
    });
    watch.stop();
}
